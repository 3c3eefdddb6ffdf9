/** A loop that steps over its own end: 0.1 ten times is not 1. */
import { defineJob } from "spillway/job";

function addUp() {
  let sum = 0;
  for (;;) {
    sum += 0.1;
    if (sum === 1) return sum;
  }
}

export default defineJob({ name: "spin", queue: "wild", maxExecutionTime: 500, perform: () => addUp() });
