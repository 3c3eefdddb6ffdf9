/**
 * A node's process is killed at each step of the way of a job with keys; the other node finds what the design says.
 *
 * After each: the job is not lost, it ran as often as the table says and not more, its keys are free for the next, and
 * nothing is left in anybody's hands. One node outlives all of them and holds the coordinators' seats; each step has a
 * partition and a process of its own. Some are under way at once: what takes time is that the others wait for the dead.
 */
import { fork } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { rabbitmq } from "../../src/amqp/index.ts";
import { defineJob } from "../../src/jobs/definition.ts";
import { DuplicateJob } from "../../src/jobs/errors.ts";
import type { Failure } from "../../src/jobs/failure.ts";
import { type Runtime, startRuntime } from "../../src/runtime/runtime.ts";
import { FakePool } from "../../src/testing/fake-pool.ts";
import { until } from "../conformance/harness.ts";
import { quiet } from "../runtime/support.ts";
import { describeAmqp, freshPrefix } from "./support/broker.ts";
import { cleanUpPrefix } from "./support/made.ts";

const NODE = fileURLToPath(new URL("./fixtures/failpoint.mjs", import.meta.url));
const AT_ONCE = 6;
const SLOW = { timeout: 600_000 };

type Point = readonly [file: string, part: string, method: string, when: When, only?: string];
type When = "before" | "under way" | "after";
type Does = "enqueues" | "works" | "cancels" | "requeues" | "goes round";

interface Step {
  readonly name: string;
  readonly does: Does;
  readonly point?: Point;
  readonly job?: "keyed" | "retried";
  readonly how?: "returns" | "fails" | "kills" | "hangs";
  /** Starts on the node that is left: so many, or within these. */
  readonly again: number | readonly [number, number];
  /** Starts on the node that is killed. */
  readonly before?: number | readonly [number, number];
  /** Copies that lie buried at the end. */
  readonly buried?: number | readonly [number, number];
}

const keys = (method: string, when: When, only?: string): Point => {
  const point = ["amqp/coordinator/job-keys.js", "JobKeys", method, when] as const;
  return only === undefined ? point : [...point, only];
};
const sends = (method: string, when: When): Point => ["amqp/outgoing.js", "Outgoing", method, when];

const STEPS: readonly Step[] = [
  // enqueue; then the same id is enqueued again
  { name: "enqueue: its key not reserved", does: "enqueues", point: keys("reserve", "before"), again: 1 },
  {
    name: "enqueue: its key reserved, not published",
    does: "enqueues",
    point: keys("reserve", "after"),
    again: 1,
  },
  {
    name: "enqueue: published, not confirmed",
    does: "enqueues",
    point: sends("enqueueOne", "under way"),
    again: 1,
  },
  {
    name: "enqueue: confirmed, the coordinator not told",
    does: "enqueues",
    point: sends("enqueueOne", "after"),
    again: 1,
  },
  {
    name: "enqueue: the coordinator told",
    does: "enqueues",
    point: keys("published", "under way"),
    again: 1,
  },
  // a run
  { name: "run: delivered, its keys not asked for", does: "works", point: keys("begin", "before"), again: 1 },
  { name: "run: its keys asked for", does: "works", point: keys("begin", "under way"), again: 1 },
  {
    name: "run: its keys there, its body not started",
    does: "works",
    point: keys("begin", "after"),
    again: 1,
  },
  { name: "run: in its body", does: "works", how: "kills", again: 1, before: 1 },
  {
    name: "run: its body ended, its end not told",
    does: "works",
    point: keys("end", "before"),
    again: 1,
    before: 1,
  },
  {
    name: "run: its end told, not acknowledged",
    does: "works",
    point: keys("end", "after"),
    again: 0,
    before: 1,
  },
  {
    name: "run: acknowledged",
    does: "works",
    point: ["amqp/custody.js", "Custody", "ended", "under way"],
    again: 0,
    before: 1,
  },
  // a retry: the older copy may run once more where nobody is left who knows that it ended
  {
    name: "retry: failed, not published",
    does: "works",
    job: "retried",
    how: "fails",
    point: sends("replace", "before"),
    again: 1,
    before: 1,
  },
  {
    name: "retry: published, its keys not told",
    does: "works",
    job: "retried",
    how: "fails",
    point: sends("replace", "after"),
    again: [1, 2],
    before: 1,
  },
  {
    name: "retry: published and told, not acknowledged",
    does: "works",
    job: "retried",
    how: "fails",
    point: keys("end", "after"),
    again: [1, 2],
    before: 1,
  },
  // a burial
  {
    name: "bury: failed, not buried",
    does: "works",
    how: "fails",
    point: sends("bury", "before"),
    again: 1,
    before: 1,
  },
  {
    name: "bury: buried, its keys not told",
    does: "works",
    how: "fails",
    point: sends("bury", "after"),
    again: 1,
    before: 1,
    buried: 1,
  },
  {
    name: "bury: buried and told, not acknowledged",
    does: "works",
    how: "fails",
    point: keys("end", "after"),
    again: 0,
    before: 1,
    buried: 1,
  },
  // a cancel of a job that nobody has seen; then it is enqueued
  {
    name: "cancel: not marked",
    does: "cancels",
    point: ["amqp/broker.js", "RabbitBroker", "mark", "before"],
    again: 1,
  },
  {
    name: "cancel: its mark asked for",
    does: "cancels",
    point: ["amqp/broker.js", "RabbitBroker", "mark", "under way"],
    again: [0, 1],
  },
  {
    name: "cancel: marked",
    does: "cancels",
    point: ["amqp/broker.js", "RabbitBroker", "mark", "after"],
    again: 0,
  },
  // a buried job is queued again; then once more by who is left
  { name: "re-queue: its key not reserved", does: "requeues", point: keys("reserve", "before"), again: 1 },
  {
    name: "re-queue: its key reserved, not published",
    does: "requeues",
    point: keys("reserve", "after"),
    again: 1,
  },
  {
    name: "re-queue: published, its grave not acknowledged",
    does: "requeues",
    point: sends("enqueueOne", "after"),
    again: 1,
    buried: [0, 1],
  },
  // a round: the node runs one of four, and keeps one in hand that waits; two go round, and each may be there twice
  {
    name: "round: not published",
    does: "goes round",
    point: sends("replace", "before"),
    again: 4,
    before: 1,
  },
  {
    name: "round: published, its place not told",
    does: "goes round",
    point: sends("replace", "after"),
    again: [4, 6],
    before: 1,
  },
  {
    name: "round: published and told, not acknowledged",
    does: "goes round",
    point: keys("end", "after", "goes round"),
    again: [4, 6],
    before: 1,
  },
];

const FAILURE: Failure = { kind: "error", name: "Error", message: "no", stack: undefined, final: false };
interface Args {
  readonly log: string;
  readonly how: string;
  readonly queueKey: string;
}
const common = {
  queueKey: ({ queueKey }: Args) => queueKey,
  executionKey: () => "e",
  perform: () => undefined,
};
const keyed = defineJob({ name: "keyed", ...common });
const retried = defineJob({ name: "retried", retry: { levels: [1] }, ...common });

/** The node that is left, and what it has seen. */
class Heir {
  readonly prefix = freshPrefix();
  readonly folder = mkdtempSync(join(tmpdir(), "spillway-failpoints-"));
  readonly starts: string[] = [];
  readonly ended = new Set<string>();
  /** Bodies of these end badly. */
  readonly failing = new Set<string>();
  runtime!: Runtime;

  constructor(readonly url: string) {}

  async start(): Promise<void> {
    const pool = new FakePool(100);
    const running = new Set<string>();
    pool.onStart = (task) => {
      this.starts.push(task.id);
      if (running.has(task.partition)) throw new Error(`two bodies of one key in ${task.partition}`);
      running.add(task.partition);
      setImmediate(() => {
        running.delete(task.partition);
        const fails = this.failing.has(task.id);
        pool.finish(task, fails ? { kind: "failed", failure: FAILURE, durationMs: 1 } : undefined);
      });
    };
    const { url, prefix } = this;
    this.runtime = await startRuntime(
      {
        node: "heir",
        broker: rabbitmq({ url, prefix, heartbeat: 1, newQueueGrace: 0 }),
        nodeTimeout: 7_000,
        jobs: [keyed, retried],
        threads: 100,
        logger: quiet,
      },
      { pool: () => pool },
    );
    for (const type of ["job.completed", "job.cancelled"] as const)
      this.runtime.on(type, ({ id }) => void this.ended.add(id));
  }

  async stop(): Promise<void> {
    await this.runtime.stop();
    const queues = STEPS.map((_, at) => ({ partition: partitionOf(at), queue: "default" }));
    await cleanUpPrefix(this.url, this.prefix, queues);
    rmSync(this.folder, { recursive: true });
  }
}

const partitionOf = (at: number) => `p${at}`;

interface Outcome {
  readonly signal: NodeJS.Signals | null;
  readonly before: number;
  readonly again: number;
  readonly buried: number;
  readonly left: { readonly ready: number; readonly unsettled: number };
}

/** One step, from its beginning to where nothing of it is under way. */
class Story {
  readonly #heir: Heir;
  readonly #step: Step;
  readonly #partition: string;
  readonly #log: string;
  readonly #ids: readonly string[];

  constructor(heir: Heir, step: Step, at: number) {
    this.#heir = heir;
    this.#step = step;
    this.#partition = partitionOf(at);
    this.#log = join(heir.folder, this.#partition);
    const count = step.does === "goes round" ? 4 : 1;
    this.#ids = Array.from({ length: count }, (_, one) => `job-${at}-${one}`);
    writeFileSync(this.#log, "");
  }

  async tell(): Promise<Outcome> {
    const { does } = this.#step;
    const { runtime } = this.#heir;
    const consumes = (concurrency: number) =>
      runtime.partitions.start(this.#partition, { default: concurrency });
    await consumes(0);
    if (does === "requeues") await this.#buryFirst(consumes);
    if (does === "works" || does === "goes round") for (const id of this.#ids) await this.#enqueue(id);
    const signal = await this.#dies();
    await consumes(4);
    if (does === "enqueues" || does === "cancels") await this.#enqueueAgain(this.#ids[0] ?? "");
    if (does === "requeues") await runtime.buried.requeue(this.#partition, "default", "all");
    await this.#probe();
    return this.#look(signal);
  }

  async #enqueue(
    id: string,
    how = this.#step.how ?? (this.#ids.length > 1 ? "hangs" : "returns"),
  ): Promise<void> {
    const queueKey = this.#ids.length > 1 || !this.#ids.includes(id) ? `q-${id}` : "q";
    const args = { log: this.#log, how, queueKey: id === "probe" ? "q" : queueKey };
    const job = this.#step.job === "retried" ? retried : keyed;
    await this.#heir.runtime.enqueue(job, args, { partition: this.#partition, id });
  }

  /** What stands there already is refused by its id; both are well. */
  async #enqueueAgain(id: string): Promise<void> {
    await this.#enqueue(id).catch((error: unknown) => {
      if (!(error instanceof DuplicateJob) || error.by !== "id") throw error;
    });
  }

  async #buryFirst(consumes: (concurrency: number) => Promise<unknown>): Promise<void> {
    const [id = ""] = this.#ids;
    const { runtime, failing, starts } = this.#heir;
    failing.add(id);
    await this.#enqueue(id);
    await consumes(4);
    await until(
      () => runtime.buried.list(this.#partition, "default"),
      (buried) => buried.length === 1,
    );
    failing.delete(id);
    starts.splice(starts.indexOf(id), 1);
    await consumes(0);
  }

  #dies(): Promise<NodeJS.Signals | null> {
    const { url, prefix } = this.#heir;
    const { does, point } = this.#step;
    const [id] = this.#ids;
    const child = fork(NODE, [
      JSON.stringify({
        url,
        prefix,
        name: `dead-${this.#partition}`,
        partition: this.#partition,
        point,
        does: does === "goes round" ? "works" : does,
        id,
        args: { log: this.#log, how: "returns", queueKey: "q" },
        options: does === "goes round" ? { maxKeyWaiters: 1 } : {},
      }),
    ]);
    return new Promise((resolve) => child.once("exit", (_code, signal) => resolve(signal)));
  }

  /** Another job of the same keys, as soon as it may: then all is over that stood before it. */
  async #probe(): Promise<void> {
    const { runtime, ended } = this.#heir;
    const id = `probe-${this.#partition}`;
    const args = { log: this.#log, how: "returns", queueKey: "q" };
    await until(
      () =>
        runtime.enqueue(keyed, args, { partition: this.#partition, id }).then(
          () => true,
          (error: Error) => error.message,
        ),
      (isIn) => isIn === true,
    );
    await until(
      () => ended.has(id),
      (hasEnded) => hasEnded,
    );
  }

  async #look(signal: NodeJS.Signals | null): Promise<Outcome> {
    const { runtime, starts } = this.#heir;
    const counted = async () => {
      const all = await runtime.queues.list();
      const { ready = -1, unsettled = -1 } = all.find((one) => one.partition === this.#partition) ?? {};
      const holders = await runtime.keys.holders(this.#partition);
      return { ready, unsettled, held: holders.filter(({ key }) => key === "e").length };
    };
    const { ready, unsettled } = await until(
      counted,
      (left) => left.ready === 0 && left.unsettled === 0 && left.held === 0,
    );
    const lines = readFileSync(this.#log, "utf8")
      .split("\n")
      .filter((line) => line !== "");
    const buried = await runtime.buried.list(this.#partition, "default");
    return {
      signal,
      before: lines.length,
      again: starts.filter((id) => this.#ids.includes(id)).length,
      buried: buried.length,
      left: { ready, unsettled },
    };
  }
}

/** So many at once, in order. */
function limited<T>(most: number): (work: () => Promise<T>) => Promise<T> {
  let free = most;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve));
    else free -= 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}

const within = (expected: number | readonly [number, number]) => {
  const [least, most] = typeof expected === "number" ? [expected, expected] : expected;
  return Array.from({ length: most - least + 1 }, (_, n) => least + n);
};

describeAmqp("a node that is killed at a step of a job with keys", (url) => {
  const heir = new Heir(url);
  let outcomes: Promise<Outcome>[] = [];

  beforeAll(async () => {
    await heir.start();
    const one = limited<Outcome>(AT_ONCE);
    outcomes = STEPS.map((step, at) => one(() => new Story(heir, step, at).tell()));
    for (const outcome of outcomes) outcome.catch(() => {}); // each is its own test's
  }, 60_000);

  afterAll(async () => {
    await Promise.allSettled(outcomes);
    await heir.stop();
  }, 600_000);

  const named = STEPS.map((step, at) => [step.name, step, at] as const);
  test.each(named)("%s", SLOW, async (_name, { again, before = 0, buried = 0 }, at) => {
    const outcome = await outcomes[at];
    expect(outcome).toMatchObject({ signal: "SIGKILL", left: { ready: 0, unsettled: 0 } });
    expect(within(again)).toContain(outcome?.again);
    expect(within(before)).toContain(outcome?.before);
    expect(within(buried)).toContain(outcome?.buried);
  });
});
