import { expect, test } from "vitest";
import type { BrokerFactory } from "../../src/broker/factory.ts";
import { EmbeddedBroker } from "../../src/embedded/broker.ts";
import { TUNING } from "../../src/embedded/tuning.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { brokers, collect, next, Place, start } from "./support.ts";

/** The embedded broker whose store is lost when the job "boom" is enqueued, and opened again. */
function losing(place: Place): BrokerFactory {
  const tuning = { ...TUNING, faults: { failCommit: { id: "boom", kind: "IOERR" } } } as const;
  return {
    kind: "embedded",
    create: (context) => new EmbeddedBroker({ path: place.store, ...context, tuning }),
  };
}

const [, embedded] = brokers;

async function lose(runtime: Runtime): Promise<void> {
  const [lost, connected] = [next(runtime, "broker.lost"), next(runtime, "broker.connected")];
  const boom = runtime.enqueue("sum", { x: 1 }, { partition: "p", id: "boom" });
  await expect(boom).rejects.toMatchObject({ code: "EnqueueOutcomeUnknown" });
  await lost;
  await connected;
}

test("bodies that run while the store is opened anew adopt their deliveries: none runs twice, keys and slots come back", async () => {
  const place = new Place();
  const runtime = await start(embedded, place, { broker: losing(place) });
  const [until, log] = [place.path(), place.path()];
  const completed = collect(runtime, "job.completed");
  const started = next(runtime, "job.started");
  const args = ["a", "b", "c", "d"].map((name) => ({ until, log, name, executionKey: "k" }));
  const handles = await runtime.enqueueMany("hold", args, { partition: "p" });
  await started;
  await lose(runtime);
  expect(await runtime.execute("sum", { x: 1 }, { partition: "p" })).toBe(2);
  place.open(until);
  await Promise.all(handles.map((handle) => handle.result()));
  expect(place.lines(log)).toEqual(args.flatMap(({ name }) => [`start ${name}`, `end ${name}`]));
  expect(completed.filter((e) => e.job === "hold").length).toBe(4);
  expect(await runtime.node.counts()).toMatchObject({ running: 0, waiting: 0 });
  expect((await runtime.node.partitions()).p?.default).toMatchObject({ ready: 0, waiting: 0, running: 0 });
});

test("a pause that meets deliveries that come again hands back what waits and lets the body that runs go on", async () => {
  const place = new Place();
  const runtime = await start(embedded, place, { broker: losing(place), watermark: 1 });
  const [until, log] = [place.path(), place.path()];
  const started = next(runtime, "job.started");
  const first = await runtime.enqueue("hold", { until, log, name: "a" }, { partition: "p" });
  await started;
  const rest = await runtime.enqueueMany(
    "hold",
    [
      { log, name: "b" },
      { log, name: "c" },
    ],
    { partition: "p" },
  );
  await lose(runtime);
  await runtime.queues.pause("p", "default");
  place.open(until);
  await runtime.queues.resume("p", "default");
  await Promise.all([first, ...rest].map((handle) => handle.result()));
  expect(place.lines(log).filter((line) => line.startsWith("start"))).toEqual([
    "start a",
    "start b",
    "start c",
  ]);
});

test("a body that ends while the store is lost is not run again, and its end is told once", async () => {
  const place = new Place();
  const runtime = await start(embedded, place, { broker: losing(place) });
  const [until, log] = [place.path(), place.path()];
  const completed = collect(runtime, "job.completed");
  const started = next(runtime, "job.started");
  const handle = await runtime.enqueue("hold", { until, log }, { partition: "p" });
  await started;
  runtime.once("broker.lost", () => place.open(until));
  await lose(runtime);
  expect(await handle.result()).toBe("hold");
  expect(await runtime.execute("sum", { x: 1 }, { partition: "p" })).toBe(2);
  expect((await runtime.node.partitions()).p?.default).toMatchObject({ ready: 0, waiting: 0, running: 0 });
  expect(place.lines(log)).toEqual(["start hold", "end hold"]);
  expect(completed.filter((e) => e.job === "hold").length).toBe(1);
});
