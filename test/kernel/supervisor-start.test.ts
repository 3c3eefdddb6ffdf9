import { expect, test } from "vitest";
import { type ChildSpec, type Strategy, supervisor } from "../../src/kernel/index.ts";
import { actor, deferred, setup, states, take, workerSpec } from "./helpers.ts";

const start = (children: readonly ChildSpec[], strategy: Strategy = "one_for_one") => ({
  behaviour: supervisor({ strategy, children }),
});

test("children start left to right and stop right to left", async () => {
  const { kernel } = setup();
  const log: string[] = [];
  const { behaviour } = start(["a", "b", "c"].map((id) => workerSpec(log, id)));
  const ref = await kernel.start(behaviour, undefined);
  expect(take(log)).toBe("+a +b +c");
  await kernel.stop(ref);
  expect(take(log)).toBe("-c -b -a");
});

test("init is synchronous to the parent: the next sibling starts when an asynchronous init is done", async () => {
  const { kernel, settle } = setup();
  const log: string[] = [];
  const gate = deferred();
  const { behaviour } = start([
    workerSpec(log, "a"),
    workerSpec(log, "b", {}, { ready: () => gate.promise.then(() => log.push("b ready")) }),
    workerSpec(log, "c"),
  ]);
  const started = kernel.start(behaviour, undefined);
  await settle();
  expect(take(log)).toBe("+a +b");
  expect(kernel.tree()[0]).toMatchObject({ state: "starting", children: [{ name: "a" }, { name: "b" }] });
  gate.resolve();
  await started;
  expect(take(log)).toBe("b ready +c");
});

test("when a child cannot start, those before it are stopped again and the start rejects with its error", async () => {
  const { kernel, notices } = setup();
  const log: string[] = [];
  const { behaviour } = start([
    workerSpec(log, "a"),
    workerSpec(log, "b"),
    workerSpec(log, "c", {}, { failing: () => true }),
    workerSpec(log, "d"),
  ]);
  await expect(kernel.start(behaviour, undefined, { name: "top" })).rejects.toThrow("c cannot start");
  expect(take(log)).toBe("+a +b +c -b -a");
  expect(notices.map((notice) => `${notice.actor} < ${notice.parent}`)).toEqual([
    "c < top",
    "b < top",
    "a < top",
    "top < undefined",
  ]);
});

test("a supervisor that is stopped while it starts stops what has started", async () => {
  const { kernel, settle } = setup();
  const log: string[] = [];
  const gate = deferred();
  const { behaviour } = start([
    workerSpec(log, "a"),
    workerSpec(log, "b", {}, { ready: () => gate.promise }),
    workerSpec(log, "c"),
  ]);
  const started = kernel.start(behaviour, undefined, { name: "top" }).catch((error: unknown) => error);
  await settle();
  const top = kernel.whereis("top");
  if (top === undefined) throw new Error("not there");
  const stopped = kernel.stop(top);
  gate.resolve();
  expect(await stopped).toEqual({ kind: "shutdown" });
  expect(await started).toMatchObject({ code: "ActorStopped" });
  expect(take(log)).toBe("+a +b -b -a");
});

test("an exit while a later sibling still starts is handled once all have started", async () => {
  const { kernel, settle } = setup();
  const log: string[] = [];
  const gate = deferred();
  const { behaviour } = start([
    workerSpec(log, "a"),
    workerSpec(log, "b", {}, { ready: () => gate.promise }),
  ]);
  const started = kernel.start(behaviour, undefined);
  await settle();
  await kernel.kill(kernel.whereis("a") as never);
  await settle();
  expect(take(log)).toBe("+a +b");
  gate.resolve();
  await started;
  await settle();
  expect(take(log)).toBe("+a");
});

test("two children with one id are refused", async () => {
  const { kernel } = setup();
  const { behaviour } = start([workerSpec([], "a"), workerSpec([], "a", { name: "other" })]);
  await expect(kernel.start(behaviour, undefined)).rejects.toMatchObject({
    code: "SupervisorRefused",
    because: "exists",
  });
});

test("args are made anew at every start, and a maker that throws is a failed start", async () => {
  const { kernel, settle } = setup();
  const got: number[] = [];
  let next = 0;
  const spec: ChildSpec = {
    id: "a",
    name: "a",
    args: () => ++next,
    behaviour: { ...actor<string>((_message, out) => out.stop()), init: (args: number) => got.push(args) },
  };
  const ref = await kernel.start(supervisor({ strategy: "one_for_one", children: [spec] }), undefined);
  (kernel.whereis("a") as never as { cast(m: string): void }).cast("go");
  await settle();
  expect(got).toEqual([1, 2]);
  const bad = {
    ...spec,
    id: "b",
    name: "b",
    args: () => {
      throw new Error("no args");
    },
  };
  const other = supervisor({ strategy: "one_for_one", children: [bad] });
  await expect(kernel.start(other, undefined)).rejects.toThrow("no args");
  await kernel.stop(ref);
});

test("a supervisor below a supervisor has no limit to its shutdown; a worker has 5,000 ms", async () => {
  const { kernel, clock } = setup();
  const log: string[] = [];
  const gate = deferred();
  const inner = supervisor({
    strategy: "one_for_one",
    children: [workerSpec(log, "slow", { shutdownMs: 60_000 }, { ending: () => gate.promise })],
  });
  const outer = supervisor({
    strategy: "one_for_one",
    children: [
      { id: "inner", name: "inner", behaviour: inner, args: () => undefined, type: "supervisor" },
      workerSpec(log, "worker", {}, { ending: () => new Promise(() => {}) }),
    ],
  });
  const ref = await kernel.start(outer, undefined);
  const stopped = kernel.stop(ref);
  await clock.advance(4_999);
  expect(kernel.whereis("worker")).toBeDefined();
  await clock.advance(1);
  expect(kernel.whereis("worker")).toBeUndefined();
  await clock.advance(50_000);
  expect(kernel.whereis("inner")).toBeDefined();
  gate.resolve();
  expect(await stopped).toEqual({ kind: "shutdown" });
});

test("a supervisor's slots say in which order its children stop, whatever the order of their restarts", async () => {
  const { kernel, settle } = setup();
  const log: string[] = [];
  const { behaviour } = start(["a", "b", "c"].map((id) => workerSpec(log, id)));
  const ref = await kernel.start(behaviour, undefined);
  await kernel.kill(kernel.whereis("a") as never);
  await settle();
  expect(await states(kernel, ref)).toBe("a:running b:running c:running");
  take(log);
  await kernel.stop(ref);
  expect(take(log)).toBe("-c -b -a");
});
