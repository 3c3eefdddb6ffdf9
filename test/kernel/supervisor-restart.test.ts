import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type ChildSpec,
  type ExitReason,
  RestartIntensityExceeded,
  type Strategy,
  supervisor,
} from "../../src/kernel/index.ts";
import { restartPlan } from "../../src/kernel/restart.ts";
import { ask, deferred, named, setup, startChild, states, take, workerSpec } from "./helpers.ts";
import { breakable, supervised } from "./supervised.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test.each([
  ["one_for_one", "xb +b"],
  ["one_for_all", "xb -c -a +a +b +c"],
  ["rest_for_one", "xb -c +b +c"],
] as const)("%s: a crash of b in [a b c] gives: %s", async (strategy, expected) => {
  const { log, send } = await supervised({ strategy });
  await send("b", "crash");
  expect(take(log)).toBe(expected);
});

test("a crash in any child is noticed with its supervisor", async () => {
  const { notices, send } = await supervised({});
  await send("b", "crash");
  expect(notices).toMatchObject([
    { actor: "b", kind: "worker", parent: "sup", reason: { error: { message: "b crashed" } } },
  ]);
});

test.each([
  ["permanent", "normal", "running"],
  ["permanent", "shutdown", "running"],
  ["permanent", "crash", "running"],
  ["permanent", "kill", "running"],
  ["transient", "normal", "stopped"],
  ["transient", "shutdown", "stopped"],
  ["transient", "crash", "running"],
  ["transient", "kill", "running"],
  ["temporary", "normal", "gone"],
  ["temporary", "shutdown", "gone"],
  ["temporary", "crash", "gone"],
  ["temporary", "kill", "gone"],
] as const)("a %s child after %s is %s", async (restart, how, expected) => {
  const { kernel, ref, send, settle } = await supervised({
    children: (log) => [workerSpec(log, "a", { restart })],
  });
  if (how === "kill") await kernel.kill(named(kernel, "a"));
  else await send("a", how);
  await settle();
  expect(await states(kernel, ref)).toBe(expected === "gone" ? "" : `a:${expected}`);
});

test("a restarting child keeps its slot", async () => {
  const { kernel, ref, send } = await supervised({});
  await send("a", "crash");
  expect(await states(kernel, ref)).toBe("a:running b:running c:running");
  expect(kernel.tree(ref)[0]?.children.map((node) => [node.name, node.restarts])).toEqual([
    ["a", 1],
    ["b", 0],
    ["c", 0],
  ]);
});

test("past its intensity a supervisor ends with RestartIntensityExceeded, its children stopped right to left", async () => {
  const { kernel, ref, send, log, notices } = await supervised({
    intensity: { restarts: 2, periodMs: 5_000 },
  });
  const reasons: ExitReason[] = [];
  kernel.onExit(ref, (reason) => reasons.push(reason));
  for (let i = 0; i < 2; i++) await send("b", "crash");
  expect(reasons).toEqual([]);
  take(log);
  await send("b", "crash");
  expect(take(log)).toBe("xb -c -a");
  const error = reasons[0]?.kind === "crash" ? reasons[0].error : undefined;
  expect(error).toBeInstanceOf(RestartIntensityExceeded);
  expect(error).toMatchObject({
    supervisor: "sup",
    child: "b",
    restarts: 2,
    periodMs: 5_000,
    cause: { message: "b crashed" },
  });
  expect(notices.at(-1)).toMatchObject({ actor: "sup", parent: undefined });
});

test("intensity defaults to 1 in 5 s", async () => {
  const all = setup();
  const log: string[] = [];
  const behaviour = supervisor({ strategy: "one_for_one", children: [workerSpec(log, "a")] });
  const ref = await all.kernel.start(behaviour, undefined);
  for (const gap of [5_001, 5_001, 5_000]) {
    expect(all.kernel.isAlive(ref)).toBe(true);
    named(all.kernel, "a").cast("crash");
    await all.clock.advance(gap);
  }
  named(all.kernel, "a").cast("crash");
  await all.settle();
  expect(all.kernel.isAlive(ref)).toBe(false);
});

test("the parent of a supervisor that gave up handles it as any crash", async () => {
  const all = setup();
  const log: string[] = [];
  const inner = supervisor({ strategy: "one_for_one", children: [workerSpec(log, "a")] });
  const spec: ChildSpec = {
    id: "inner",
    name: "inner",
    behaviour: inner,
    args: () => undefined,
    type: "supervisor",
  };
  const outer = await all.kernel.start(supervisor({ strategy: "one_for_one", children: [spec] }), undefined);
  for (let i = 0; i < 2; i++) {
    named(all.kernel, "a").cast("crash");
    await all.settle();
  }
  expect(take(log)).toBe("+a xa +a xa +a");
  expect(all.kernel.tree(outer)[0]?.children).toMatchObject([
    { name: "inner", restarts: 1, state: "running" },
  ]);
});

test("a failed restart is tried again, each try counts, and past the intensity the supervisor gives up", async () => {
  const { kernel, ref, log, send, broken } = await breakable({ intensity: { restarts: 3, periodMs: 1_000 } });
  broken.is = true;
  await send("b", "crash");
  expect(take(log)).toBe("xb +b +b +b -c -a");
  expect(kernel.isAlive(ref)).toBe(false);
});

test("a failed restart leaves control, so that a shutdown gets in between", async () => {
  const { kernel, ref, log, broken } = await breakable({ intensity: { restarts: 1e9, periodMs: 1 } });
  broken.is = true;
  named(kernel, "b").cast("crash");
  await turn();
  const stopped = kernel.stop(ref);
  expect(await stopped).toEqual({ kind: "shutdown" });
  expect(log.filter((line) => line === "+b").length).toBeGreaterThan(1);
  expect(log.slice(-2)).toEqual(["-c", "-a"]);
});

test("a failed restart leaves control, so that terminateChild gets in between", async () => {
  const { kernel, ref, settle, broken } = await breakable({ intensity: { restarts: 1e9, periodMs: 1 } });
  broken.is = true;
  named(kernel, "b").cast("crash");
  await turn();
  await ask(kernel, ref, "terminateChild", "b");
  await settle();
  expect(await states(kernel, ref)).toBe("a:running b:stopped c:running");
});

test.each([
  ["one_for_all", "xb -c -a +a +b -a +a +b +c"],
  ["rest_for_one", "xb -c +b +b +c"],
] as const)("%s: a failed restart is tried again from the start of its group", async (strategy, expected) => {
  const { log, send, broken } = await breakable({ strategy });
  const real = log.push.bind(log);
  broken.is = true;
  log.push = (...lines) => {
    // The first new life of b fails, the second does not.
    if (lines[0] === "+b" && log.includes("+b")) broken.is = false;
    return real(...lines);
  };
  await send("b", "crash");
  expect(take(log)).toBe(expected);
});

test("while a restart is under way exits and requests wait, a shutdown does not", async () => {
  const gate = deferred();
  let slow = false;
  const { kernel, ref, log, send, settle } = await supervised({
    children: (lines) => [
      workerSpec(lines, "a", {}, { ready: () => (slow ? gate.promise : Promise.resolve()) }),
      workerSpec(lines, "b"),
    ],
  });
  slow = true;
  await send("a", "crash");
  await send("b", "crash");
  const added = startChild(kernel, ref, workerSpec(log, "c"));
  await settle();
  expect(take(log)).toBe("xa +a xb");
  expect(await states(kernel, ref)).toBe("a:starting b:running");
  gate.resolve();
  await added;
  expect(take(log)).toBe("+b +c");
  slow = false;
  await kernel.stop(ref);
  expect(take(log)).toBe("-c -b -a");
});

test("a child whose crash still waits to be handled, and that another restart stops, holds up nothing", async () => {
  const gate = deferred();
  let slow = false;
  const { kernel, ref, send, settle } = await supervised({
    strategy: "rest_for_one",
    children: (lines) => [
      workerSpec(lines, "a"),
      workerSpec(lines, "b"),
      workerSpec(lines, "c"),
      workerSpec(lines, "d", {}, { ready: () => (slow ? gate.promise : Promise.resolve()) }),
    ],
  });
  slow = true;
  await send("d", "crash");
  await send("b", "crash");
  await send("c", "crash");
  gate.resolve();
  await settle();
  expect(await states(kernel, ref)).toBe("a:running b:running c:running d:running");
});

test("a shutdown in the middle of a slow restart does not wait for it past the child's time", async () => {
  let slow = false;
  const { kernel, ref, clock, send } = await supervised({
    children: (lines) => [
      workerSpec(lines, "a", {}, { ready: () => (slow ? new Promise(() => {}) : Promise.resolve()) }),
    ],
  });
  slow = true;
  await send("a", "crash");
  const stopped = kernel.stop(ref);
  await clock.advance(5_000);
  expect(await stopped).toEqual({ kind: "shutdown" });
});

test("whatever crashes, in whatever order, every strategy ends with all children running, in their slots", async () => {
  const strategies = fc.constantFrom<Strategy>("one_for_one", "one_for_all", "rest_for_one");
  const crashes = fc.array(fc.array(fc.constantFrom("a", "b", "c", "d"), { minLength: 1, maxLength: 3 }), {
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(strategies, crashes, async (strategy, rounds) => {
      const { kernel, ref, settle, log } = await supervised({ strategy, ids: "a b c d" });
      for (const round of rounds) {
        take(log);
        for (const id of round) named(kernel, id).cast("crash");
        await settle();
        expect(await states(kernel, ref)).toBe("a:running b:running c:running d:running");
        if (round.length === 1) expect(take(log)).toBe(expectedLog(strategy, round[0] ?? ""));
      }
      await kernel.stop(ref);
      expect(log.slice(-4)).toEqual(["-d", "-c", "-b", "-a"]);
    }),
    { numRuns: 60 },
  );
});

function expectedLog(strategy: Strategy, failed: string): string {
  const children = ["a", "b", "c", "d"].map((id) => ({
    id,
    kind: "permanent" as const,
    running: id !== failed,
  }));
  const plan = restartPlan(strategy, children, failed);
  return [`x${failed}`, ...plan.stop.map((id) => `-${id}`), ...plan.start.map((id) => `+${id}`)].join(" ");
}
