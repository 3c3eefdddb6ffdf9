/**
 * Small questions to a runtime: every queue of the broker, jobs made elsewhere, when it has ended.
 */
import { expect, onTestFinished, test } from "vitest";
import { memory } from "../../src/embedded/index.ts";
import { createJob } from "../../src/jobs/create.ts";
import { defineJob } from "../../src/jobs/definition.ts";
import type { RuntimeOptions } from "../../src/runtime/options.ts";
import { Runtime } from "../../src/runtime/runtime.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const text = defineJob({ name: "text", perform: (_: string) => {} });

async function producer(options: RuntimeOptions): Promise<Runtime> {
  const runtime = await Runtime.start({ broker: memory(), logger: quiet, ...options });
  onTestFinished(async () => void (await runtime.stop()));
  return runtime;
}

test("queues.list shows every queue of the broker by partition and name, with what lies there", async () => {
  const runtime = await producer({ partitions: { b: { z: 0, a: 0 }, a: { default: 0 } } });
  await runtime.enqueue(text, "now", { partition: "b", queue: "z" });
  await runtime.enqueue(text, "later", { partition: "b", queue: "z", delay: "1 hour" });
  await runtime.queues.pause("a", "default");
  const empty = { ready: 0, scheduled: 0, buried: 0, unsettled: 0, paused: false };
  expect(await runtime.queues.list()).toEqual([
    { ...empty, partition: "a", queue: "default", paused: true },
    { ...empty, partition: "b", queue: "a" },
    { ...empty, partition: "b", queue: "z", ready: 1, scheduled: 1 },
  ]);
});

test("a job that was created under no limit is held to the limit of the runtime that enqueues it", async () => {
  const runtime = await producer({ partitions: { p: { default: 0 } }, payloadLimit: 100 });
  const [small, large] = [createJob(text, "x".repeat(50)), createJob(text, "x".repeat(100))];
  await runtime.enqueue(small, undefined, { partition: "p" });
  await expect(runtime.enqueue(large, undefined, { partition: "p" })).rejects.toMatchObject({
    code: "PayloadTooLarge",
    bytes: 102,
    limitBytes: 100,
  });
  expect(await runtime.queues.list()).toMatchObject([{ ready: 1 }]);
});

test("ended resolves when the runtime has stopped, not before", async () => {
  const runtime = await producer({ partitions: { p: { default: 0 } } });
  const order: string[] = [];
  const ended = runtime.ended.then(() => order.push("ended"));
  await runtime.enqueue(text, "x", { partition: "p" });
  order.push("enqueued");
  await runtime.stop();
  await ended;
  expect(order).toEqual(["enqueued", "ended"]);
  expect(runtime.system.isActive()).toBe(false);
});
