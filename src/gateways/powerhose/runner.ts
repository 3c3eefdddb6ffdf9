/**
 * `JobRunner`: Powerhose's master as its authors had it, jobs in the hands of whoever calls `execute`.
 *
 * Owns a master, and which jobs wait for a worker; it keeps nothing when it stops. For jobs that must not be lost there is
 * the runtime, whose gateway this is too (`powerhose`).
 */
import { type Kept, Upkeep } from "../../actors/external/upkeep.ts";
import { type Duration, toMs } from "../../jobs/duration.ts";
import { systemClock } from "../../kernel/clock.ts";
import { ExecutionFailed, NoWorker } from "../errors.ts";
import { BEAT_MS, type Hand } from "./hand.ts";
import { Master, type MasterWatch } from "./master.ts";
import {
  type CheckedRunner,
  checkRunnerOptions,
  DEFAULT_ENDPOINT,
  type JobRunnerOptions,
} from "./options.ts";
import type { Answer } from "./wire.ts";

type Ended = Answer | { readonly t: "lost"; readonly why: string };

interface Waiting {
  take(hand: Hand): void;
  stop(): void;
}

const STOPPED = "the runner has stopped";
const LATER = "its worker wants to run it later, which only a runtime does";

export class JobRunner {
  readonly #endpoint: string;
  readonly #options: CheckedRunner;
  readonly #upkeep: Upkeep;
  readonly #workers = new Map<Hand, Kept>();
  /** The longest idle first. */
  readonly #free = new Set<Hand>();
  readonly #waiting = new Set<Waiting>();
  readonly #asked = new Map<Hand, (ended: Ended) => void>();
  readonly #watch: MasterWatch = {
    joined: (hand) => this.#joined(hand),
    heard: (hand) => this.#heard(hand),
    answered: (hand, answer) => this.#answered(hand, answer),
    left: (hand, why) => this.#left(hand, why),
  };
  #master: Master | undefined;
  #started: Promise<void> | undefined;
  #bound: string | undefined;

  /**
   * Listens where workers register once it is started. Needs the package `zeromq`.
   * @throws InvalidOptions
   */
  constructor(endpoint: string = DEFAULT_ENDPOINT, options: JobRunnerOptions = {}) {
    this.#options = checkRunnerOptions(endpoint, options);
    this.#endpoint = endpoint;
    this.#upkeep = new Upkeep({ ...this.#options, clock: systemClock });
  }

  /** Where it listens: a port of 0 has become one that is free. */
  get endpoint(): string {
    return this.#bound ?? this.#endpoint;
  }

  /** The workpoints of those that are ready or have a job. */
  get workers(): readonly string[] {
    return [...this.#workers.keys()].map(({ caller }) => caller.workpoint);
  }

  /**
   * Resolves when workers can register.
   * @throws ZeromqMissing, EndpointUnavailable
   */
  start(): Promise<void> {
    this.#started ??= this.#start();
    return this.#started;
  }

  async #start(): Promise<void> {
    const { maxMessage, maxWorkers } = this.#options;
    const master = new Master({ endpoint: this.#endpoint, maxMessage, maxWorkers }, this.#watch);
    this.#master = master;
    try {
      const bound = await master.start();
      // It may have been stopped meanwhile.
      if (this.#master === master) this.#bound = bound;
      else await master.stop();
    } catch (error) {
      if (this.#master === master) {
        this.#master = undefined;
        this.#started = undefined;
      }
      throw error;
    }
  }

  /**
   * What waits or runs fails with `ExecutionFailed`; resolves when another may listen there. May be called twice, and
   * started again after it.
   */
  async stop(): Promise<void> {
    const master = this.#master;
    const started = this.#started;
    this.#master = undefined;
    this.#started = undefined;
    this.#bound = undefined;
    const closed = master?.stop();
    for (const one of [...this.#waiting]) one.stop();
    await closed;
    await started?.catch(() => {});
  }

  /**
   * Resolves with a worker's result. `timeout` is for each worker that is tried: one that is late, gone, or answers what is
   * none, is followed by another, up to `retries` in all. `id` only names the job; it need not be its own.
   * @throws ExecutionFailed, also at once for a body that failed where its worker can say so; NoWorker
   */
  async execute(id: string, data: string, timeout: Duration = 1_000): Promise<string> {
    const timeoutMs = toMs(timeout);
    let why = STOPPED;
    for (let tries = 1; tries <= this.#options.retries; tries += 1) {
      const hand = await this.#worker(id, tries);
      const ended = await this.#ask(hand, id, data, timeoutMs);
      if (ended.t === "result") return ended.text;
      if (ended.t === "failed") {
        const { name, message } = ended.failure;
        throw new ExecutionFailed(id, tries, `${name}: ${message}`, { cause: ended.failure });
      }
      if (ended.t === "snoozed") throw new ExecutionFailed(id, tries, LATER);
      why = ended.why;
    }
    throw new ExecutionFailed(id, this.#options.retries, why);
  }

  /** The one that has been idle longest, now or within `wait`. */
  #worker(id: string, tries: number): Promise<Hand> {
    const failed = (why: string) => Promise.reject(new ExecutionFailed(id, tries - 1, why));
    if (this.#master === undefined) return failed(tries === 1 ? "the runner is not started" : STOPPED);
    const [hand] = this.#free;
    if (hand !== undefined) {
      this.#free.delete(hand);
      return Promise.resolve(hand);
    }
    const { maxWaiting, waitMs } = this.#options;
    if (this.#waiting.size >= maxWaiting) return failed(`${maxWaiting} jobs wait for a worker already`);
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer);
        this.#waiting.delete(waiting);
      };
      const waiting: Waiting = {
        take: (free) => {
          leave();
          resolve(free);
        },
        stop: () => {
          leave();
          reject(new ExecutionFailed(id, tries - 1, STOPPED));
        },
      };
      const timer = setTimeout(() => {
        leave();
        reject(new NoWorker(this.endpoint, waitMs));
      }, waitMs);
      this.#waiting.add(waiting);
    });
  }

  #ask(hand: Hand, id: string, data: string, timeoutMs: number): Promise<Ended> {
    if (!hand.give(id, data)) {
      this.#offer(hand);
      const message = `its id or data hold ${hand.caller.separator}, which stands between the parts of a message`;
      const failure = { name: "Unsendable", message, stack: undefined, final: true };
      return Promise.resolve({ t: "failed", failure });
    }
    return new Promise((resolve) => {
      const timer = setTimeout(() => hand.end(`no answer within ${timeoutMs} ms`), timeoutMs);
      this.#asked.set(hand, (ended) => {
        clearTimeout(timer);
        this.#asked.delete(hand);
        resolve(ended);
      });
    });
  }

  /** To who waits longest, or to the end of those that are free. */
  #offer(hand: Hand): void {
    const kept = this.#workers.get(hand);
    if (kept === undefined || this.#upkeep.retire(kept)) return;
    const [first] = this.#waiting;
    if (first === undefined) this.#free.add(hand);
    else first.take(hand);
  }

  #joined(hand: Hand): void {
    const kept: Kept = {
      get busy() {
        return hand.busy;
      },
      hears: false,
      beatMs: BEAT_MS,
      ping: () => {},
      end: (why, body) => (body ? hand.end(why) : this.#master?.dismiss(hand, why)),
    };
    this.#workers.set(hand, kept);
    this.#upkeep.admit(kept);
    this.#offer(hand);
  }

  #heard(hand: Hand): void {
    const kept = this.#workers.get(hand);
    if (kept !== undefined) this.#upkeep.heard(kept);
  }

  #answered(hand: Hand, answer: Answer): void {
    this.#heard(hand);
    this.#asked.get(hand)?.(answer);
    this.#offer(hand);
  }

  #left(hand: Hand, why: string): void {
    const kept = this.#workers.get(hand);
    this.#workers.delete(hand);
    this.#free.delete(hand);
    if (kept !== undefined) this.#upkeep.forget(kept);
    this.#asked.get(hand)?.({ t: "lost", why: `${hand.caller.workpoint}: ${why}` });
  }
}
