import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { defineJob } from "spillway/job";

export default defineJob({
  name: "digest",
  maxExecutionTime: "30 seconds",
  retry: { levels: [1, 10, 60] },
  perform({ path }, context) {
    context.log.info("reading", { path });
    return createHash("sha256").update(readFileSync(path)).digest("hex");
  },
});
