import { describe, expect, test } from "vitest";
import type { Callbacks } from "../../src/actors/callbacks.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { brokers, collect, next, Place, start } from "./support.ts";

function recording(calls: unknown[][], name = ""): Callbacks {
  return {
    beforeRun: (partition, job) => {
      calls.push([`${name}beforeRun`, partition, job.attempt]);
      return `${name}state`;
    },
    afterRun: (_partition, job, result, state) =>
      void calls.push([`${name}afterRun`, job.args, result, state]),
    onError: (_partition, job, error, state) =>
      void calls.push([`${name}onError`, job.attempt, error.message.split(": ").pop(), state]),
    onBuried: (_partition, job, _error, state) => void calls.push([`${name}onBuried`, job.attempt, state]),
  };
}

describe.each(brokers)("on $kind", (kind) => {
  test("before and after a run, in order, with the state passed on", async () => {
    const calls: unknown[][] = [];
    const runtime = await start(kind, new Place(), {
      callbacks: [recording(calls), recording(calls, "second ")],
    });
    await runtime.execute("sum", { x: 1 }, { partition: "p" });
    await runtime.stop();
    expect(calls).toEqual([
      ["beforeRun", "p", 0],
      ["second beforeRun", "p", 0],
      ["afterRun", { x: 1 }, 2, "state"],
      ["second afterRun", { x: 1 }, 2, "second state"],
    ]);
  });

  test("with two levels a job that always fails gives onError(0), onError(1), onBuried(2)", async () => {
    const clock = new VirtualClock(Date.now());
    const calls: unknown[][] = [];
    const { beforeRun: _, ...callbacks } = recording(calls);
    const runtime = await start(kind, new Place(), { callbacks }, { clock });
    for (const wait of [0, 1_000]) {
      const retried = next(runtime, "job.retried");
      if (wait === 0) await runtime.enqueue("flaky", {}, { partition: "p" });
      else await clock.advance(wait);
      await retried;
    }
    const buried = next(runtime, "job.buried");
    await clock.advance(2_000);
    await buried;
    await runtime.stop();
    expect(calls).toEqual([
      ["onError", 0, "attempt 0 fails", undefined],
      ["onError", 1, "attempt 1 fails", undefined],
      ["onBuried", 2, undefined],
    ]);
  });

  test("a job that does not retry gives onError(0) and onBuried(0)", async () => {
    const calls: unknown[][] = [];
    const { beforeRun: _, ...callbacks } = recording(calls);
    const runtime = await start(kind, new Place(), { callbacks });
    await runtime.enqueue("spin", {}, { partition: "p" }).then((h) => h.result().catch(() => {}));
    await runtime.stop();
    expect(calls.map(([name, attempt]) => [name, attempt])).toEqual([
      ["onError", 0],
      ["onBuried", 0],
    ]);
  });

  test("a callback that throws is an event and changes nothing else", async () => {
    const callbacks = {
      afterRun: () => {
        throw new Error("mine");
      },
    };
    const runtime = await start(kind, new Place(), { callbacks });
    const failed = collect(runtime, "callback.failed");
    expect(await runtime.execute("sum", { x: 1 }, { partition: "p" })).toBe(2);
    expect(await runtime.execute("sum", { x: 2 }, { partition: "p" })).toBe(3);
    await runtime.stop();
    expect(failed.map((e) => [e.callback, e.error.message])).toEqual([
      ["afterRun", "mine"],
      ["afterRun", "mine"],
    ]);
  });

  test("beforeRun can veto a run: the attempt fails with kind crash and the body never starts", async () => {
    const callbacks = {
      beforeRun: async () => {
        throw new Error("not today");
      },
    };
    const runtime = await start(kind, new Place(), { callbacks });
    const started = collect(runtime, "job.started");
    const error = await runtime.execute("sum", { x: 1 }, { partition: "p" }).catch((e) => e);
    expect(error).toMatchObject({
      code: "JobBuried",
      cause: { kind: "crash", message: expect.stringContaining("not today") },
    });
    expect(started).toEqual([]);
  });
});
