import { expect, test } from "vitest";
import { type Behaviour, type ExitReason, normal, type Ref } from "../../src/kernel/index.ts";
import { actor, setup, type WorkerMessage, worker } from "./helpers.ts";

type ParentMessage = "spawn" | { readonly exited: string; readonly reason: ExitReason };

/** Spawns a worker named `child` when told to; traps exits if `seen` is given. */
function parent(seen?: ExitReason[]): Behaviour<undefined, ParentMessage, never, void> {
  const traps =
    seen === undefined
      ? {}
      : { exited: (child: Ref<never>, reason: ExitReason) => ({ exited: child.name, reason }) };
  return actor<ParentMessage>((message, out) => {
    if (message === "spawn") out.spawn(worker([], "child"), undefined, { name: "child" });
    else seen?.push(message.reason);
  }, traps);
}

async function family(seen?: ExitReason[]) {
  const all = setup();
  const ref = await all.kernel.start(parent(seen), undefined, { name: "parent" });
  ref.cast("spawn");
  await all.settle();
  const child = all.kernel.whereis("child") as Ref<WorkerMessage>;
  return { ...all, ref, child };
}

test("a child's crash crashes a parent that does not trap exits, with the same reason", async () => {
  const { kernel, ref, child, settle, notices } = await family();
  child.cast("crash");
  await settle();
  expect(kernel.isAlive(ref)).toBe(false);
  expect(notices.map((notice) => [notice.actor, notice.parent])).toEqual([
    ["child", "parent"],
    ["parent", undefined],
  ]);
  expect(notices[1]?.reason).toEqual(notices[0]?.reason);
});

test.each(["normal", "shutdown"] as const)(
  "a child's %s end is ignored by a parent that does not trap",
  async (how) => {
    const { kernel, ref, child, settle, notices } = await family();
    child.cast(how);
    await settle();
    expect(kernel.isAlive(child)).toBe(false);
    expect(kernel.isAlive(ref)).toBe(true);
    expect(notices).toEqual([]);
  },
);

test("a parent that traps gets each end as a message", async () => {
  const seen: ExitReason[] = [];
  const { kernel, ref, child, settle } = await family(seen);
  child.cast("crash");
  await settle();
  expect(seen).toMatchObject([{ kind: "crash", error: { message: "child crashed" } }]);
  ref.cast("spawn");
  await settle();
  await kernel.kill(kernel.whereis("child") as Ref<never>);
  await settle();
  expect(seen[1]).toEqual({ kind: "killed" });
  expect(kernel.isAlive(ref)).toBe(true);
});

test("a killed child crashes a parent that does not trap, which still says its last words", async () => {
  const { kernel, child, settle, notices } = await family();
  await kernel.kill(child);
  await settle();
  expect(notices.map((notice) => [notice.actor, notice.reason.kind])).toEqual([
    ["child", "killed"],
    ["parent", "crash"],
  ]);
  expect(notices[1]?.reason).toMatchObject({
    error: { code: "ActorStopped", actor: "child", reason: "killed" },
  });
});

test("a child whose init throws crashes its spawner, or is told to it", async () => {
  const { kernel, settle } = setup();
  const failing = worker([], "child", { failing: () => true });
  const seen: ExitReason[] = [];
  const trapping = await kernel.start(
    actor<string | ExitReason>(
      (message, out) => {
        if (message === "spawn") out.spawn(failing, undefined);
        else if (typeof message !== "string") seen.push(message);
      },
      { exited: (_child, reason) => reason },
    ),
    undefined,
  );
  const plain = await kernel.start(
    actor<string>((_message, out) => void out.spawn(failing, undefined)),
    undefined,
  );
  trapping.cast("spawn");
  plain.cast("spawn");
  await settle();
  expect(seen).toMatchObject([{ kind: "crash", error: { message: "child cannot start" } }]);
  expect([kernel.isAlive(trapping), kernel.isAlive(plain)]).toEqual([true, false]);
});

test("a parent's end takes its children with it, the last started first", async () => {
  const { kernel, settle } = setup();
  const log: string[] = [];
  const ref = await kernel.start(
    actor<string>(
      (_message, out) => {
        for (const name of ["a", "b", "c"]) out.spawn(worker(log, name), undefined);
      },
      { terminate: () => void log.push("-parent") },
    ),
    undefined,
  );
  ref.cast("go");
  await settle();
  await kernel.stop(ref);
  expect(log.join(" ")).toBe("+a +b +c -c -b -a -parent");
});

test("a child that its parent stops, and that has to be killed for it, does not crash the parent", async () => {
  const { kernel, clock, settle } = setup();
  const deaf = actor<string>(() => {}, { shutdown: () => "ignored" });
  let child: Ref<string> | undefined;
  const ref = await kernel.start(
    actor<string>((message, out) => {
      if (message === "spawn") child = out.spawn(deaf, undefined, { shutdownMs: 100 });
      else if (child !== undefined) out.stopChild(child);
    }),
    undefined,
  );
  ref.cast("spawn");
  ref.cast("stop");
  await settle();
  expect(child !== undefined && kernel.isAlive(child)).toBe(true);
  await clock.advance(100);
  expect(child !== undefined && kernel.isAlive(child)).toBe(false);
  expect(kernel.isAlive(ref)).toBe(true);
});

test("startUnder links to its parent, and is refused once the parent is gone", async () => {
  const { kernel } = setup();
  const log: string[] = [];
  const ref = await kernel.start(
    actor<string>(() => {}),
    undefined,
  );
  const child = await kernel.startUnder(ref, worker(log, "child"), undefined);
  await kernel.stop(ref);
  expect(kernel.isAlive(child)).toBe(false);
  await expect(kernel.startUnder(ref, worker(log, "late"), undefined)).rejects.toMatchObject({
    code: "ActorStopped",
  });
  expect(log).toEqual(["+child", "-child"]);
});

test("a failed startUnder rejects, and does not crash the parent beside that", async () => {
  const { kernel, settle } = setup();
  const ref = await kernel.start(
    actor<string>(() => {}),
    undefined,
  );
  const failing = worker([], "child", { failing: () => true });
  await expect(kernel.startUnder(ref, failing, undefined)).rejects.toThrow("child cannot start");
  await settle();
  expect(kernel.isAlive(ref)).toBe(true);
});

test("ten thousand children end without a deep stack", async () => {
  const { kernel, settle } = setup();
  const ref = await kernel.start(
    actor<string>((_message, out) => {
      for (let i = 0; i < 10_000; i++)
        out.spawn(
          actor<string>((_m, o) => o.stop(normal())),
          undefined,
        );
    }),
    undefined,
  );
  ref.cast("go");
  await settle();
  expect(kernel.tree(ref)[0]?.children).toHaveLength(10_000);
  expect(await kernel.stop(ref)).toEqual({ kind: "shutdown" });
});
