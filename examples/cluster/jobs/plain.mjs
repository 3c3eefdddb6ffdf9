/**
 * A job without keys: no coordinator hears of it, and it goes on when there is none.
 */
import { setTimeout as wait } from "node:timers/promises";
import { defineJob } from "spillway/job";
import { write } from "../journal.mjs";

export default defineJob({
  name: "plain",
  queue: "orders",
  retry: false,
  async perform({ ms, journal }, context) {
    write(journal, "start", context);
    await wait(ms);
    write(journal, "end", context);
  },
});
