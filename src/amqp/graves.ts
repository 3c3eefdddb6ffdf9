/**
 * Buried jobs on RabbitMQ: pages, re-queue, drop; what lies in `$unroutable` for a queue is shown with them.
 *
 * Owns no job: they stay on the broker, in `P.Q.$buried`. One reader at a time in the whole cluster, by an exclusive
 * queue that goes with its connection; within a process they take turns. A re-queue publishes first and acknowledges
 * then: a crash between the two leaves a copy, never a loss.
 */
import type { ConsumeMessage } from "amqplib";
import type { BuriedJob, BuriedPage, QueueRef, RequeueOutcome } from "../broker/contract.ts";
import { BrokerRefused, UnknownQueue } from "../broker/errors.ts";
import type { Envelope } from "../jobs/envelope.ts";
import { InvalidJob } from "../jobs/errors.ts";
import { requeued } from "../jobs/retry.ts";
import type { Clock } from "../kernel/types.ts";
import { buriedJobOf, type Grave, unroutableJobOf } from "./epitaph.ts";
import type { Link } from "./link.ts";
import type { Names } from "./names.ts";
import type { Parcel } from "./parcel.ts";
import { closed } from "./patience.ts";
import { hasCode } from "./refusal.ts";
import { Turns } from "./turns.ts";
import { type Verdict, type VisitParts, visit } from "./visit.ts";

export interface GraveParts extends VisitParts {
  readonly link: Link;
  readonly clock: Clock;
  readonly names: Names;
  readonly broker: string;
  readonly exists: (name: string) => Promise<boolean>;
  /** Publishes a job to its queue; resolves with the reason when it was refused. */
  readonly enqueue: (envelope: Envelope) => Promise<Error | undefined>;
  /** Publishes a message of another system to its queue, to be read once more. */
  readonly passOn: (queue: QueueRef, parcel: Parcel, id: string) => Promise<void>;
  /** Jobs with queue keys that were dropped: their ids may be used again. */
  readonly dropped: (partition: string, ids: readonly string[]) => void;
}

const PAGE_MOST = 1_000;
const PAGE = 100;
/** Another node that reads the same queue is done within this, or the caller is told. */
const LOCK_MS = 10_000;
const LOCK_AGAIN_MS = 50;

type Look = (job: Grave) => Verdict | Promise<Verdict>;

export class Graves {
  readonly #parts: GraveParts;
  readonly #turns = new Turns();

  constructor(parts: GraveParts) {
    this.#parts = parts;
  }

  async page(queue: QueueRef, page: BuriedPage = {}): Promise<BuriedJob[]> {
    const limit = Math.min(PAGE_MOST, Math.max(1, page.limit ?? PAGE));
    const jobs: BuriedJob[] = [];
    let behind = page.after === undefined;
    await this.#visit(queue, (job) => {
      if (!behind) behind = job.id === page.after;
      else if (jobs.push(job) === limit) return "stop";
      return "keep";
    });
    return jobs;
  }

  async requeue(
    queue: QueueRef,
    ids: readonly string[] | "all",
    argsText: string | undefined,
  ): Promise<RequeueOutcome[]> {
    const outcomes: RequeueOutcome[] = [];
    await this.#chosen(queue, ids, async (job) => {
      const error = await this.#requeueOne(queue, job, argsText);
      outcomes.push({ id: job.id, error });
      return error === undefined ? "take" : "keep";
    });
    return outcomes;
  }

  async drop(queue: QueueRef, ids: readonly string[] | "all"): Promise<string[]> {
    const dropped: string[] = [];
    const keyed: string[] = [];
    await this.#chosen(queue, ids, (job) => {
      dropped.push(job.id);
      if (job.envelope?.queueKey !== undefined) keyed.push(job.id);
      return "take";
    });
    this.#parts.dropped(queue.partition, keyed);
    return dropped;
  }

  async #requeueOne(queue: QueueRef, job: Grave, argsText: string | undefined): Promise<Error | undefined> {
    if (job.parcel !== undefined && argsText === undefined) return this.#passOn(queue, job.parcel, job.id);
    if (job.envelope === undefined)
      return new InvalidJob(
        job.id,
        `its bytes are no job (${job.record.error.message}); it can only be dropped`,
      );
    return this.#parts.enqueue(requeued(job.envelope, argsText));
  }

  async #passOn(queue: QueueRef, parcel: Parcel, id: string): Promise<Error | undefined> {
    const { exists, names, passOn } = this.#parts;
    if (!(await exists(names.queue(queue)))) return new UnknownQueue(queue.partition, queue.queue);
    await passOn(queue, { message: parcel.message, hop: parcel.hop + 1, since: 0 }, id);
    return undefined;
  }

  /** Stops looking when all that were named have been found. */
  async #chosen(queue: QueueRef, ids: readonly string[] | "all", look: Look): Promise<void> {
    if (ids === "all") return this.#visit(queue, look);
    const wanted = new Set(ids);
    await this.#visit(queue, async (job) => {
      if (wanted.size === 0) return "stop";
      if (!wanted.delete(job.id)) return "keep";
      return look(job);
    });
  }

  #visit(queue: QueueRef, look: Look): Promise<void> {
    let stopped = false;
    const noting = async (job: Grave) => {
      const verdict = await look(job);
      stopped = verdict === "stop";
      return verdict;
    };
    const { names, exists } = this.#parts;
    const buried = names.buried(queue);
    return this.#locked(buried, async () => {
      if (await exists(buried)) await visit(this.#parts, buried, (message) => noting(buriedJobOf(message)));
    }).then(() => (stopped ? undefined : this.#unroutable(queue, noting)));
  }

  /** Of all queues: only those of this one are looked at. */
  #unroutable(queue: QueueRef, look: Look): Promise<void> {
    const { names, clock } = this.#parts;
    const ours = (message: ConsumeMessage, job: Grave) =>
      job.envelope === undefined
        ? message.fields.routingKey.endsWith(names.queue(queue))
        : job.envelope.partition === queue.partition && job.envelope.queue === queue.queue;
    return this.#locked(names.unroutable, () =>
      visit(this.#parts, names.unroutable, (message) => {
        const job = unroutableJobOf(message, clock.now());
        return ours(message, job) ? look(job) : "keep";
      }),
    );
  }

  /** The connection's own lock does not keep this process from itself: here visits take turns. */
  #locked(name: string, read: () => Promise<void>): Promise<void> {
    return this.#turns.take(name, async () => {
      const unlock = await this.#lock(`${name}.lock`);
      try {
        await read();
      } finally {
        await unlock();
      }
    });
  }

  /** An exclusive queue: the broker gives it to one connection, and takes it away with that connection. */
  async #lock(name: string): Promise<() => Promise<void>> {
    const { link, clock, broker } = this.#parts;
    const until = clock.now() + LOCK_MS;
    for (;;) {
      const channel = await link.channel();
      channel.on("error", () => {});
      try {
        await link.answered(
          channel.assertQueue(name, { exclusive: true, durable: false, autoDelete: false }),
        );
        return async () => {
          await link.answered(channel.deleteQueue(name)).catch(() => {});
          await link.answered(closed(channel)).catch(() => {});
        };
      } catch (error) {
        if (!hasCode(error, 405)) throw error;
        if (clock.now() > until)
          throw new BrokerRefused(broker, `another node reads these buried jobs (${name}); try again`);
      }
      await new Promise<void>((resolve) => clock.timer(LOCK_AGAIN_MS, resolve));
    }
  }
}
