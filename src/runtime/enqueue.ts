/**
 * Enqueue: from what a caller gives to a durable job and its handle.
 *
 * Owns the pace: a loop of enqueues lets the event loop have its turn every 256 calls, and waits while 10,000 are
 * unconfirmed, so that no caller starves the process or fills its memory. Nothing resolves before the broker has
 * made the job durable.
 */

import { jobFields } from "../actors/callbacks.ts";
import type { Catalogue } from "../actors/catalogue.ts";
import type { EventHub } from "../actors/events.ts";
import type { Broker, PublishOptions } from "../broker/contract.ts";
import { QueueKeyRefused } from "../broker/errors.ts";
import { checkPayload, envelopeOf, type Job, Prepared, prepare } from "../jobs/create.ts";
import type { JobDefinition } from "../jobs/definition.ts";
import { type Duration, toMs } from "../jobs/duration.ts";
import type { Envelope } from "../jobs/envelope.ts";
import { DelayTooLong, InvalidArgs, InvalidJob, PayloadTooLarge, UnknownJob } from "../jobs/errors.ts";
import { checkId, checkName } from "../jobs/names.ts";
import { LEVEL_SECONDS_MAX } from "../jobs/retry.ts";
import { EnqueueManyFailed, RuntimeStopped } from "./errors.ts";
import { type HandleHome, JobHandle } from "./handle.ts";

export interface EnqueueOptions {
  readonly partition: string;
  /** Overrides the definition's queue, for good: it holds through retry, waiting and burial. */
  readonly queue?: string;
  /** Default a new one that sorts by age. */
  readonly id?: string;
  /** Not before this long from now. */
  readonly delay?: Duration;
  /** Not before this time; a date in the past is now. */
  readonly runAt?: Date | number;
  /** Send the result home from whichever node runs it; without, `result()` asks the nodes, which remember a minute. */
  readonly result?: boolean;
}

export interface EnqueueHome extends HandleHome {
  readonly broker: Broker;
  readonly node: string;
  readonly catalogue: Catalogue;
  readonly events: EventHub;
  readonly payloadLimitBytes: number;
  /** The persister would store the whole state for each. */
  readonly refusesQueueKeys: boolean;
  readonly now: () => number;
  readonly stopping: () => boolean;
}

/** With an id that was made here, and with one that a caller may have used before. */
const FRESH: PublishOptions = { fresh: true };
const GIVEN: PublishOptions = { fresh: false };
const TURN_EVERY = 256;
const MAX_UNCONFIRMED = 10_000;
/** What is wrong with one job of many, and not with the call. */
const OF_ONE_JOB = [InvalidArgs, InvalidJob, PayloadTooLarge, QueueKeyRefused];

export class Enqueuer {
  readonly #home: EnqueueHome;
  #sinceTurn = 0;
  #unconfirmed = 0;
  readonly #waiting: (() => void)[] = [];
  /** The last partition and queue that were checked: the same pair mostly comes again. */
  #checkedPartition = "";
  #checkedQueue = "";

  constructor(home: EnqueueHome) {
    this.#home = home;
  }

  async enqueue(
    what: JobDefinition | Job | string,
    args: unknown,
    options: EnqueueOptions,
  ): Promise<JobHandle> {
    const prepared = this.#prepare(what, args, options);
    const envelope = this.#envelope(prepared instanceof Promise ? await prepared : prepared, options);
    const publish = this.#publishOptions(options, envelope.job, isFresh(what, options));
    if (++this.#sinceTurn >= TURN_EVERY || this.#unconfirmed >= MAX_UNCONFIRMED) await this.#pause();
    this.#check();
    if (options.id !== undefined) this.#home.results.forget(envelope.partition, envelope.id);
    this.#unconfirmed++;
    const { ends } = this.#home.results;
    try {
      const refusals = await this.#home.broker.publish(envelope, publish);
      const refusal = refusals?.get(envelope);
      if (refusal !== undefined) throw refusal;
    } finally {
      this.#confirmed();
    }
    return this.#handle(envelope, ends);
  }

  /** All of one group of confirms; the refused ones are in an `EnqueueManyFailed`, the others are enqueued. */
  async enqueueMany(
    what: JobDefinition | string,
    list: readonly unknown[],
    options: EnqueueOptions,
  ): Promise<JobHandle[]> {
    const outcomes: (Envelope | Error)[] = [];
    for (const args of list) {
      if (++this.#sinceTurn >= TURN_EVERY) await this.#pause();
      outcomes.push(await this.#tryEnvelope(what, args, options));
    }
    this.#check();
    const good = outcomes.filter((o): o is Envelope => !(o instanceof Error));
    const first = good[0];
    const publish =
      first === undefined ? undefined : this.#publishOptions(options, first.job, isFresh(what, options));
    this.#unconfirmed += good.length;
    try {
      const refusals = good.length === 0 ? undefined : await this.#home.broker.publishMany(good, publish);
      return this.#handles(outcomes.map((o) => (o instanceof Error ? o : (refusals?.get(o) ?? o))));
    } finally {
      for (let i = 0; i < good.length; i++) this.#confirmed();
    }
  }

  async #tryEnvelope(
    what: JobDefinition | string,
    args: unknown,
    options: EnqueueOptions,
  ): Promise<Envelope | Error> {
    try {
      return this.#envelope(await this.#prepare(what, args, options), options);
    } catch (error) {
      // What is wrong with one job's args is told with its index; what is wrong with the call fails all of it.
      if (OF_ONE_JOB.some((kind) => error instanceof kind)) return error as Error;
      throw error;
    }
  }

  #handles(outcomes: readonly (Envelope | Error)[]): JobHandle[] {
    const results = outcomes.map((o, index) =>
      o instanceof Error ? { index, error: o } : { index, handle: this.#handle(o) },
    );
    if (results.some((r) => "error" in r)) throw new EnqueueManyFailed(results);
    return results.flatMap((r) => ("handle" in r ? [r.handle] : []));
  }

  #prepare(
    what: JobDefinition | Job | string,
    args: unknown,
    options: EnqueueOptions,
  ): Prepared | Promise<Prepared> {
    if (what instanceof Prepared) {
      checkPayload(what.job, what.argsText, this.#home.payloadLimitBytes);
      return options.id === undefined ? what : renamed(what, options.id);
    }
    const definition = typeof what === "string" ? this.#byName(what) : what;
    const payloadLimitBytes = this.#home.payloadLimitBytes;
    return prepare(
      definition,
      args,
      options.id === undefined ? { payloadLimitBytes } : { payloadLimitBytes, id: options.id },
    );
  }

  #byName(name: string): JobDefinition {
    const known = this.#home.catalogue.get(name);
    if (known === undefined) throw new UnknownJob(name, this.#home.catalogue.near(name));
    return known.definition;
  }

  #envelope(prepared: Prepared, options: EnqueueOptions): Envelope {
    const queue = options.queue ?? prepared.queue;
    if (prepared.queueKey !== undefined && this.#home.refusesQueueKeys)
      throw new QueueKeyRefused(prepared.job);
    if (options.partition !== this.#checkedPartition || queue !== this.#checkedQueue)
      this.#checkPlace(prepared.job, options.partition, queue);
    const replyTo =
      options.result === true && this.#home.broker.kind === "rabbitmq" ? this.#home.node : undefined;
    return envelopeOf(prepared, { partition: options.partition, queue, now: this.#home.now(), replyTo });
  }

  #checkPlace(job: string, partition: unknown, queue: unknown): void {
    const problem = checkName(partition);
    if (problem !== undefined) throw new InvalidJob(job, `enqueue's option "partition": ${problem}`);
    const second = checkName(queue);
    if (second !== undefined) throw new InvalidJob(job, `enqueue's option "queue": ${second}`);
    this.#checkedPartition = partition as string;
    this.#checkedQueue = queue as string;
  }

  #publishOptions(options: EnqueueOptions, job: string, fresh: boolean): PublishOptions {
    if (options.delay === undefined && options.runAt === undefined) return fresh ? FRESH : GIVEN;
    if (options.delay !== undefined && options.runAt !== undefined)
      throw new InvalidJob(job, "give delay or runAt, not both.");
    const now = this.#home.now();
    const dueAt =
      options.delay !== undefined
        ? now + toMs(options.delay, { zero: true, name: "delay" })
        : dueTime(job, options.runAt);
    if (dueAt - now > LEVEL_SECONDS_MAX * 1000)
      throw new DelayTooLong(job, dueAt - now, LEVEL_SECONDS_MAX * 1000);
    return dueAt <= now ? { fresh } : { dueAt, fresh };
  }

  #check(): void {
    if (this.#home.stopping()) throw new RuntimeStopped(this.#home.node);
  }

  async #pause(): Promise<void> {
    this.#sinceTurn = 0;
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#unconfirmed >= MAX_UNCONFIRMED)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #confirmed(): void {
    this.#unconfirmed--;
    if (this.#waiting.length > 0 && this.#unconfirmed < MAX_UNCONFIRMED) this.#waiting.shift()?.();
  }

  /** `ends`: told before it was published; left out, nobody can say. */
  #handle(envelope: Envelope, ends?: number): JobHandle {
    const { events } = this.#home;
    if (events.wants("job.enqueued")) events.emit("job.enqueued", jobFields(envelope));
    return new JobHandle(envelope.id, envelope.partition, envelope.queue, this.#home, ends);
  }
}

/** The id is made within this call: nobody can have used it before. */
function isFresh(what: unknown, options: EnqueueOptions): boolean {
  return options.id === undefined && !(what instanceof Prepared);
}

function dueTime(job: string, runAt: unknown): number {
  const at = runAt instanceof Date ? runAt.getTime() : runAt;
  if (typeof at === "number" && Number.isFinite(at)) return at;
  throw new InvalidJob(job, "runAt: expected a valid Date, or milliseconds since the epoch.");
}

function renamed(job: Prepared, id: string): Prepared {
  const problem = checkId(id);
  if (problem !== undefined) throw new InvalidJob(job.job, `id: ${problem}.`);
  return new Prepared(
    id,
    job.job,
    job.argsText,
    job.queue,
    job.queueKey,
    job.executionKey,
    job.maxExecutionTimeMs,
  );
}
