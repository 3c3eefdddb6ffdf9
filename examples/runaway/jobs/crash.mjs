/** Dies as a native addon does that has read where nothing is. In a process of its own it dies alone. */
import { defineJob } from "spillway/job";

export default defineJob({
  name: "crash",
  queue: "wild",
  runsIn: "process",
  maxExecutionTime: "10 seconds",
  perform: () => process.kill(process.pid, "SIGSEGV"),
});
