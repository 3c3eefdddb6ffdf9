import { embedded, Runtime } from "spillway";
import digest from "./jobs/digest.mjs";

const runtime = await Runtime.start({
  broker: embedded({ path: "./data" }),
  jobs: new URL("./jobs/", import.meta.url),
  partitions: { myapp: { default: 10 } },
});

for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => runtime.stop());

const path = process.argv[2] ?? process.argv[1];
const handle = await runtime.enqueue(digest, { path }, { partition: "myapp" });
console.log(`${handle.id} is on the disk now, whatever happens to this process`);
console.log(await handle.result());
