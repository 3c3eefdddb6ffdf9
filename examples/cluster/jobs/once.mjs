/**
 * A job with a queue key: while it waits or runs, nobody can enqueue another one of that key.
 */
import { setTimeout as wait } from "node:timers/promises";
import { defineJob } from "spillway/job";
import { write } from "../journal.mjs";

export default defineJob({
  name: "once",
  queue: "orders",
  retry: false,
  queueKey: ({ order }) => order,
  async perform({ ms, journal }, context) {
    write(journal, "start", context);
    await wait(ms);
    write(journal, "end", context);
  },
});
