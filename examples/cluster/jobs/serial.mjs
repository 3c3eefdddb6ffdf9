/**
 * A job with an execution key: of one key, one runs at a time in the whole cluster, whichever node has it.
 */
import { setTimeout as wait } from "node:timers/promises";
import { defineJob } from "spillway/job";
import { write } from "../journal.mjs";

export default defineJob({
  name: "serial",
  queue: "orders",
  retry: false,
  executionKey: ({ key }) => key,
  async perform({ ms, key, journal }, context) {
    write(journal, "start", context, key);
    await wait(ms);
    write(journal, "end", context, key);
  },
});
