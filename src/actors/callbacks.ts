/**
 * The host's callbacks around a run (Roger's `Worker.Callback`), called in order on the main thread.
 *
 * Owns nothing. Each is called at most once for its occasion. One that throws is an event and changes nothing
 * else; only `beforeRun` can veto a run, by throwing.
 */
import type { Envelope } from "../jobs/envelope.ts";
import { toError } from "../kernel/exit.ts";
import type { EventHub } from "./events.ts";

/** What a callback gets of a job. `args` are parsed at first use. */
export interface CallbackJob {
  readonly id: string;
  readonly job: string;
  readonly partition: string;
  readonly queue: string;
  readonly queueKey: string | undefined;
  readonly executionKey: string | undefined;
  readonly attempt: number;
  readonly enqueuedAt: number;
  readonly args: unknown;
}

export interface Callbacks {
  /** Its value comes back as `state`; a throw makes the attempt fail with kind `crash`. */
  beforeRun?(partition: string, job: CallbackJob): unknown;
  afterRun?(partition: string, job: CallbackJob, result: unknown, state: unknown): unknown;
  /** An attempt failed and will be retried, or the job does not retry. */
  onError?(partition: string, job: CallbackJob, error: Error, state: unknown): unknown;
  /** Whenever a job becomes buried. */
  onBuried?(partition: string, job: CallbackJob, error: Error, state: unknown): unknown;
  onCancel?(partition: string, job: CallbackJob): unknown;
}

export type CallbackName = keyof Callbacks;

const NAMES: readonly CallbackName[] = ["beforeRun", "afterRun", "onError", "onBuried", "onCancel"];

/** The job as a callback sees it; parsing the args waits until somebody reads them. */
export function callbackJob(envelope: Envelope): CallbackJob {
  let args: unknown;
  let parsed = false;
  return {
    id: envelope.id,
    job: envelope.job,
    partition: envelope.partition,
    queue: envelope.queue,
    queueKey: envelope.queueKey,
    executionKey: envelope.executionKey,
    attempt: envelope.attempt,
    enqueuedAt: envelope.enqueuedAt,
    get args() {
      if (!parsed) {
        args = JSON.parse(envelope.argsText);
        parsed = true;
      }
      return args;
    },
  };
}

export class CallbackList {
  readonly #list: readonly Callbacks[];
  readonly #hub: EventHub;
  /** Looked at once a job, so kept as a set. */
  readonly #names: ReadonlySet<CallbackName>;

  constructor(list: readonly Callbacks[], hub: EventHub) {
    this.#list = list;
    this.#hub = hub;
    this.#names = new Set(NAMES.filter((name) => list.some((c) => c[name] !== undefined)));
  }

  has(name: CallbackName): boolean {
    return this.#names.has(name);
  }

  /** One state a callback object, in its order; rejects with what the first veto threw. */
  async beforeRun(envelope: Envelope): Promise<readonly unknown[]> {
    const job = callbackJob(envelope);
    const states: unknown[] = [];
    for (const callbacks of this.#list) states.push(await callbacks.beforeRun?.(envelope.partition, job));
    return states;
  }

  afterRun(envelope: Envelope, result: unknown, states: readonly unknown[]): Promise<void> {
    return this.#each("afterRun", envelope, (c, job, i) =>
      c.afterRun?.(envelope.partition, job, result, states[i]),
    );
  }

  onError(envelope: Envelope, error: Error, states: readonly unknown[]): Promise<void> {
    return this.#each("onError", envelope, (c, job, i) =>
      c.onError?.(envelope.partition, job, error, states[i]),
    );
  }

  onBuried(envelope: Envelope, error: Error, states: readonly unknown[]): Promise<void> {
    return this.#each("onBuried", envelope, (c, job, i) =>
      c.onBuried?.(envelope.partition, job, error, states[i]),
    );
  }

  onCancel(envelope: Envelope): Promise<void> {
    return this.#each("onCancel", envelope, (c, job) => c.onCancel?.(envelope.partition, job));
  }

  async #each(
    name: CallbackName,
    envelope: Envelope,
    call: (c: Callbacks, job: CallbackJob, index: number) => unknown,
  ): Promise<void> {
    if (!this.has(name)) return;
    const job = callbackJob(envelope);
    for (const [index, callbacks] of this.#list.entries()) {
      try {
        await call(callbacks, job, index);
      } catch (thrown) {
        this.#hub.emit("callback.failed", { ...jobFields(envelope), callback: name, error: toError(thrown) });
      }
    }
  }
}

/** The fields every job event has. */
export function jobFields(envelope: Envelope) {
  const { partition, queue, id, job, attempt } = envelope;
  return { partition, queue, id, job, attempt };
}
