/**
 * The no-op that has the keys that its args give it. Without them it is the same job, of the same bytes of args when
 * they are given under another name.
 */
import { getEnvironmentData } from "node:worker_threads";
import { defineJob } from "spillway/job";

const shared = getEnvironmentData("spillway-bench");
const runs = new Int32Array(shared instanceof SharedArrayBuffer ? shared : new SharedArrayBuffer(8));

export default defineJob({
  name: "keyed",
  queueKey: ({ queueKey }) => queueKey,
  executionKey: ({ executionKey }) => executionKey,
  perform() {
    Atomics.add(runs, 0, 1);
  },
});
