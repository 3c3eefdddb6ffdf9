import { describe, expect, test } from "vitest";
import { brokers, collect, next, Place, start } from "./support.ts";

describe.each(brokers)("on $kind", (kind) => {
  test("a running body that ignores its signal is killed, and resolves as cancelled", async () => {
    const runtime = await start(kind, new Place(), { grace: { cancel: "10 ms" } });
    const started = next(runtime, "job.started");
    const killed = next(runtime, "job.killed");
    const handle = await runtime.enqueue("forever", {}, { partition: "p" });
    await started;
    expect(await handle.cancel()).toEqual({ was: "running" });
    await expect(handle.result()).rejects.toMatchObject({ code: "JobCancelled" });
    expect((await killed).reason).toBe("cancel");
    expect((await runtime.node.partitions()).p?.default).toMatchObject({
      ready: 0,
      running: 0,
      buried: 0,
      waiting: 0,
    });
  });

  test("a running body that heeds its signal ends by itself, and its thread goes on", async () => {
    const place = new Place();
    const runtime = await start(kind, place);
    const killed = collect(runtime, "job.killed");
    const started = next(runtime, "job.started");
    const handle = await runtime.enqueue("hold", { until: place.path() }, { partition: "p" });
    await started;
    await handle.cancel();
    await expect(handle.result()).rejects.toMatchObject({ code: "JobCancelled" });
    expect(killed).toEqual([]);
    expect(await runtime.execute("sum", { x: 1 }, { partition: "p" })).toBe(2);
  });

  test("a job that waits for a slot, one that waits on the broker and a scheduled one never start", async () => {
    const place = new Place();
    const runtime = await start(kind, place, { watermark: 1, partitions: { p: { default: 2 } } });
    const [until, log] = [place.path(), place.path()];
    const started = next(runtime, "job.started");
    const first = await runtime.enqueue("hold", { until }, { partition: "p" });
    await started;
    const waiting = next(runtime, "job.waiting");
    const inHand = await runtime.enqueue("hold", { log }, { partition: "p" });
    await waiting;
    const onBroker = await runtime.enqueue("hold", { log }, { partition: "p" });
    const later = await runtime.enqueue("hold", { log }, { partition: "p", delay: "1 hour" });
    expect(await inHand.cancel()).toEqual({ was: "queued" });
    expect(await onBroker.cancel()).toEqual({ was: "queued" });
    expect(await later.cancel()).toEqual({ was: "scheduled" });
    for (const handle of [inHand, onBroker, later])
      await expect(handle.result()).rejects.toMatchObject({ code: "JobCancelled" });
    place.open(until);
    await first.result();
    expect(place.lines(log)).toEqual([]);
    expect((await runtime.node.partitions()).p?.default).toMatchObject({
      ready: 0,
      scheduled: 0,
      running: 0,
      waiting: 0,
    });
  });

  test("a job that waits for an execution key is cancelled without the holder noticing, and the key goes to the next", async () => {
    const place = new Place();
    const runtime = await start(kind, place);
    const [until, log] = [place.path(), place.path()];
    const started = next(runtime, "job.started");
    const holder = await runtime.enqueue(
      "hold",
      { until, executionKey: "k", log, name: "holder" },
      { partition: "p" },
    );
    await started;
    const second = await runtime.enqueue(
      "hold",
      { executionKey: "k", log, name: "second" },
      { partition: "p" },
    );
    const third = await runtime.enqueue(
      "hold",
      { executionKey: "k", log, name: "third" },
      { partition: "p" },
    );
    expect(await second.cancel()).toEqual({ was: "queued" });
    place.open(until);
    await Promise.all([holder.result(), third.result()]);
    expect(place.lines(log)).toEqual(["start holder", "end holder", "start third", "end third"]);
  });

  test("an id that nobody has seen is marked, and never starts when it comes", async () => {
    const runtime = await start(kind, new Place());
    expect(await runtime.cancel("p", "later")).toEqual({ was: "marked" });
    const handle = await runtime.enqueue("sum", { x: 1 }, { partition: "p", id: "later" });
    await expect(handle.result()).rejects.toMatchObject({ code: "JobCancelled" });
  });

  test("a buried job is left as it is", async () => {
    const runtime = await start(kind, new Place());
    const handle = await runtime.enqueue("flaky", { final: true }, { partition: "p" });
    await handle.result().catch(() => {});
    expect(await handle.cancel()).toEqual({ was: "buried" });
    expect(await runtime.buried.list("p", "default")).toHaveLength(1);
  });

  test("cancelling frees the queue key", async () => {
    const place = new Place();
    const runtime = await start(kind, place);
    const started = next(runtime, "job.started");
    const first = await runtime.enqueue("hold", { until: place.path(), queueKey: "k" }, { partition: "p" });
    await started;
    await first.cancel();
    await first.result().catch(() => {});
    expect(await runtime.execute("hold", { queueKey: "k" }, { partition: "p" })).toBe("hold");
  });

  test("onCancel is called once, and no other callback for a cancelled job", async () => {
    const place = new Place();
    const calls: string[] = [];
    const callbacks = {
      onCancel: () => void calls.push("onCancel"),
      onError: () => void calls.push("onError"),
      onBuried: () => void calls.push("onBuried"),
      afterRun: () => void calls.push("afterRun"),
    };
    const runtime = await start(kind, place, { callbacks });
    const started = next(runtime, "job.started");
    const handle = await runtime.enqueue("hold", { until: place.path() }, { partition: "p" });
    await started;
    await Promise.all([handle.cancel(), handle.cancel()]);
    await handle.result().catch(() => {});
    await runtime.stop();
    expect(calls).toEqual(["onCancel"]);
  });
});
