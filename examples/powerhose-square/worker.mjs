/**
 * A worker that calculates the square of a number.
 *
 *   node examples/powerhose-square/worker.mjs ENDPOINT WORKPOINT
 */
import { PowerhoseWorker } from "spillway/gateways";

const [endpoint, workpoint] = process.argv.slice(2);

const square = ([, data]) => {
  const number = Number(data);
  return String(number * number);
};

const worker = new PowerhoseWorker(endpoint, workpoint, square);
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void worker.stop());
await worker.run();
