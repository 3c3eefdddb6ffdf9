/**
 * A node in a process of its own that fills a queue and runs it down when it is told to, and counts what ran.
 *
 * Each process has a main thread and one thread for bodies: what grows with their number is both.
 */
import { setEnvironmentData } from "node:worker_threads";
import { Runtime, rabbitmq } from "spillway";
import { serve } from "./serve.mjs";

const { url, prefix, name, partition, queue, job, perThread } = JSON.parse(process.argv[2]);

const counts = new Int32Array(new SharedArrayBuffer(24));
setEnvironmentData("spillway-bench", counts.buffer);

const jobs = new URL(`../jobs/${job}.mjs`, import.meta.url);
const { default: definition } = await import(jobs.href);

const runtime = await Runtime.start({
  node: name,
  broker: rabbitmq({ url, prefix, newQueueGrace: 0 }),
  jobs,
  partitions: { [partition]: { [queue]: 0 } },
  threads: 1,
  jobsPerThread: perThread,
  spares: 0,
});

const enqueue = (group) =>
  group === 1
    ? runtime.enqueue(definition, undefined, { partition })
    : runtime.enqueueMany(definition, new Array(group).fill(undefined), { partition });

serve({
  /** So many calls in all, so many of them at once; each enqueues a group, and is over when that is confirmed. */
  async fill({ calls, group, atOnce }) {
    let left = calls;
    const caller = async () => {
      while (left-- > 0) await enqueue(group);
    };
    await Promise.all(Array.from({ length: atOnce }, caller));
  },
  consume: (concurrency) => runtime.partitions.reconfigure(partition, { [queue]: concurrency }),
  /** Lets go of the queue; all that was in this node's hands has settled by then. */
  async rest() {
    await runtime.partitions.safeStop(partition);
    await runtime.partitions.start(partition, { [queue]: 0 });
  },
  runs: () => Atomics.load(counts, 0),
  stop: () => runtime.stop(),
});
