/**
 * Random stories of one node, without threads and with a clock that moves when told: jobs come, run, fail, snooze and
 * are cancelled, queues pause, the node is resized, parts of the tree are killed. At the end every job has ended once, where it can be
 * seen; no two ran under one key; no slot, key or waiter is left.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { memory } from "../../src/embedded/index.ts";
import { type Runtime, startRuntime } from "../../src/runtime/runtime.ts";
import { FakePool } from "../../src/testing/fake-pool.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import type { Outcome, Task } from "../../src/threads/types.ts";
import { jobs, quiet } from "./support.ts";

const RUNS = process.env.SPILLWAY_LONG === undefined ? 150 : 5_000;
const KILLABLE = ["consumer", "worker-supervisor", "global-coordinator"] as const;

const failed = (final: boolean): Outcome => ({
  kind: "failed",
  durationMs: 2,
  failure: { kind: "error", name: "Error", message: "as told", stack: undefined, final },
});

type Command =
  | {
      readonly do: "enqueue";
      readonly job: "hold" | "flaky";
      readonly key: number;
      readonly queue: string;
      readonly delay: number;
    }
  | {
      readonly do: "finish";
      readonly pick: number;
      readonly how: "completed" | "failed" | "final" | "snoozed" | "rescued";
    }
  | { readonly do: "cancel"; readonly pick: number }
  | { readonly do: "pause" | "resume"; readonly queue: string }
  | { readonly do: "advance"; readonly ms: number }
  | { readonly do: "kill"; readonly actor: (typeof KILLABLE)[number] }
  | { readonly do: "kill-worker"; readonly pick: number }
  | { readonly do: "kill-admission" }
  | { readonly do: "resize"; readonly threads: number; readonly watermark: number };

const queue = fc.constantFrom("default", "other");
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant("enqueue"),
      job: fc.constantFrom("hold", "flaky"),
      key: fc.nat(2),
      queue,
      delay: fc.constantFrom(0, 0, 0, 1_500),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant("finish"),
      pick: fc.nat(3),
      how: fc.constantFrom("completed", "completed", "failed", "final", "snoozed", "rescued"),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("cancel"), pick: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("pause", "resume"), queue }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("advance"), ms: fc.constantFrom(10, 1_000, 2_500) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("kill"), actor: fc.constantFrom(...KILLABLE) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("kill-worker"), pick: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.constant({ do: "kill-admission" }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("resize"),
      threads: fc.constantFrom(1, 2, 4),
      watermark: fc.constantFrom(1, 2, 4),
    }),
  },
) as fc.Arbitrary<Command>;

class Story {
  readonly clock = new VirtualClock(1_000_000);
  readonly pool = new FakePool(2);
  readonly ids: string[] = [];
  /** The execution key of each job that has one. */
  readonly keys = new Map<string, string>();
  readonly ends = new Map<string, string[]>();
  readonly overlaps: string[] = [];
  kills = 0;

  private constructor(readonly runtime: Runtime) {}

  static async begin(): Promise<Story> {
    const clock = new VirtualClock(1_000_000);
    const pool = new FakePool(2);
    const options = {
      broker: memory(),
      jobs,
      threads: 2,
      partitions: { p: { default: 4, other: 3 } },
      logger: quiet,
      shutdownTimeout: 0,
    };
    const runtime = await startRuntime(options, { clock, pool: () => pool });
    const story = Object.assign(new Story(runtime), { clock, pool });
    story.#listen();
    return story;
  }

  #listen(): void {
    const ended = (how: string) => (event: { id: string }) => {
      this.ends.set(event.id, [...(this.ends.get(event.id) ?? []), how]);
    };
    this.runtime.on("job.completed", ended("completed"));
    this.runtime.on("job.buried", ended("buried"));
    this.runtime.on("job.cancelled", ended("cancelled"));
    this.pool.onStart = (task) => {
      const key = this.keys.get(task.id);
      const other = this.pool.running.find(
        (one) => one !== task && key !== undefined && this.keys.get(one.id) === key,
      );
      if (other !== undefined) this.overlaps.push(`${task.id} and ${other.id} under ${key}`);
    };
  }

  async tell(command: Command): Promise<void> {
    switch (command.do) {
      case "enqueue":
        await this.#enqueue(command);
        break;
      case "finish":
        this.#finish(this.pool.running[command.pick], command.how);
        break;
      case "cancel": {
        const id = this.ids[command.pick];
        if (id !== undefined && !this.ends.has(id)) await this.runtime.cancel("p", id);
        break;
      }
      case "pause":
        await this.runtime.queues.pause("p", command.queue);
        break;
      case "resume":
        await this.runtime.queues.resume("p", command.queue);
        break;
      case "advance":
        await this.clock.advance(command.ms);
        break;
      case "resize": {
        const { threads, watermark } = command;
        await this.runtime.node.resize({ threads, watermark: Math.min(threads, watermark) });
        break;
      }
      default:
        await this.#kill(command);
    }
    await this.clock.settle();
  }

  async #enqueue({ job, key, queue, delay }: Command & { do: "enqueue" }): Promise<void> {
    const id = `job-${this.ids.length}`;
    const executionKey = key === 0 ? undefined : `k${key}`;
    const args = job === "hold" ? { executionKey } : {};
    if (job === "hold" && executionKey !== undefined) this.keys.set(id, executionKey);
    this.ids.push(id);
    await this.runtime.enqueue(job, args, { partition: "p", queue, id, delay });
  }

  #finish(task: Task | undefined, how: (Command & { do: "finish" })["how"]): void {
    if (how === "failed" || how === "final") this.pool.finish(task, failed(how === "final"));
    else if (how === "snoozed") this.pool.finish(task, { kind: "snoozed", delayMs: 700 });
    else if (how === "rescued") this.pool.finish(task, { kind: "rescued", reason: "a neighbour was killed" });
    else this.pool.finish(task);
  }

  /** At most two a story, so that no supervisor gives up for good: that has tests of its own. */
  async #kill(command: Command): Promise<void> {
    if (this.kills >= 2) return;
    const { kernel } = this.runtime;
    const workers = await this.runtime.node.runningWorkers();
    const name =
      command.do === "kill"
        ? `partition:p/${command.actor}`
        : command.do === "kill-admission"
          ? "admission"
          : command.do === "kill-worker"
            ? workers[command.pick]?.name
            : undefined;
    const ref = name === undefined ? undefined : kernel.whereis(name);
    if (ref === undefined) return;
    this.kills++;
    await kernel.kill(ref);
  }

  /** Everything is let go on until nothing is left to do. */
  async end(): Promise<void> {
    for (let rounds = 0; rounds < 200; rounds++) {
      for (const queue of ["default", "other"]) await this.runtime.queues.resume("p", queue);
      while (this.pool.finish()) await this.clock.settle();
      await this.clock.advance(1_100);
      const queues = (await this.runtime.node.partitions()).p;
      const left = Object.values(queues ?? { none: { ready: 1, scheduled: 0, running: 0, waiting: 0 } });
      if (left.every((q) => q.ready + (q.scheduled ?? 0) + q.running + q.waiting === 0)) return;
    }
  }
}

test("whatever happens to a node, every job ends once, no key is held by two, and nothing is left behind", {
  timeout: 600_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 40, maxLength: 120, size: "max" }), async (commands) => {
      const story = await Story.begin();
      try {
        for (const command of commands) await story.tell(command);
        await story.end();
        const ended = story.ids.map((id) => [id, story.ends.get(id) ?? []] as const);
        expect(ended.filter(([, ends]) => ends.length !== 1)).toEqual([]);
        expect(story.overlaps).toEqual([]);
        expect(await story.runtime.node.counts()).toMatchObject({ running: 0, waiting: 0 });
        expect(await story.runtime.node.runningWorkers()).toEqual([]);
        const detail = (await story.runtime.node.tree()).flatMap((root) => root.children);
        const partition = detail.find((node) => node.name === "partition-supervisor")?.children[0];
        const coordinator = partition?.children.find((node) => node.kind === "global-coordinator");
        expect(coordinator?.detail).toMatchObject({ executionKeys: 0 });
      } finally {
        await story.runtime.stop();
      }
    }),
    { numRuns: RUNS },
  );
});
