/** What the service is for: a short job, again and again, beside those that do not end. */
import { createHash } from "node:crypto";
import { defineJob } from "spillway/job";

export default defineJob({
  name: "digest",
  queue: "beside",
  perform: ({ text }) => createHash("sha256").update(text).digest("hex"),
});
