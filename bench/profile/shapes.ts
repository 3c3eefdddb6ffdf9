/**
 * What is profiled: one node at the work that its suite measures, memory, embedded or RabbitMQ.
 *
 * Owns a node, and what it stands on, from `start` to `stop`. Only `work` is looked at; `before` and `after` are what the suites
 * do outside of their clock as well: filling a queue, and showing that each job ran exactly once.
 */
import { join } from "node:path";
import type { JobDefinition } from "../../src/jobs/definition.ts";
import { runsOfOurs, runsReach } from "../baselines/raw.ts";
import { CONCURRENCY, DurableNode, type Noop } from "../nodes/durable-node.ts";
import { MemoryNode } from "../nodes/memory-node.ts";
import { RabbitNode } from "../nodes/rabbit-node.ts";
import { RabbitPlace } from "../nodes/rabbit-place.ts";
import { type Bench, callers } from "../runner/bench.ts";
import { makeFolder, removeFolder } from "../runner/machine.ts";
import { rabbitMq } from "../runner/needs.ts";
import { loadJob } from "../runner/package.ts";
import type { Need } from "../runner/suite.ts";

export interface Running {
  before(jobs: number): Promise<void>;
  work(jobs: number): Promise<void>;
  after(jobs: number): Promise<void>;
  stop(): Promise<void>;
}

export interface Shape {
  /** What goes on, after the name. */
  readonly about: string;
  /** Of one run, unless others are asked for. */
  readonly jobs: number;
  readonly need?: Need;
  start(bench: Bench): Promise<Running>;
}

const IN_FLIGHT = 64;
const AWAITED = 256;
const PREFETCH = 100;
const FILLERS = 1_024;

const noop = async () => (await loadJob<JobDefinition<"noop", void, void, void>>("noop")) as Noop;

async function startMemory(bench: Bench): Promise<Running> {
  const node = await MemoryNode.start(bench, await noop());
  return {
    before: async () => {},
    work: async (jobs) => void (await node.runAll(jobs, IN_FLIGHT)),
    after: async () => {},
    stop: () => node.stop(),
  };
}

async function startEmbedded(bench: Bench): Promise<Running> {
  const { path, onDisk } = makeFolder(bench.settings.data);
  if (!onDisk)
    bench.say("the folder is in memory, where a flush costs nothing: give --data a folder on a disk");
  const node = await DurableNode.start(join(path, "profile"));
  let runs = 0;
  return {
    before: async () => {
      runs = runsOfOurs();
    },
    async work(jobs) {
      await callers(AWAITED, jobs, async (take) => {
        while (take()) await node.enqueue();
      });
      await runsReach(runs + jobs);
    },
    async after(jobs) {
      await node.consume(CONCURRENCY);
      bench.check("jobs left", 0, await node.left());
      bench.check("runs of jobs", jobs, runsOfOurs() - runs);
    },
    async stop() {
      await node.stop();
      removeFolder(path);
    },
  };
}

async function startRabbit(bench: Bench): Promise<Running> {
  const place = await RabbitPlace.need();
  const node = await RabbitNode.start({ bench, place, type: "quorum", job: await noop() });
  let runs = 0;
  return {
    async before(jobs) {
      await callers(FILLERS, jobs, async (take) => {
        while (take()) await node.enqueue();
      });
      runs = runsOfOurs();
    },
    async work(jobs) {
      await node.consume(PREFETCH);
      await runsReach(runs + jobs);
    },
    after: (jobs) => node.settled(jobs, runs),
    async stop() {
      await node.stop();
      bench.check("messages left on the broker", 0, await place.leave());
    },
  };
}

export const SHAPES = {
  memory: { about: `${IN_FLIGHT} in flight, each result awaited`, jobs: 200_000, start: startMemory },
  embedded: { about: `${AWAITED} enqueues awaited`, jobs: 200_000, start: startEmbedded },
  rabbitmq: {
    about: `from a filled quorum queue, prefetch ${PREFETCH}`,
    jobs: 60_000,
    need: rabbitMq,
    start: startRabbit,
  },
} as const satisfies Readonly<Record<string, Shape>>;

export type ShapeName = keyof typeof SHAPES;
