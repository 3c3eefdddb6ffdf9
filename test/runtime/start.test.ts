import { expect, test } from "vitest";
import { startRuntime } from "../../src/runtime/runtime.ts";
import { brokers, jobs, Place, quiet, start } from "./support.ts";

test("a start that fails is told once, by its rejection, and leaves nothing behind", async () => {
  const [, kind] = brokers;
  const place = new Place();
  const holder = await start(kind, place);
  const logged: unknown[] = [];
  const logger = { ...quiet, error: (...args: unknown[]) => void logged.push(args) };
  await expect(startRuntime({ broker: kind.of(place), jobs, logger }, {})).rejects.toMatchObject({
    code: "BrokerInUse",
  });
  expect(logged).toEqual([]);
  await holder.stop();
  const next = await start(kind, place);
  expect(await next.execute("sum", { x: 1 }, { partition: "p" })).toBe(2);
});

test("a root that gives up ends the runtime: ended resolves, who waits is told, and calls are RuntimeStopped", async () => {
  const place = new Place();
  const runtime = await start(brokers[0], place);
  const handle = await runtime.enqueue("hold", { until: place.path() }, { partition: "p" });
  const result = expect(handle.result()).rejects.toMatchObject({ code: "ResultUnknown" });
  const root = runtime.kernel.whereis("runtime");
  if (root === undefined) throw new Error("the tree has no root");
  await runtime.kernel.kill(root);
  await Promise.all([runtime.ended, result]);
  await expect(runtime.enqueue("sum", { x: 1 }, { partition: "p" })).rejects.toMatchObject({
    code: "RuntimeStopped",
  });
});
