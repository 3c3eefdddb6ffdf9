/** Waits for a lock that nobody gives back, with the whole thread asleep. In TypeScript: the stack has these lines. */
import { defineJob } from "spillway/job";

interface Lock {
  readonly cell: Int32Array;
}

function acquire(lock: Lock): string {
  return Atomics.wait(lock.cell, 0, 0);
}

export default defineJob({
  name: "lock",
  queue: "wild",
  maxExecutionTime: 500,
  perform(): string {
    const lock: Lock = { cell: new Int32Array(new SharedArrayBuffer(4)) };
    return acquire(lock);
  },
});
