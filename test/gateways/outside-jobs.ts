/** One job of each kind for workers of a type, whatever the gateway that they come through. */
import { defineJob } from "../../src/jobs/index.ts";

export function outsideJobs(worker: string) {
  const runsIn = { worker };
  return [
    defineJob({ name: "plain", runsIn }),
    defineJob({ name: "again", runsIn, retry: { levels: [1] } }),
    defineJob({ name: "short", runsIn, maxExecutionTime: 300 }),
    defineJob({ name: "serial", runsIn, executionKey: () => "one" }),
  ];
}
