import { expect, test } from "vitest";
import {
  type ChildInfo,
  type ChildSpec,
  type DynamicSupervisorMessage,
  type DynamicSupervisorOptions,
  dynamicSupervisor,
  type ExitReason,
  type Ref,
} from "../../src/kernel/index.ts";
import {
  deferred,
  named,
  setup,
  take,
  type WorkerMessage,
  type WorkerOptions,
  workerSpec,
} from "./helpers.ts";

type Sup = DynamicSupervisorMessage;

async function dynamic(options: DynamicSupervisorOptions = {}) {
  const all = setup();
  const log: string[] = [];
  const ref = await all.kernel.start(dynamicSupervisor(options), undefined, { name: "dyn" });
  const { kernel } = all;
  const start = (
    id: string,
    rest: Partial<ChildSpec> = {},
    worker: WorkerOptions = {},
  ): Promise<Ref<unknown>> => {
    const spec = workerSpec(log, id, rest, worker);
    return kernel.call<Sup, Ref<unknown>>(ref, (from) => ({ type: "startChild", spec, from }));
  };
  const stop = (child: { readonly id: string } | { readonly ref: Ref<never> }): Promise<undefined> =>
    kernel.call<Sup, undefined>(ref, (from) => ({ type: "stopChild", ...child, from }));
  const states = async (): Promise<string> => {
    const list = await kernel.call<Sup, readonly ChildInfo[]>(ref, (from) => ({
      type: "whichChildren",
      from,
    }));
    return list.map((child) => `${child.id}:${child.state}`).join(" ");
  };
  const send = async (id: string, message: WorkerMessage): Promise<void> => {
    named(kernel, id).cast(message);
    await all.settle();
  };
  return { ...all, log, ref, start, stop, states, send };
}

test("children are started at run time, and each start answers with a reference", async () => {
  const { kernel, start, states } = await dynamic();
  expect(await start("a")).toBe(kernel.whereis("a"));
  await start("b");
  expect(await states()).toBe("a:running b:running");
});

test.each([
  ["permanent", "normal", true],
  ["permanent", "crash", true],
  ["transient", "normal", false],
  ["transient", "shutdown", false],
  ["transient", "crash", true],
  ["temporary", "normal", false],
  ["temporary", "crash", false],
] as const)("a %s child that ends by %s lives again: %s", async (restart, how, again) => {
  const { start, send, states } = await dynamic();
  await start("a", { restart });
  await start("b");
  await send("a", how);
  expect(await states()).toBe(again ? "a:running b:running" : "b:running");
});

test("each exit below it is noticed, orderly or not", async () => {
  const { start, send, notices } = await dynamic();
  await start("a", { restart: "temporary" });
  await start("b", { restart: "temporary" });
  await send("a", "normal");
  await send("b", "crash");
  expect(notices.map((notice) => `${notice.actor} ${notice.reason.kind} ${notice.parent}`)).toEqual([
    "a normal dyn",
    "b crash dyn",
  ]);
});

test("a crash concerns nobody but its own child", async () => {
  const { start, send, log } = await dynamic();
  for (const id of ["a", "b", "c"]) await start(id);
  take(log);
  await send("b", "crash");
  expect(take(log)).toBe("xb +b");
});

test("maxChildren is a bound; a place is free again when a child is gone", async () => {
  const { start, send } = await dynamic({ maxChildren: 2 });
  await start("a", { restart: "temporary" });
  await start("b");
  await expect(start("c")).rejects.toMatchObject({ code: "SupervisorRefused", because: "too many children" });
  await send("a", "normal");
  await start("c");
});

test("a child whose init fails is refused to its caller and takes no place", async () => {
  const { start, states } = await dynamic({ maxChildren: 1 });
  await expect(start("a", {}, { failing: () => true })).rejects.toThrow("a cannot start");
  expect(await states()).toBe("");
  await start("b");
});

test("starts do not wait for one another", async () => {
  const { start, states } = await dynamic();
  const gate = deferred();
  const slow = start("slow", {}, { ready: () => gate.promise });
  await start("fast");
  expect(await states()).toBe("slow:starting fast:running");
  gate.resolve();
  await slow;
});

test("stopChild by reference or id answers when the child is gone, and it is not restarted", async () => {
  const { kernel, start, stop, states, log } = await dynamic();
  const a = await start("a");
  await start("b");
  await stop({ ref: a });
  expect(kernel.isAlive(a)).toBe(false);
  await stop({ id: "b" });
  expect(await states()).toBe("");
  expect(take(log)).toBe("+a +b -a -b");
  await expect(stop({ id: "b" })).rejects.toMatchObject({ because: "unknown", child: "b" });
});

test("stopChild of a child that still starts ends its start", async () => {
  const { start, stop, states, clock } = await dynamic();
  const started = start("a", { shutdownMs: 100 }, { ready: () => new Promise(() => {}) }).catch(
    (e: unknown) => e,
  );
  const stopped = stop({ id: "a" });
  await clock.advance(100);
  await stopped;
  expect(await started).toMatchObject({ code: "ActorStopped" });
  expect(await states()).toBe("");
});

test("past its intensity it gives up with RestartIntensityExceeded, and takes its children along", async () => {
  const { kernel, ref, start, send } = await dynamic({ intensity: { restarts: 1, periodMs: 5_000 } });
  const reasons: ExitReason[] = [];
  kernel.onExit(ref, (reason) => reasons.push(reason));
  await start("a");
  const b = await start("b");
  await send("a", "crash");
  await send("a", "crash");
  expect(reasons).toMatchObject([
    { kind: "crash", error: { code: "RestartIntensityExceeded", supervisor: "dyn", child: "a" } },
  ]);
  expect(kernel.isAlive(b)).toBe(false);
});

test("backoff and delayed restart work as a supervisor's, and the waiting child is in the tree", async () => {
  let fails = false;
  const { kernel, ref, start, send, states, clock, log } = await dynamic({
    intensity: { restarts: 1, periodMs: 5_000 },
  });
  await start(
    "a",
    { delayedRestartMs: 1_000, backoff: { firstMs: 50, factor: 1, maxMs: 50 } },
    { failing: () => fails },
  );
  fails = true;
  await send("a", "crash");
  expect(await states()).toBe("a:waiting");
  await clock.advance(50);
  expect(take(log)).toBe("+a xa +a");
  expect(kernel.tree(ref)[0]?.children).toMatchObject([{ name: "a", state: "waiting" }]);
  await clock.advance(999);
  expect(take(log)).toBe("");
  fails = false;
  await clock.advance(1);
  expect(await states()).toBe("a:running");
  expect(kernel.tree(ref)[0]?.children).toMatchObject([{ name: "a", state: "running", restarts: 1 }]);
});

test("stopChild of a waiting child ends its wait", async () => {
  const { start, send, stop, states, clock, log } = await dynamic();
  await start("a", { backoff: { firstMs: 50, factor: 1, maxMs: 50 } });
  await send("a", "crash");
  await stop({ id: "a" });
  expect(await states()).toBe("");
  take(log);
  await clock.advance(1_000);
  expect(take(log)).toBe("");
});

test("when it ends all children are asked at once, not one after the other", async () => {
  const { kernel, ref, start, clock } = await dynamic();
  for (const id of ["a", "b", "c"])
    await start(id, { shutdownMs: 1_000 }, { ending: () => new Promise(() => {}) });
  const stopped = kernel.stop(ref);
  await clock.advance(1_000);
  expect(await stopped).toEqual({ kind: "shutdown" });
});

test("a child that ends in its first message is neither lost nor left in a slot", async () => {
  const { kernel, ref, settle, states } = await dynamic();
  const behaviour = {
    kind: "brief",
    init: (_args: undefined, self: { ref: Ref<string> }) => self.ref.cast("end"),
    step: (_s: boolean, _m: string, _n: number, out: { stop(): void }) => out.stop(),
  };
  const spec: ChildSpec = { id: "brief", behaviour, args: () => undefined, restart: "temporary" };
  const child = await kernel.call<Sup, Ref<unknown>>(ref, (from) => ({ type: "startChild", spec, from }));
  await settle();
  expect(kernel.isAlive(child)).toBe(false);
  expect(await states()).toBe("");
});
