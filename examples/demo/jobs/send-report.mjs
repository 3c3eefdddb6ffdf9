/**
 * A job that must not be queued twice: one a day, by its queue key.
 */
import { defineJob } from "spillway/job";
import { writeResult } from "../results.mjs";

export default defineJob({
  name: "send-report",
  queue: "reports",
  queueKey: ({ day }) => `report:${day}`,
  perform({ into }, context) {
    return writeResult(into, context, {});
  },
});
