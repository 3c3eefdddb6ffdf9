/**
 * Python tasks over three worker processes, of which one is killed half-way. Nothing is lost.
 *
 *   node examples/python-tasks/tasks.mjs [TASKS]
 *
 * Exit code 0 only when every task has its result, the sum is right, and no attempt was spent.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { embedded, Runtime } from "spillway";
import { gloom, Workers } from "spillway/gateways";
import primes from "./jobs/primes.mjs";

const TASKS = Number(process.argv[2] ?? 60);
const WORKERS = 3;
const RANGE = 1_000;
const PARTITION = { partition: "maths" };

const folder = mkdtempSync(join(tmpdir(), "spillway-python-"));
const gateway = gloom({ masterPort: 0, slavePort: 0 });
const runtime = await Runtime.start({
  broker: embedded({ path: folder }),
  jobs: new URL("./jobs/", import.meta.url),
  partitions: { maths: { default: 20 } },
  gateways: [gateway],
});

let failures = 0;
runtime.on("job.failed", ({ id, error }) => {
  failures += 1;
  console.log(`${id} failed: ${error.message}`);
});
const present = new Promise((resolve) => {
  let joined = 0;
  runtime.on("worker.joined", ({ worker }) => {
    console.log(`${worker} is here`);
    joined += 1;
    if (joined === WORKERS) resolve();
  });
});
runtime.on("worker.left", ({ worker, reason }) => console.log(`${worker} has left: ${reason}`));

const script = fileURLToPath(new URL("./worker.py", import.meta.url));
const workers = new Workers(["python3", script, String(gateway.address.slavePort), "$WID"], WORKERS, {
  onExit: ({ message }) => console.log(message),
});
await workers.start();
await present;

let ended = 0;
runtime.on("job.completed", () => {
  ended += 1;
  if (ended !== Math.ceil(TASKS / 2)) return;
  const [victim] = workers.running;
  console.log(`${ended} of ${TASKS} are done; worker ${victim.wid} (process ${victim.pid}) is killed now`);
  process.kill(victim.pid, "SIGKILL");
});

const ranges = Array.from({ length: TASKS }, (_, n) => ({ from: n * RANGE, to: (n + 1) * RANGE }));
const handles = await runtime.enqueueMany(primes, ranges, PARTITION);
const results = await Promise.all(handles.map((handle) => handle.result()));

const byProcess = grouped(results);
for (const [pid, done] of byProcess)
  console.log(`worker ${done[0].worker}, process ${pid}: ${done.length} tasks`);
const found = results.reduce((sum, result) => sum + result.primes, 0);
const right = found === countPrimes(TASKS * RANGE);
console.log(
  `${results.length} results of ${TASKS}, ${found} primes, which is ${right ? "right" : "wrong"}; failed attempts: ${failures}`,
);

await runtime.stop();
await workers.stop();
rmSync(folder, { recursive: true, force: true });
process.exitCode = right && failures === 0 && byProcess.size >= WORKERS ? 0 : 1;

function grouped(list) {
  const groups = new Map();
  for (const one of list) groups.set(one.pid, [...(groups.get(one.pid) ?? []), one]);
  return groups;
}

/** A sieve, to have it from somebody else. */
function countPrimes(below) {
  const composite = new Uint8Array(below);
  let count = 0;
  for (let n = 2; n < below; n += 1) {
    if (composite[n] === 1) continue;
    count += 1;
    for (let m = n * n; m < below; m += n) composite[m] = 1;
  }
  return count;
}
