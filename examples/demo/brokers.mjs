/**
 * The brokers that the demo runs on: how each is made, where it is in words, and in what it differs.
 *
 * The embedded store and memory are this process's own. RabbitMQ's queues are there before it and after it: a fresh
 * start empties them, and every run has ids of its own, so that what an old run left in a retry queue is told apart.
 */
import { embedded, memory, rabbitmq } from "spillway";
import { PARTITION } from "./plan.mjs";

const CONCURRENCY = 64;
/** Reports wait until both of one key have been enqueued: so the second is always refused. */
const USUAL = {
  closed: { files: CONCURRENCY, beside: CONCURRENCY, reports: 0 },
  open: { files: CONCURRENCY, beside: CONCURRENCY, reports: CONCURRENCY },
  doubtMs: 0,
  looks: 2,
};

const MADE = {
  memory: () => ({ ...USUAL, factory: memory() }),
  embedded: (_options, ledger) => ({ ...USUAL, factory: embedded({ path: ledger.storePath }) }),
  rabbitmq: ({ url, prefix }, ledger) => ({
    ...USUAL,
    outlivesUs: true,
    // A queue that the run before has used is not young any more: enqueues need not wait until it can be relied on.
    factory: rabbitmq({ url, prefix, ...(ledger.confirmed.size > 0 ? { newQueueGrace: 0 } : {}) }),
    // Nothing runs before the queues have been looked at.
    closed: { files: 0, beside: 0, reports: 0 },
    // What a dead process had in hand is given out again when no other node can have it: nodeTimeout, and a look.
    doubtMs: 11_000,
    // Retries wait where they cannot be counted, so an empty queue is believed only after so many looks.
    looks: 30,
  }),
};

export function brokerOf(options, ledger) {
  return MADE[options.broker](options, ledger);
}

/** Forgets what an earlier run left on a broker that outlives us; with the counts, for people. */
export async function emptied(runtime, queues) {
  let purged = 0;
  let dropped = 0;
  for (const queue of queues) {
    for (let more = 1; more > 0; purged += more) more = await runtime.queues.purge(PARTITION, queue);
    dropped += (await runtime.buried.drop(PARTITION, queue, "all")).length;
  }
  return { purged, dropped };
}
