import { expect, test } from "vitest";
import { RUNNING } from "../../src/kernel/actor.ts";
import { type ExitReason, NameTaken, type Ref } from "../../src/kernel/index.ts";
import { actor, setup, type WorkerMessage, worker } from "./helpers.ts";

type Seen = { readonly seen: ExitReason };

async function watched(how: WorkerMessage | "kill" | "stop") {
  const { kernel, settle } = setup();
  const seen: ExitReason[] = [];
  const target = await kernel.start(worker([], "target"), undefined);
  const watcher = await kernel.start(
    actor<"watch" | Seen>((message, out) => {
      if (message === "watch") out.monitor(target, (reason) => ({ seen: reason }));
      else seen.push(message.seen);
    }),
    undefined,
  );
  watcher.cast("watch");
  await settle();
  if (how === "kill") await kernel.kill(target);
  else if (how === "stop") await kernel.stop(target);
  else target.cast(how);
  await settle();
  return { kernel, seen, watcher, settle };
}

test.each([
  ["normal", { kind: "normal" }],
  ["shutdown", { kind: "shutdown" }],
  ["stop", { kind: "shutdown" }],
  ["kill", { kind: "killed" }],
  ["crash", { kind: "crash", error: { message: "target crashed" } }],
] as const)("a monitor sees the end by %s once, with its reason", async (how, reason) => {
  const { seen } = await watched(how);
  expect(seen).toMatchObject([reason]);
});

test("monitoring what is gone answers at once with noproc", async () => {
  const { seen, watcher, settle } = await watched("normal");
  watcher.cast("watch");
  await settle();
  expect(seen).toEqual([{ kind: "normal" }, { kind: "noproc" }]);
});

test("a monitor does not tie the lives of the two together", async () => {
  const { kernel, watcher } = await watched("crash");
  expect(kernel.isAlive(watcher)).toBe(true);
});

test("a watcher that ends leaves nothing behind on a target that lives on", async () => {
  const { kernel, settle } = setup();
  const target = await kernel.start(worker([], "target"), undefined);
  for (let i = 0; i < 50; i++) {
    const watcher = await kernel.start(
      actor<"watch" | Seen>((message, out) => {
        if (message === "watch") out.monitor(target, (seen) => ({ seen }));
        out.stop();
      }),
      undefined,
    );
    watcher.cast("watch");
  }
  await settle();
  expect(target).toMatchObject({ status: RUNNING, monitors: undefined });
});

test("targets that end leave nothing behind on a watcher that lives on", async () => {
  const { kernel, settle } = setup();
  const seen: string[] = [];
  const watcher = await kernel.start(
    actor<Ref<never> | Seen>((message, out) => {
      if ("seen" in message) seen.push(message.seen.kind);
      else out.monitor(message, (reason) => ({ seen: reason }));
    }),
    undefined,
  );
  const targets = await Promise.all(
    Array.from({ length: 10 }, () => kernel.start(worker([], "target"), undefined)),
  );
  for (const target of targets) watcher.cast(target);
  await settle();
  for (const at of [3, 9, 0]) await kernel.kill(targets[at] as Ref<never>);
  for (const target of targets) await kernel.stop(target);
  await settle();
  expect(seen).toEqual(["killed", "killed", "killed", ...Array(7).fill("shutdown")]);
  expect(watcher).toMatchObject({ status: RUNNING, monitoring: undefined });
});

test("monitors of one target fire in the order they were made; one that is taken back stays silent", async () => {
  const { kernel } = setup();
  const log: string[] = [];
  const target = await kernel.start(worker([], "target"), undefined);
  const others: (() => void)[] = [];
  kernel.onExit(target, () => {
    log.push("first");
    for (const cut of others) cut();
  });
  const middle = kernel.onExit(target, () => log.push("taken back before"));
  others.push(kernel.onExit(target, () => log.push("taken back meanwhile")));
  kernel.onExit(target, () => log.push("last"));
  middle();
  await kernel.stop(target);
  expect(log).toEqual(["first", "last"]);
});

test("monitors fire after terminate", async () => {
  const { kernel } = setup();
  const log: string[] = [];
  const target = await kernel.start(worker(log, "target"), undefined);
  kernel.onExit(target, () => log.push("seen"));
  await kernel.stop(target);
  expect(log).toEqual(["+target", "-target", "seen"]);
});

test("onExit tells a listener outside once, and can be taken back", async () => {
  const { kernel, settle } = setup();
  const log: string[] = [];
  const target = await kernel.start(worker([], "target"), undefined);
  kernel.onExit(target, (reason) => log.push(`a ${reason.kind}`));
  kernel.onExit(target, (reason) => log.push(`b ${reason.kind}`))();
  await kernel.kill(target);
  kernel.onExit(target, (reason) => log.push(`late ${reason.kind}`));
  kernel.onExit(target, (reason) => log.push(`never ${reason.kind}`))();
  expect(log).toEqual(["a killed"]);
  await settle();
  expect(log).toEqual(["a killed", "late noproc"]);
});

test("a listener that throws harms nobody", async () => {
  const { kernel } = setup();
  const log: string[] = [];
  const target = await kernel.start(worker([], "target"), undefined);
  kernel.onExit(target, () => {
    throw new Error("listener");
  });
  kernel.onExit(target, () => log.push("second"));
  expect(await kernel.kill(target)).toEqual({ kind: "killed" });
  expect(log).toEqual(["second"]);
});

test("a monitor whose message maker throws crashes its watcher, not the target's exit", async () => {
  const { kernel, settle, notices } = setup();
  const target = await kernel.start(worker([], "target"), undefined);
  const watcher = await kernel.start(
    actor<string>((_message, out) =>
      out.monitor(target, () => {
        throw new Error("maker");
      }),
    ),
    undefined,
    { name: "watcher" },
  );
  watcher.cast("watch");
  await settle();
  expect(await kernel.stop(target)).toEqual({ kind: "shutdown" });
  expect(notices).toMatchObject([{ actor: "watcher", reason: { error: { message: "maker" } } }]);
});

test("an actor is found by its name while it lives", async () => {
  const { kernel } = setup();
  const ref = await kernel.start(worker([], "x"), undefined, { name: "partition:myapp" });
  expect(kernel.whereis("partition:myapp")).toBe(ref);
  await kernel.stop(ref);
  expect(kernel.whereis("partition:myapp")).toBeUndefined();
});

test("the default name is kind and pid, and is found too", async () => {
  const { kernel } = setup();
  const ref = await kernel.start(worker([], "x"), undefined);
  expect(ref.name).toBe(`worker:${ref.pid}`);
  expect(kernel.whereis(ref.name)).toBe(ref);
});

test("a name that is in use is refused at start, and free again after its owner's end", async () => {
  const { kernel } = setup();
  const first = await kernel.start(worker([], "x"), undefined, { name: "one" });
  await expect(kernel.start(worker([], "y"), undefined, { name: "one" })).rejects.toBeInstanceOf(NameTaken);
  await kernel.stop(first);
  const second = await kernel.start(worker([], "z"), undefined, { name: "one" });
  expect(kernel.whereis("one")).toBe(second);
});

test("a spawn under a name that is in use crashes the spawner", async () => {
  const { kernel, settle, notices } = setup();
  await kernel.start(worker([], "x"), undefined, { name: "one" });
  let child: Ref<WorkerMessage> | undefined;
  const spawner = await kernel.start(
    actor<string>((_message, out) => {
      child = out.spawn(worker([], "y"), undefined, { name: "one" });
    }),
    undefined,
    { name: "spawner" },
  );
  spawner.cast("go");
  await settle();
  expect(notices).toMatchObject([
    { actor: "spawner", reason: { error: { code: "NameTaken", actor: "one" } } },
  ]);
  expect(child?.cast("poke")).toBe(false);
  expect(kernel.isAlive(kernel.whereis("one") as Ref<never>)).toBe(true);
});
