import { expect, test } from "vitest";
import { brokers, next, Place, start } from "./support.ts";

test("jobs handed ahead behind bodies that turned out long give way to another partition's job, in order", async () => {
  const place = new Place();
  const partitions = { busy: { default: 64 }, calm: { default: 1 } };
  const runtime = await start(brokers[0], place, { partitions });
  const log = place.path();
  for (let i = 0; i < 40; i++) await runtime.execute("hold", {}, { partition: "busy" }); // learned: this type is short
  const jobs = Array.from({ length: 40 }, (_, i) => ({ log, until: place.path(), name: `${i}` }));
  const waiting = new Set<string>();
  const givenBack = new Promise<void>((resolve) => {
    runtime.on("job.waiting", ({ id }) => void (waiting.add(id).size === 38 && resolve()));
  });
  const backlog = await runtime.enqueueMany("hold", jobs, { partition: "busy" });
  await givenBack;
  const calm = await runtime.enqueue("hold", { log, name: "calm" }, { partition: "calm" });
  let ended = false;
  const done = calm.result().then(() => {
    ended = true;
  });
  let opened = 0;
  // until it has its slot, which is what is promised; when its thread then gets the CPU is the machine's business
  while (!ended && (await runtime.node.runningJobs("calm")).length === 0) {
    const completed = next(runtime, "job.completed");
    place.open(jobs[opened++]?.until ?? "");
    await completed;
  }
  // two ran when it came; each of their slots may give one more job its turn before it
  expect(opened).toBeLessThanOrEqual(4);
  for (const { until } of jobs) place.open(until);
  await Promise.all([done, ...backlog.map((handle) => handle.result())]);
  const starts = place.lines(log).filter((line) => line.startsWith("start") && line !== "start calm");
  expect(new Set(starts).size).toBe(40);
  expect(starts).toHaveLength(40);
});
