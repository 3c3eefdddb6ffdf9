/**
 * A node in a process of its own: it has a seat in the election of the partition's coordinator once it is told to
 * stand, enqueues under the keys it is given, and runs no job.
 *
 * Tells each election that it wins. The broker outlives every row, so nothing waits until a new queue is old enough.
 */
import { Runtime, rabbitmq } from "spillway";
import keyed from "../jobs/keyed.mjs";
import { now, serve, tell } from "./serve.mjs";

const { url, prefix, name, partition, queue, heartbeat } = JSON.parse(process.argv[2]);
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const GROUP = 1_000;

const runtime = await Runtime.start({
  node: name,
  broker: rabbitmq({ url, prefix, heartbeat, newQueueGrace: 0 }),
  jobs: new URL("../jobs/keyed.mjs", import.meta.url),
  partitions: { [partition]: { [queue]: 0 } },
  threads: 1,
  spares: 0,
  logger: SILENT, // that a coordinator is away is what is measured
});
runtime.on("coordinator.elected", ({ epoch }) => tell({ event: "elected", epoch, at: now() }));

serve({
  /** Whoever asks a coordinator something has a seat from then on. */
  stand: () => runtime.queues.resume(partition, queue),
  /** When the last of them was stored, each under its queue key. */
  async enqueue(queueKeys) {
    for (let at = 0; at < queueKeys.length; at += GROUP) {
      const args = queueKeys.slice(at, at + GROUP).map((queueKey) => ({ queueKey }));
      await runtime.enqueueMany(keyed, args, { partition });
    }
    return now();
  },
  /** How many of them some job has. */
  async held(queueKeys) {
    const asked = queueKeys.map((queueKey) => runtime.keys.isQueued(partition, queueKey));
    return (await Promise.all(asked)).filter(Boolean).length;
  },
  stop: () => runtime.stop(),
});
