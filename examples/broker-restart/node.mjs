/**
 * One node: a process of its own that runs its share of the jobs and nothing else.
 *
 * It is told what to do in its arguments, tells its parent what it sees, and stops in order when it is told to, or when
 * its parent is gone.
 */
import { Runtime, rabbitmq } from "spillway";

const { url, prefix, name, share } = JSON.parse(process.argv[2]);

const say = (message) => process.connected && process.send(message);
const log = (...parts) => say({ type: "log", text: parts.map(String).join(" ") });

const runtime = await Runtime.start({
  node: name,
  broker: rabbitmq({ url, prefix }),
  jobs: new URL("./jobs/", import.meta.url),
  // A thread for each body of its share, and one for what comes after the restart.
  partitions: { shop: { long: share, late: 1 } },
  threads: share + 1,
  spares: 0,
  logger: { debug() {}, info() {}, warn: log, error: log },
});

for (const type of ["broker.lost", "broker.connected", "node.late", "node.gone"])
  runtime.on(type, ({ at, name: other }) => say({ type, at, other }));

async function stop() {
  await runtime.stop();
  process.exit(0);
}

process.once("message", stop);
process.once("disconnect", stop);
// Ctrl-C goes to the whole group: the parent is told too, and says what is to be done.
process.on("SIGINT", () => {});
say({ type: "ready" });
