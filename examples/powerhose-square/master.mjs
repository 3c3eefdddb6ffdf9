/**
 * A master that waits for its first worker, and asks for squares.
 *
 *   node examples/powerhose-square/master.mjs ENDPOINT [JOBS]
 *
 * Exit code 0 only when every result is right.
 */
import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { JobRunner } from "spillway/gateways";

const [endpoint, jobs = "20"] = process.argv.slice(2);
const runner = new JobRunner(endpoint);
await runner.start();

console.log("Waiting for some workers to register");
while (runner.workers.length < 1) await sleep(100);

let right = 0;
for (let n = 0; n < Number(jobs); n += 1) {
  const number = randomInt(1000);
  const result = await runner.execute("1", String(number), "10 seconds");
  if (result === String(number * number)) right += 1;
  if (n < 5) console.log(`${number} squared is ${result}`);
}
console.log(`${right} of ${jobs} are right`);
await runner.stop();
process.exitCode = right === Number(jobs) ? 0 : 1;
