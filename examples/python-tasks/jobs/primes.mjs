/**
 * How many primes lie in a range. Its body is in `worker.py`; here is what the node must know of it.
 */
import { defineJob } from "spillway/job";

export default defineJob({
  name: "primes",
  runsIn: { worker: "python" },
  maxExecutionTime: "30 seconds",
  retry: { levels: [1, 5] },
});
