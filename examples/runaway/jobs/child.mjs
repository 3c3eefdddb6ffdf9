/** Waits, with its whole thread, for a command that takes a minute. The command ends with the body. */
import { execSync } from "node:child_process";
import { defineJob } from "spillway/job";

export default defineJob({
  name: "child",
  queue: "wild",
  maxExecutionTime: 500,
  perform: () => execSync("sleep 60"),
});
