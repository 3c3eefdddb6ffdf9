/**
 * Gloom's daemon as its authors had it: four slaves that echo, a master that submits, and a look at priorities.
 *
 *   node examples/gloom-echo/echo.mjs [JOBS]
 *
 * Exit code 0 only when every job came back with what it was sent.
 */
import { startGloom } from "spillway/gateways";
import { peer } from "./peer.mjs";

const JOBS = Number(process.argv[2] ?? 5_000);
const SLAVES = 4;

const daemon = await startGloom({ masterPort: 0, slavePort: 0 });
const { masterPort, slavePort } = daemon.address;
console.log(`gloom listens: masters on port ${masterPort}, slaves on port ${slavePort}`);

const missing = new Set(Array.from({ length: JOBS }, (_, n) => n));
const order = [];
let finished = () => {};
const done = new Promise((resolve) => {
  finished = resolve;
});

const master = await peer(masterPort, ({ id, body, error, reason }) => {
  if (error !== undefined) throw new Error(`${error}: ${JSON.stringify(reason)}`);
  if (body === undefined) return; // taken
  order.push(id);
  if (id === body.n) missing.delete(id);
  if (order.length === JOBS) finished();
});

// Submitted before there is a slave, so that priorities have something to order: the last third goes first.
const startedAt = performance.now();
for (let n = 0; n < JOBS; n += 1) {
  const priority = n >= (2 * JOBS) / 3 ? 1 : 0;
  master.say({ action: "submit", id: n, type: "echo", priority, body: { n, text: "hello" } });
}
for (let n = 0; n < SLAVES; n += 1) {
  const slave = await peer(slavePort, ({ action, body }) => {
    if (action === "job") slave.say({ action: "respond", body });
  });
  slave.say({ action: "join", type: "echo" });
}

await done;
const seconds = (performance.now() - startedAt) / 1_000;
console.log(
  `${JOBS} jobs through ${SLAVES} slaves in ${seconds.toFixed(2)} s, ${Math.round(JOBS / seconds)} a second`,
);
console.log(`the first to come back was ${order[0]}, the last ${order.at(-1)}; not echoed: ${missing.size}`);
await daemon.stop();
process.exitCode = missing.size === 0 ? 0 : 1;
