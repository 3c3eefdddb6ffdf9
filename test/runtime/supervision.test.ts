import { describe, expect, test } from "vitest";
import type { Ref, TreeNode } from "../../src/kernel/types.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { brokers, collect, next, Place, start } from "./support.ts";

/** A message that no actor knows what to do with: its step throws. */
const POISON = { t: "deliver" } as never;

function actor(runtime: Runtime, name: string): Ref<never> {
  const ref = runtime.kernel.whereis(name);
  if (ref === undefined) throw new Error(`no actor is named ${name}`);
  return ref;
}

function find(nodes: readonly TreeNode[], name: string): TreeNode | undefined {
  for (const node of nodes) {
    const found = node.name === name ? node : find(node.children, name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Resolves when an actor of this name lives that is not `old`. */
async function restarted(runtime: Runtime, name: string, old: Ref<never>): Promise<void> {
  for (;;) {
    const now = runtime.kernel.whereis(name);
    if (now !== undefined && now.pid !== old.pid && find(runtime.node.tree(), name)?.state === "running")
      return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const crashable = [
  "partition:p/consumer",
  "partition:p/worker-supervisor",
  "partition:p/global-coordinator",
  "waiting-partitions",
  "partition-supervisor",
  "system",
  "admission",
] as const;

describe.each(brokers)("on $kind", (kind) => {
  test.each(crashable)(
    "%s is killed while jobs run and wait: all of them end, none is charged an attempt",
    async (name) => {
      const place = new Place();
      const runtime = await start(kind, place, { grace: { shutdown: "1 second" } });
      const exits = collect(runtime, "actor.exited");
      const completed = collect(runtime, "job.completed");
      const until = place.path();
      const started = next(runtime, "job.started");
      const args = Array.from({ length: 12 }, (_, i) =>
        i < 6 ? { until } : { until, executionKey: `${i % 2}` },
      );
      const handles = await runtime.enqueueMany("hold", args, { partition: "p" });
      await started;
      const old = actor(runtime, name);
      await runtime.kernel.kill(old);
      await restarted(runtime, name, old);
      place.open(until);
      expect(await Promise.all(handles.map((h) => h.result()))).toEqual(args.map(() => "hold"));
      expect(exits.some((e) => e.actor === name && e.reason.kind === "killed")).toBe(true);
      expect(completed.map((e) => e.attempt)).toEqual(completed.map(() => 0));
      expect(await runtime.execute("sum", { x: 1 }, { partition: "p" })).toBe(2);
    },
  );

  test("a step that throws is a crash that can be seen, and its supervisor starts the actor again", async () => {
    const runtime = await start(kind, new Place());
    const exit = next(runtime, "actor.exited");
    const name = "partition:p/consumer";
    const old = actor(runtime, name);
    old.cast(POISON);
    expect(await exit).toMatchObject({ actor: name, reason: { kind: "crash" } });
    await restarted(runtime, name, old);
    expect(await runtime.execute("sum", { x: 1 }, { partition: "p" })).toBe(2);
    expect(find(runtime.node.tree(), name)).toMatchObject({ state: "running", restarts: 1 });
  });

  test("a partition that gives up is waiting, shown as such, and runs again after a second", async () => {
    const runtime = await start(kind, new Place());
    const waiting = next(runtime, "partition.waiting");
    const running = next(runtime, "partition.running");
    for (let i = 0; i < 5; i++) {
      const name = "partition:p/consumer";
      const old = runtime.kernel.whereis(name);
      if (old === undefined) break;
      old.cast(POISON);
      await new Promise((resolve) => runtime.kernel.onExit(old, resolve));
      if ((await Promise.race([waiting, settled(runtime, name, old)])) !== undefined) break;
    }
    expect((await waiting).error).toMatchObject({ code: "RestartIntensityExceeded" });
    expect(await runtime.node.waitingPartitions()).toEqual({ p: { default: 10 } });
    await running;
    expect(await runtime.execute("sum", { x: 1 }, { partition: "p" })).toBe(2);
  });

  test("a worker that crashes leaves no body behind: the crash is booked as a failed attempt", async () => {
    const place = new Place();
    const runtime = await start(kind, place);
    const started = next(runtime, "job.started");
    const until = place.path();
    const handle = await runtime.enqueue("hold", { until, executionKey: "k" }, { partition: "p" });
    await started;
    const supervisor = find(runtime.node.tree(), "partition:p/worker-supervisor");
    const worker = supervisor?.children[0];
    if (worker === undefined) throw new Error("no worker runs");
    actor(runtime, worker.name).cast({ t: "outcome" } as never);
    await expect(handle.result()).rejects.toMatchObject({ code: "JobBuried", cause: { kind: "crash" } });
    expect(await runtime.execute("hold", { executionKey: "k" }, { partition: "p" })).toBe("hold");
    expect(await runtime.node.counts()).toMatchObject({ running: 0, waiting: 0 });
  });
});

async function settled(runtime: Runtime, name: string, old: Ref<never>): Promise<undefined> {
  for (let turn = 0; turn < 1_000; turn++) {
    const now = runtime.kernel.whereis(name);
    if (now !== undefined && now.pid !== old.pid) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
