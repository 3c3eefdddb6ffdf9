/**
 * What waits in a queue, in the whole cluster: in nodes' hands first, since that is its front, then on the broker.
 *
 * Owns nothing and changes nothing. A job that moves from the broker to a node meanwhile is looked for on both sides, and is
 * shown once; one that starts meanwhile may still be shown.
 */

import type { JobRef } from "../actors/job-ref.ts";
import type { NodeAnswer, QueuedJob, QueueRef } from "../broker/contract.ts";
import { InvalidOptions } from "../broker/errors.ts";
import { decodeEnvelope, encodeEnvelope } from "../jobs/codec.ts";
import { InvalidJob } from "../jobs/errors.ts";
import { checkName, shown } from "../jobs/names.ts";
import type { Node } from "./node.ts";
import { known } from "./queues.ts";

/** One job that has not started. */
export interface Queued extends QueuedJob {
  /** Who has it in hand: it waits there for a slot or a key, or its queue is paused. `undefined`: the broker has it. */
  readonly node: string | undefined;
}

export interface QueuedList {
  /** Front of the queue first. */
  readonly jobs: readonly Queued[];
  /** Whether that is all that is available, and a node has not failed to answer. */
  readonly complete: boolean;
}

export interface QueuedOptions {
  /** Default 100. */
  readonly limit?: number;
  /** Reads on where jobs may be overtaken by that; default false. `docs/rabbitmq.md` says what it does. */
  readonly deep?: boolean;
}

/** What a node answers: encoded jobs in their order. */
interface Held {
  readonly jobs: readonly string[];
  readonly complete: boolean;
  /** It takes more from the broker as soon as it can. */
  readonly takes: boolean;
}

interface InHand extends QueuedList {
  /** No other node takes from the queue: each has said so. */
  readonly alone: boolean;
}

const HELD = "info.heldJobs";
const CALL_MS = 5_000;
const LIMIT = 100;
/** Characters of one node's answer: it travels as one message. */
const ANSWER_MOST = 4 * 1024 * 1024;

export class QueuedJobs {
  readonly #node: Node;
  readonly #running: (partition: string) => Promise<readonly JobRef[]>;

  constructor(node: Node, running: (partition: string) => Promise<readonly JobRef[]>) {
    this.#node = node;
    this.#running = running;
    node.commands.set(HELD, (args) => this.#heldHere(args));
  }

  /** @throws UnknownPartition, UnknownQueue, InvalidOptions */
  async list(partition: string, queue: string, options: QueuedOptions): Promise<QueuedList> {
    const { limit = LIMIT, deep = false } = options;
    if (!Number.isSafeInteger(limit) || limit < 1)
      throw new InvalidOptions([`limit: expected a whole number of at least 1, got ${shown(limit)}`]);
    await known(this.#node, partition, queue);
    const { broker } = this.#node.services;
    const ref = { partition, queue };
    let held = await this.#held(ref, limit);
    const room = Math.max(0, limit - held.jobs.length);
    const rest = await broker.list(ref, room, deep ? "deep" : held.alone ? "alone" : "careful");
    // what was on its way between the two is in somebody's hands now
    if (room > 0) held = await this.#held(ref, limit);
    const ids = new Set(held.jobs.map(({ envelope }) => envelope.id));
    const behind = rest.jobs.filter(({ envelope }) => !ids.has(envelope.id));
    const jobs = [...held.jobs, ...behind.map((job): Queued => ({ ...job, node: undefined }))];
    return { jobs: jobs.slice(0, limit), complete: held.complete && rest.complete && jobs.length <= limit };
  }

  async #held(ref: QueueRef, limit: number): Promise<InHand> {
    const { broker, node } = this.#node.services;
    const { cluster } = broker;
    const answers = await cluster.call(HELD, { ...ref, limit }, CALL_MS);
    const lists = answers.map(queuedIn);
    return {
      jobs: merged(lists.map(({ jobs }) => jobs)),
      complete: lists.every(({ complete }) => complete),
      alone: answers.every((answer) => answer.node === node || takesNothing(answer)),
    };
  }

  /** Running first: what starts between the two questions is shown as waiting, and what ends is not. */
  async #heldHere(args: unknown): Promise<Held> {
    const { ref, limit } = asked(args);
    const running = new Set((await this.#running(ref.partition)).map(({ id }) => id));
    const waiting = this.#node.services.broker.held(ref).filter(({ id }) => !running.has(id));
    const jobs: string[] = [];
    let characters = 0;
    for (const envelope of waiting.slice(0, limit)) {
      const text = encodeEnvelope(envelope);
      characters += text.length;
      if (jobs.length > 0 && characters > ANSWER_MOST) break;
      jobs.push(text);
    }
    const takes = this.#node.services.broker.takes(ref);
    return { jobs, complete: jobs.length === waiting.length, takes };
  }
}

/** From another node: anything may come. */
function asked(args: unknown): { readonly ref: QueueRef; readonly limit: number } {
  const { partition, queue, limit } = (args ?? {}) as Partial<Record<string, unknown>>;
  const problem = checkName(partition) ?? checkName(queue);
  if (problem !== undefined) throw new InvalidJob(HELD, problem);
  const ref = { partition: partition as string, queue: queue as string };
  return { ref, limit: Number.isSafeInteger(limit) ? Number(limit) : LIMIT };
}

function queuedIn(answer: NodeAnswer): QueuedList {
  if (!answer.ok) return { jobs: [], complete: false };
  const { node, value } = answer;
  const { jobs, complete } = (value ?? {}) as Partial<Held>;
  const decoded = (Array.isArray(jobs) ? jobs : []).map((text) => decodeEnvelope(String(text)));
  const found = decoded.flatMap((one): Queued[] =>
    one.ok ? [{ envelope: one.envelope, state: "available", dueAt: undefined, node }] : [],
  );
  return { jobs: found, complete: complete === true };
}

/** A node of an earlier version has not said: it may. */
const takesNothing = (answer: NodeAnswer) =>
  answer.ok && (answer.value as Partial<Held> | null)?.takes === false;

/** Each list keeps its order; of two nodes the older job goes first. */
function merged(lists: readonly (readonly Queued[])[]): Queued[] {
  const rest = lists.filter((list) => list.length > 0).map((list) => ({ list, at: 0 }));
  const all: Queued[] = [];
  for (;;) {
    let first: { readonly list: readonly Queued[]; at: number } | undefined;
    for (const one of rest) if (isBefore(one.list[one.at], first?.list[first.at])) first = one;
    const next = first?.list[first.at];
    if (first === undefined || next === undefined) return all;
    first.at += 1;
    all.push(next);
  }
}

function isBefore(a: Queued | undefined, b: Queued | undefined): boolean {
  if (a === undefined) return false;
  if (b === undefined) return true;
  const [x, y] = [a.envelope, b.envelope];
  return x.enqueuedAt < y.enqueuedAt || (x.enqueuedAt === y.enqueuedAt && x.id < y.id);
}
