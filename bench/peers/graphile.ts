/**
 * graphile-worker on PostgreSQL, bodies in the process of the worker: with its defaults, which run one job at a time;
 * with the concurrency of its performance page; and with that page's batching as well.
 *
 * Owns a runner, what adds jobs, and their pools until `close`; its schema belongs to the place. Its log, a line a job, is left out.
 */
import { runsOfRaw } from "../baselines/raw.ts";
import { type Body, loadBodies, loadPeer } from "./packages.ts";
import type { PostgresPlace } from "./postgres.ts";
import type { PeerSystem } from "./system.ts";

interface Spec {
  readonly identifier: string;
  readonly payload: unknown;
}

interface Utils {
  addJob(identifier: string, payload: unknown): Promise<unknown>;
  addJobs(specs: readonly Spec[]): Promise<unknown>;
  release(): PromiseLike<void> | undefined;
}

interface Graphile {
  readonly Logger: new (factory: () => () => void) => object;
  readonly makeWorkerUtils: (options: object) => Promise<Utils>;
  readonly run: (options: object) => Promise<{ stop(): Promise<void> }>;
}

export const GRAPHILE_MODES = {
  defaults: {},
  "concurrentJobs 24": { concurrentJobs: 24, maxPoolSize: 25 },
  "24, batching": {
    concurrentJobs: 24,
    maxPoolSize: 25,
    localQueue: { size: 500 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
  },
} as const;

export type GraphileMode = keyof typeof GRAPHILE_MODES;

export async function graphile(place: PostgresPlace, mode: GraphileMode): Promise<PeerSystem> {
  const { Logger, makeWorkerUtils, run } = await loadPeer<Graphile>("graphile-worker");
  const bodies = await loadBodies();
  const schema = place.schema();
  const task = (body: Body) => async (payload: unknown) => bodies[body](payload);
  const shared = { connectionString: place.url, schema, logger: new Logger(() => () => {}) };
  const preset = { worker: { ...shared, ...GRAPHILE_MODES[mode] } };
  const runner = await run({
    preset,
    taskList: { noop: task("noop"), computes: task("computes"), marked: task("marked") },
    parsedCronItems: [],
    noHandleSignals: true,
  });
  const utils = await makeWorkerUtils({ preset });
  return {
    name: `graphile-worker, ${mode}`,
    where: "in-process",
    kept: place.kept,
    enqueue: async (body, args = {}) => void (await utils.addJob(body, args)),
    enqueueMany: async (body, count) =>
      void (await utils.addJobs(Array.from({ length: count }, () => ({ identifier: body, payload: {} })))),
    runs: runsOfRaw,
    left: () => place.count(`${schema}.jobs`),
    close: async () => {
      await utils.release();
      await runner.stop();
    },
  };
}
