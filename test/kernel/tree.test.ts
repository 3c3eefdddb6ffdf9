import { expect, test } from "vitest";
import { supervisor, systemClock } from "../../src/kernel/index.ts";
import { actor, deferred, setup, worker, workerSpec } from "./helpers.ts";

test("the tree shows name, kind, pid, state, mailbox, handled, restarts, detail and children", async () => {
  const { kernel, settle } = setup();
  const counter = {
    kind: "counter",
    init: () => ({ count: 0 }),
    step: (state: { count: number }) => void state.count++,
    describe: (state: { count: number }) => ({ count: state.count }),
  };
  const parent = await kernel.start(counter, undefined, { name: "parent" });
  const child = await kernel.startUnder(parent, worker([], "child"), undefined);
  for (let i = 0; i < 3; i++) parent.cast("x");
  await settle();
  parent.cast("y");
  expect(kernel.tree()).toEqual([
    {
      name: "parent",
      kind: "counter",
      pid: parent.pid,
      state: "running",
      mailbox: 1,
      handled: 3,
      restarts: 0,
      detail: { count: 3 },
      children: [
        {
          name: `worker:${child.pid}`,
          kind: "worker",
          pid: child.pid,
          state: "running",
          mailbox: 0,
          handled: 0,
          restarts: 0,
          children: [],
        },
      ],
    },
  ]);
  expect(kernel.tree(child)).toHaveLength(1);
});

test("a describe that throws is shown as its error's text, and nothing else suffers", async () => {
  const { kernel } = setup();
  const describe = (): never => {
    throw new Error("cannot say");
  };
  const ref = await kernel.start(
    actor<string>(() => {}, { describe }),
    undefined,
  );
  expect(kernel.tree()[0]?.detail).toEqual({ error: "cannot say" });
  expect(kernel.isAlive(ref)).toBe(true);
});

test("an actor is starting, running, stopping, and then gone", async () => {
  const { kernel, settle } = setup();
  const opening = deferred();
  const closing = deferred();
  const behaviour = worker([], "x", { ready: () => opening.promise, ending: () => closing.promise });
  const state = (): string | undefined => kernel.tree()[0]?.state;
  const started = kernel.start(behaviour, undefined);
  expect(state()).toBe("starting");
  opening.resolve();
  const ref = await started;
  expect(state()).toBe("running");
  const stopped = kernel.stop(ref);
  expect(state()).toBe("stopping");
  closing.resolve();
  await stopped;
  await settle();
  expect(kernel.tree()).toEqual([]);
  expect(kernel.tree(ref)).toEqual([]);
});

test("roots and children stand in the order of their start", async () => {
  const { kernel } = setup();
  for (const name of ["one", "two", "three"]) await kernel.start(worker([], name), undefined, { name });
  await kernel.kill(kernel.whereis("two") as never);
  await kernel.start(worker([], "four"), undefined, { name: "four" });
  expect(kernel.tree().map((node) => node.name)).toEqual(["one", "three", "four"]);
});

test("a child that is being restarted is shown where its slot is", async () => {
  const { kernel, settle } = setup();
  const gate = deferred();
  let slow = false;
  const ready = () => (slow ? gate.promise : Promise.resolve());
  const children = [workerSpec([], "a", {}, { ready }), workerSpec([], "b")];
  const ref = await kernel.start(supervisor({ strategy: "one_for_one", children }), undefined);
  slow = true;
  await kernel.kill(kernel.whereis("a") as never);
  await settle();
  const [root] = kernel.tree(ref);
  expect(root?.children.map((node) => `${node.name} ${node.state}`)).toEqual(["a starting", "b running"]);
  expect(root?.detail).toEqual({ strategy: "one_for_one", restarts: 1 });
  gate.resolve();
});

test("the system's clock tells the time, and a timer that is far away does not fire at once", async () => {
  expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(1_000);
  let fired = 0;
  const cancels = [1e10, Number.POSITIVE_INFINITY].map((ms) => systemClock.timer(ms, () => fired++));
  const near = deferred();
  systemClock.timer(5, () => near.resolve());
  const held = setTimeout(() => {}, 60_000);
  await near.promise;
  clearTimeout(held);
  for (const cancel of cancels) cancel();
  expect(fired).toBe(0);
});
