/**
 * A body that takes its time, and writes down that it starts and that it ends: that is what is counted.
 */
import { setTimeout as wait } from "node:timers/promises";
import { defineJob } from "spillway/job";
import { write } from "../journal.mjs";

export default defineJob({
  name: "long",
  queue: "long",
  async perform({ seconds, journal }, context) {
    write(journal, "start", context);
    await wait(seconds * 1_000);
    write(journal, "end", context);
  },
});
