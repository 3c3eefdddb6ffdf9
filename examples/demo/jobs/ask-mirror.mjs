/**
 * A body that fails twice and then succeeds: what it asks is not there yet.
 */
import { defineJob } from "spillway/job";
import { writeResult } from "../results.mjs";

export default defineJob({
  name: "ask-mirror",
  queue: "beside",
  retry: { levels: [1, 1] },
  perform({ into }, context) {
    if (context.attempt < 2) throw new Error("the mirror does not answer");
    return writeResult(into, context, {});
  },
});
