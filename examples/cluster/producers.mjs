/**
 * The two that enqueue. Each job with a queue key is enqueued by both at once, and one of them must be refused.
 *
 * Owns two runtimes that run nothing. What was answered to each call and when is kept here: what was confirmed is owed.
 */
import { setTimeout as wait } from "node:timers/promises";
import { Runtime, rabbitmq } from "spillway";
import once from "./jobs/once.mjs";
import plain from "./jobs/plain.mjs";
import serial from "./jobs/serial.mjs";
import { now } from "./journal.mjs";
import { PARTITION, QUEUE } from "./plan.mjs";

const AGAIN_MS = 100;
const LOOK_MS = 20;
/** An enqueue that was not confirmed so long after it was due has failed. */
const PATIENCE_MS = 60_000;
/** Stored or not, nobody can tell, or surely not: enqueuing the same id again is right. */
const AGAIN = new Set([
  "EnqueueOutcomeUnknown",
  "BrokerUnreachable",
  "BrokerBlocked",
  "CoordinatorUnavailable",
]);
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

export class Producers {
  /** When, by id of each job that was confirmed. */
  confirmed = new Map();
  /** Of each that was refused: whose job had its key. */
  refused = new Map();
  /** Calls to the coordinator, when each was made and when it was answered, whatever the answer was. */
  calls = [];
  /** Calls that had to be repeated, by code. */
  again = {};
  #starting = [];
  #runtimes = [];
  #leaving = false;

  async start({ url, prefix }) {
    this.#starting = ["producer-1", "producer-2"].map((name) =>
      Runtime.start({
        node: name,
        broker: rabbitmq({ url, prefix }),
        // Declared here, and consumed by the nodes alone.
        partitions: { [PARTITION]: { [QUEUE]: 0 } },
        logger: SILENT,
      }),
    );
    this.#runtimes = await Promise.all(this.#starting);
  }

  /**
   * What is due is sent, whether or not what was sent before has been answered. Where `mustWait` says so it is due later,
   * and all that follows too.
   */
  async enqueue(plan, journal, mustWait) {
    let zero = now();
    const sent = [];
    for (const [index, job] of plan.entries()) {
      const early = job.dueMs - (now() - zero);
      if (early > 1) await wait(early);
      while (mustWait(index) && !this.#leaving) {
        await wait(LOOK_MS);
        zero = Math.max(zero, now() - job.dueMs);
      }
      if (this.#leaving) return;
      const [one, other] = index % 2 === 0 ? this.#runtimes : [...this.#runtimes].reverse();
      sent.push(this.#send(job, journal, one, other));
      sent.at(-1).catch(() => {}); // heard below
    }
    await Promise.all(sent);
  }

  async #send({ kind, id, key, ms }, journal, one, other) {
    if (kind === "plain") return this.#put(one, plain, { ms, journal }, id);
    if (kind === "serial") return this.#put(one, serial, { ms, key, journal }, id);
    const args = { ms, order: `order-${id}`, journal };
    await Promise.all([this.#put(one, once, args, `${id}-1`), this.#put(other, once, args, `${id}-2`)]);
  }

  async #put(runtime, definition, args, id) {
    const sentAt = now();
    const until = Date.now() + PATIENCE_MS;
    while (!this.#leaving) {
      try {
        await runtime.enqueue(definition, args, { partition: PARTITION, id });
        return this.#answered(definition, sentAt, id);
      } catch (error) {
        // that its own id is there: an earlier call had stored it
        if (error.code === "DuplicateJob") return this.#answered(definition, sentAt, id, error.holder);
        if (!AGAIN.has(error.code) || Date.now() > until) throw error;
        this.again[error.code] = (this.again[error.code] ?? 0) + 1;
        await wait(AGAIN_MS);
      }
    }
  }

  #answered(definition, sentAt, id, holder = id) {
    const at = now();
    if (definition === once) this.calls.push({ sentAt, at });
    if (holder === id) this.confirmed.set(id, at);
    else this.refused.set(id, holder);
  }

  /** What waits on the broker, or is in some node's hands. */
  async waiting() {
    const [queue] = await this.#runtimes[0].queues.list();
    return (queue?.ready ?? 0) + (queue?.unsettled ?? 0);
  }

  /** What is left when all has ended and the nodes are no more; it is removed. */
  async left() {
    const [runtime] = this.#runtimes;
    const buried = await runtime.buried.list(PARTITION, QUEUE);
    return buried.length + (await runtime.queues.purge(PARTITION, QUEUE));
  }

  /** Also one that is starting: it would declare again what is deleted next. */
  async stop() {
    this.#leaving = true;
    const started = await Promise.allSettled(this.#starting);
    await Promise.all(started.map(({ value }) => value?.stop()));
  }
}
