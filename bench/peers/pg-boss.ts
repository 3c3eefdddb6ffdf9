/**
 * pg-boss on PostgreSQL, bodies in the process of the worker: with its defaults, which take one job each two seconds;
 * woken by NOTIFY; and in batches, again at once while a batch comes back full.
 *
 * Owns an instance and its pool until `close`; its schema belongs to the place. Jobs that have ended stay in the table, as
 * is its default.
 */
import { runsOfRaw } from "../baselines/raw.ts";
import { type Body, loadBodies, loadPeer } from "./packages.ts";
import type { PostgresPlace } from "./postgres.ts";
import type { PeerSystem } from "./system.ts";

interface Job {
  readonly data: { readonly body: Body; readonly args: unknown };
}

interface Boss {
  on(event: "error", listener: (error: Error) => void): void;
  start(): Promise<unknown>;
  createQueue(name: string, options: object): Promise<void>;
  send(name: string, data: object): Promise<unknown>;
  insert(name: string, jobs: readonly Job[]): Promise<unknown>;
  work(name: string, options: object, handler: (jobs: readonly Job[]) => Promise<void>): Promise<unknown>;
  stop(options: object): Promise<void>;
}

interface PgBossModule {
  readonly PgBoss: new (options: object) => Boss;
}

export const PG_BOSS_MODES = {
  defaults: { queue: {}, work: {} },
  notify: { queue: { notify: true }, work: {} },
  "batches of 100": { queue: { notify: true }, work: { batchSize: 100, burstWhenBatchFull: true } },
} as const;

export type PgBossMode = keyof typeof PG_BOSS_MODES;

const QUEUE = "bench";

export async function pgBoss(place: PostgresPlace, mode: PgBossMode): Promise<PeerSystem> {
  const { PgBoss } = await loadPeer<PgBossModule>("pg-boss");
  const bodies = await loadBodies();
  const { queue, work } = PG_BOSS_MODES[mode];
  const schema = place.schema();
  const boss = new PgBoss({ connectionString: place.url, schema, useListenNotify: "notify" in queue });
  boss.on("error", () => {}); // what is lost by it is counted
  await boss.start();
  await boss.createQueue(QUEUE, queue);
  await boss.work(QUEUE, work, async (jobs) => {
    for (const { data } of jobs) bodies[data.body](data.args);
  });
  const job = (body: Body, args: unknown = {}) => ({ body, args });
  return {
    name: `pg-boss, ${mode}`,
    where: "in-process",
    kept: place.kept,
    enqueue: async (body, args) => void (await boss.send(QUEUE, job(body, args))),
    enqueueMany: async (body, count) =>
      void (await boss.insert(
        QUEUE,
        Array.from({ length: count }, () => ({ data: job(body) })),
      )),
    runs: runsOfRaw,
    left: () => place.count(`${schema}.job where name = '${QUEUE}' and state <> 'completed'`),
    close: () => boss.stop({ graceful: true, close: true }),
  };
}
