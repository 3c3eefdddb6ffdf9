/**
 * How the ends of jobs travel between nodes: home to the node that asked for the result, or to whoever asks for it.
 *
 * Owns what others want to know, bounded and forgotten after a minute, and the questions of this node's own waiters,
 * which are asked again: every 15 s, and when the connection has come back. A courtesy beside the promises: what is lost
 * on the way is asked for again, what nobody remembers any more is not known.
 */
import { deserialize, serialize } from "node:v8";
import type { Cluster } from "../broker/contract.ts";
import type { BuriedRecord } from "../jobs/failure.ts";
import type { Clock } from "../kernel/types.ts";
import type { Ended, ResultPort, Results } from "./results.ts";

export interface ResultPostParts {
  readonly node: string;
  readonly cluster: Cluster;
  readonly results: Results;
  readonly clock: Clock;
}

/** An end as it travels; `value` is V8's serialization, since a result may be anything that can be cloned. */
type Packed =
  | { readonly kind: "completed"; readonly value: string | undefined }
  | { readonly kind: "buried"; readonly record: BuriedRecord }
  | { readonly kind: "cancelled" | "purged" | "missed" };

type Asked = readonly (readonly [partition: string, id: string])[];

export const HOME = "result.home";
export const WANT = "result.want";

const ASK_AGAIN_MS = 15_000;
/** As long as results are remembered. */
const REMEMBERED_MS = 60_000;
/** Nodes that were cut off answer within this, once they are back. */
const ANSWER_MS = 5_000;
const MOST_WANTED = 10_000;
const MOST_ASKED = 500;
/** A larger value stays where it is: brokers refuse messages of 16 MiB. */
const VALUE_BYTES_MAX = 8 * 1024 * 1024;

export class ResultPost implements ResultPort {
  readonly #parts: ResultPostParts;
  /** By partition and id, as one text: who wants it, and until when. */
  readonly #wanted = new Map<string, { readonly by: Set<string>; until: number }>();
  #toAsk: [string, string][] = [];
  #stopAgain: (() => void) | undefined;
  #lostAt: number | undefined;

  constructor(parts: ResultPostParts) {
    this.#parts = parts;
  }

  ended(partition: string, id: string, ended: Ended, replyTo: string | undefined): void {
    const { node } = this.#parts;
    const wanted = this.#wanted.size === 0 ? undefined : this.#wanted.get(keyOf(partition, id));
    if (replyTo !== undefined && replyTo !== node && wanted?.by.has(replyTo) !== true)
      this.#send(replyTo, partition, id, ended);
    if (wanted === undefined) return;
    this.#wanted.delete(keyOf(partition, id));
    for (const name of wanted.by) this.#send(name, partition, id, ended);
  }

  /** All of one turn are one question. */
  waited(partition: string, id: string): void {
    if (this.#toAsk.push([partition, id]) === 1) queueMicrotask(() => this.#ask(this.#toAsk.splice(0)));
    this.#askAgainLater();
  }

  /** Another node wants to know how these ended. */
  want(args: unknown): void {
    const { from, asked } = (args ?? {}) as { readonly from?: unknown; readonly asked?: unknown };
    if (typeof from !== "string" || from === this.#parts.node || !isAsked(asked)) return;
    for (const [partition, id] of asked.slice(0, MOST_ASKED)) {
      const ended = this.#parts.results.get(partition, id);
      if (ended === undefined) this.#remember(from, partition, id);
      else this.#send(from, partition, id, ended);
    }
  }

  /** Another node says how a job ended that somebody here waits for. */
  home(args: unknown): void {
    const { partition, id, ended } = (args ?? {}) as Partial<Record<"partition" | "id", unknown>> & {
      ended?: Packed;
    };
    if (typeof partition !== "string" || typeof id !== "string" || ended === undefined) return;
    if (ended.kind === "missed") this.#parts.results.missed(partition, id);
    else this.#parts.results.heard(partition, id, unpack(ended));
  }

  lost(): void {
    this.#lostAt ??= this.#parts.clock.now();
  }

  /** What ended while we heard nobody is asked for; away for longer than results are kept, silence means that none is. */
  connected(): void {
    const lostAt = this.#lostAt;
    this.#lostAt = undefined;
    if (lostAt === undefined) return;
    const waiting = this.#parts.results.waiting();
    this.#ask(waiting);
    if (this.#parts.clock.now() - lostAt + ANSWER_MS < REMEMBERED_MS) return;
    this.#parts.clock.timer(ANSWER_MS, () => {
      for (const [partition, id] of waiting) this.#parts.results.missed(partition, id);
    });
  }

  close(): void {
    this.#stopAgain?.();
    this.#wanted.clear();
  }

  #ask(asked: Asked): void {
    const { cluster, node } = this.#parts;
    if (cluster.others.length === 0) return;
    for (let at = 0; at < asked.length; at += MOST_ASKED)
      cluster.cast(WANT, { from: node, asked: asked.slice(at, at + MOST_ASKED) });
  }

  #askAgainLater(): void {
    this.#stopAgain ??= this.#parts.clock.timer(ASK_AGAIN_MS, () => {
      this.#stopAgain = undefined;
      const waiting = this.#parts.results.waiting();
      if (waiting.length === 0) return;
      this.#ask(waiting);
      this.#askAgainLater();
    });
  }

  #remember(by: string, partition: string, id: string): void {
    const now = this.#parts.clock.now();
    for (const [key, { until }] of this.#wanted) {
      if (until > now && this.#wanted.size < MOST_WANTED) break;
      this.#wanted.delete(key);
    }
    const key = keyOf(partition, id);
    const wanted = this.#wanted.get(key) ?? { by: new Set<string>(), until: 0 };
    wanted.by.add(by);
    wanted.until = now + REMEMBERED_MS;
    this.#wanted.delete(key);
    this.#wanted.set(key, wanted);
  }

  #send(to: string, partition: string, id: string, ended: Ended): void {
    this.#parts.cluster.cast(HOME, { partition, id, ended: pack(ended) }, to);
  }
}

const keyOf = (partition: string, id: string) => `${partition}/${id}`;

function pack(ended: Ended): Packed {
  if (ended.kind !== "completed") return ended;
  if (ended.value === undefined) return { kind: "completed", value: undefined };
  const bytes = serialize(ended.value);
  if (bytes.length > VALUE_BYTES_MAX) return { kind: "missed" };
  return { kind: "completed", value: bytes.toString("base64") };
}

function unpack(packed: Exclude<Packed, { kind: "missed" }>): Ended {
  if (packed.kind === "buried") return packed;
  if (packed.kind !== "completed") return { kind: packed.kind === "purged" ? "purged" : "cancelled" };
  const { value } = packed;
  return {
    kind: "completed",
    value: value === undefined ? undefined : deserialize(Buffer.from(value, "base64")),
  };
}

function isAsked(value: unknown): value is Asked {
  return (
    Array.isArray(value) &&
    value.every((one) => Array.isArray(one) && typeof one[0] === "string" && typeof one[1] === "string")
  );
}
