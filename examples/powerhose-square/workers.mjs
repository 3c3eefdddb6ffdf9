/**
 * Five workers, each in a process of its own, started again when one ends.
 *
 *   node examples/powerhose-square/workers.mjs ENDPOINT FOLDER
 */
import { fileURLToPath } from "node:url";
import { Workers } from "spillway/gateways";

const [endpoint, folder] = process.argv.slice(2);
const worker = fileURLToPath(new URL("./worker.mjs", import.meta.url));

const workers = new Workers([process.execPath, worker, endpoint, `ipc://${folder}/worker-$WID.ipc`]);
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void workers.stop());
await workers.start();
