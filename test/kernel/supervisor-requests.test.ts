import { expect, test } from "vitest";
import { type Ref, supervisor } from "../../src/kernel/index.ts";
import {
  ask,
  deferred,
  named,
  setup,
  startChild,
  states,
  take,
  whichChildren,
  workerSpec,
} from "./helpers.ts";

async function supervised(ids = "a b") {
  const all = setup();
  const log: string[] = [];
  const children = ids.split(" ").map((id) => workerSpec(log, id));
  const ref = await all.kernel.start(supervisor({ strategy: "one_for_one", children }), undefined, {
    name: "sup",
  });
  take(log);
  return { ...all, log, ref };
}

test("startChild adds a slot after the others and answers with the child's reference", async () => {
  const { kernel, ref, log } = await supervised();
  const child = await startChild(kernel, ref, workerSpec(log, "c"));
  expect(child).toBe(kernel.whereis("c"));
  expect(await states(kernel, ref)).toBe("a:running b:running c:running");
  named(kernel, "c").cast("crash");
  await kernel.stop(ref);
  expect(take(log)).toBe("+c -c -b -a");
});

test("startChild answers only when an asynchronous init is done", async () => {
  const { kernel, ref, log, settle } = await supervised();
  const gate = deferred();
  let answered = false;
  const added = startChild(kernel, ref, workerSpec(log, "c", {}, { ready: () => gate.promise })).then(() => {
    answered = true;
  });
  await settle();
  expect(answered).toBe(false);
  expect(await states(kernel, ref)).toBe("a:running b:running c:starting");
  gate.resolve();
  await added;
  expect(await states(kernel, ref)).toBe("a:running b:running c:running");
});

test("startChild of what cannot start is refused with its error and leaves no slot", async () => {
  const { kernel, ref, log } = await supervised();
  const failing = workerSpec(log, "c", {}, { failing: () => true });
  await expect(startChild(kernel, ref, failing)).rejects.toThrow("c cannot start");
  expect(await states(kernel, ref)).toBe("a:running b:running");
});

test("startChild under a registered name that is in use is refused with NameTaken", async () => {
  const { kernel, ref, log } = await supervised();
  const clash = workerSpec(log, "c", { name: "a" });
  await expect(startChild(kernel, ref, clash)).rejects.toMatchObject({ code: "NameTaken", actor: "a" });
  expect(kernel.isAlive(ref)).toBe(true);
});

test("startChild of an id that is there is refused", async () => {
  const { kernel, ref, log } = await supervised();
  const again = startChild(kernel, ref, workerSpec(log, "a", { name: "other" }));
  await expect(again).rejects.toMatchObject({
    code: "SupervisorRefused",
    supervisor: "sup",
    child: "a",
    because: "exists",
  });
});

test("terminateChild stops a child for good; its slot stays, and restartChild starts it again", async () => {
  const { kernel, ref, log } = await supervised();
  await ask(kernel, ref, "terminateChild", "a");
  expect(take(log)).toBe("-a");
  expect(await whichChildren(kernel, ref)).toMatchObject([
    { id: "a", ref: undefined, state: "stopped" },
    { id: "b", state: "running" },
  ]);
  const child = await ask<Ref<unknown>>(kernel, ref, "restartChild", "a");
  expect(child).toBe(kernel.whereis("a"));
  expect(take(log)).toBe("+a");
});

test("terminateChild of a child that stopped before answers at once", async () => {
  const { kernel, ref } = await supervised();
  await ask(kernel, ref, "terminateChild", "a");
  expect(await ask(kernel, ref, "terminateChild", "a")).toBeUndefined();
});

test("terminateChild waits for last words, and kills past the child's time", async () => {
  const { kernel, ref, log, clock, settle } = await supervised();
  const spec = workerSpec(log, "c", { shutdownMs: 200 }, { ending: () => new Promise(() => {}) });
  await startChild(kernel, ref, spec);
  let done = false;
  const ended = ask(kernel, ref, "terminateChild", "c").then(() => {
    done = true;
  });
  await settle();
  expect(done).toBe(false);
  await clock.advance(200);
  await ended;
  expect(kernel.isAlive(ref)).toBe(true);
});

test("terminateChild of a temporary child takes its slot too", async () => {
  const { kernel, ref, log } = await supervised();
  await startChild(kernel, ref, workerSpec(log, "t", { restart: "temporary" }));
  await ask(kernel, ref, "terminateChild", "t");
  expect(await states(kernel, ref)).toBe("a:running b:running");
});

test("deleteChild removes the slot of a stopped child, and is refused while it runs", async () => {
  const { kernel, ref } = await supervised();
  await expect(ask(kernel, ref, "deleteChild", "a")).rejects.toMatchObject({ because: "running" });
  await ask(kernel, ref, "terminateChild", "a");
  await ask(kernel, ref, "deleteChild", "a");
  expect(await states(kernel, ref)).toBe("b:running");
});

test("restartChild of a running child is refused; one whose start fails stays stopped", async () => {
  const { kernel, ref, log } = await supervised();
  await expect(ask(kernel, ref, "restartChild", "a")).rejects.toMatchObject({ because: "running" });
  let fails = false;
  await startChild(kernel, ref, workerSpec(log, "c", {}, { failing: () => fails }));
  await ask(kernel, ref, "terminateChild", "c");
  fails = true;
  await expect(ask(kernel, ref, "restartChild", "c")).rejects.toThrow("c cannot start");
  expect(await states(kernel, ref)).toBe("a:running b:running c:stopped");
});

test.each(["terminateChild", "deleteChild", "restartChild"] as const)(
  "%s of an unknown id is refused",
  async (type) => {
    const { kernel, ref } = await supervised();
    await expect(ask(kernel, ref, type, "nobody")).rejects.toMatchObject({
      because: "unknown",
      child: "nobody",
    });
  },
);

test("requests to a supervisor that ends are refused", async () => {
  const { kernel, ref, log } = await supervised();
  const added = startChild(kernel, ref, workerSpec(log, "c", {}, { ready: () => new Promise(() => {}) }));
  const refused = added.catch((error: unknown) => error);
  await kernel.kill(ref);
  expect(await refused).toMatchObject({ code: "ActorStopped", actor: "sup" });
});
