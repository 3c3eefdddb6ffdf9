/**
 * One of the three nodes: a process of its own with real threads, that runs its share of the jobs and nothing else.
 *
 * It is told what to do in its arguments, tells its parent what it sees, and stops in order when it is told to, or when
 * its parent is gone.
 */
import { Runtime, rabbitmq } from "spillway";
import { PARTITION, QUEUE } from "./plan.mjs";

const { url, prefix, name, threads, first } = JSON.parse(process.argv[2]);

const say = (message) => process.connected && process.send(message);
const log = (...parts) => say({ type: "log", text: parts.map(String).join(" ") });

const runtime = await Runtime.start({
  node: name,
  broker: rabbitmq({ url, prefix }),
  jobs: new URL("./jobs/", import.meta.url),
  partitions: { [PARTITION]: { [QUEUE]: threads } },
  threads,
  spares: 0,
  logger: { debug() {}, info() {}, warn: log, error: log },
});

for (const type of ["coordinator.elected", "coordinator.lost", "node.gone", "job.buried", "broker.lost"])
  runtime.on(type, ({ name: other, id, epoch }) => say({ type, other, id, epoch }));

async function stop() {
  await runtime.stop();
  process.exit(0);
}

process.once("message", stop);
process.once("disconnect", stop);
// Ctrl-C goes to the whole group: the parent is told too, and says what is to be done.
process.on("SIGINT", () => {});
// A partition has a coordinator from the first key, cancel or pause on; whoever asks first has the seat. This asks.
if (first) await runtime.queues.resume(PARTITION, QUEUE);
say({ type: "ready" });
