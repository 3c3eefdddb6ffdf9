/**
 * BullMQ on Redis: bodies in the process of the worker, or sandboxed in threads or in processes.
 *
 * Owns a queue and a worker until `close`; their keys belong to the place. Finished jobs are removed at once, as ours
 * are: its default keeps them for ever, which would cost it more.
 */
import { runsOfRaw, THREADS } from "../baselines/raw.ts";
import { type Body, loadBodies, loadPeer } from "./packages.ts";
import type { RedisPlace } from "./redis.ts";
import type { PeerSystem } from "./system.ts";

interface Job {
  readonly name: string;
  readonly data: unknown;
}

interface Queue {
  add(name: string, data: unknown): Promise<unknown>;
  addBulk(jobs: readonly Job[]): Promise<unknown>;
  getJobCounts(): Promise<Readonly<Record<string, number>>>;
  close(): Promise<void>;
}

interface Worker {
  on(event: "completed", listener: (job: Job, result: { pid: number; runs: number }) => void): void;
  on(event: "error", listener: (error: Error) => void): void;
  waitUntilReady(): Promise<unknown>;
  close(): Promise<void>;
}

interface Bullmq {
  readonly Queue: new (name: string, options: object) => Queue;
  readonly Worker: new (
    name: string,
    processor: URL | ((job: Job) => Promise<void>),
    options: object,
  ) => Worker;
}

export type Where = PeerSystem["where"];

/**
 * Unless it is said: in the process as many as its own guide shows; sandboxed, where each is a thread or a process of its
 * own, as many as ours has threads.
 */
const CONCURRENCY: Readonly<Record<Where, number>> = {
  "in-process": 50,
  threads: THREADS,
  processes: THREADS,
};

const fileOf = (name: string) => new URL(`./bodies/${name}.mjs`, import.meta.url);

export async function bullmq(
  place: RedisPlace,
  where: Where,
  concurrency = CONCURRENCY[where],
): Promise<PeerSystem> {
  const { Queue, Worker } = await loadPeer<Bullmq>("bullmq");
  const { url, prefix, kept } = place;
  const name = `bench-${where}`;
  const shared = { prefix, connection: { url } };
  if (where === "threads") letListen(2 * concurrency);
  const queue = new Queue(name, { ...shared, defaultJobOptions: { removeOnComplete: true } });
  const worker = new Worker(name, await processorOf(where), {
    ...shared,
    concurrency,
    useWorkerThreads: where === "threads",
  });
  const runs = where === "processes" ? runsOfProcesses(worker) : runsOfRaw;
  worker.on("error", () => {}); // a connection that closes; what is lost by it is counted
  await worker.waitUntilReady();
  return {
    name: `BullMQ, concurrency ${concurrency}`,
    where,
    kept,
    enqueue: async (body, args = {}) => void (await queue.add(body, args)),
    enqueueMany: async (body, count) =>
      void (await queue.addBulk(Array.from({ length: count }, () => ({ name: body, data: {} })))),
    runs,
    left: async () => Object.values(await queue.getJobCounts()).reduce((sum, count) => sum + count, 0),
    close: async () => {
      await worker.close();
      await queue.close();
    },
  };
}

async function processorOf(where: Where): Promise<URL | ((job: Job) => Promise<void>)> {
  if (where === "threads") return fileOf("bullmq");
  if (where === "processes") return fileOf("bullmq-process");
  const bodies = await loadBodies();
  return async ({ name, data }) => bodies[name as Body](data);
}

/** Each result has the count of its process; results of one process may overtake each other. */
function runsOfProcesses(worker: Worker): () => number {
  const runs = new Map<number, number>();
  worker.on("completed", (_job, result) =>
    runs.set(result.pid, Math.max(result.runs, runs.get(result.pid) ?? 0)),
  );
  return () => [...runs.values()].reduce((sum, count) => sum + count, 0);
}

/** Each of its threads listens to our output; Node would warn of a leak. */
function letListen(more: number): void {
  for (const stream of [process.stdout, process.stderr])
    stream.setMaxListeners(Math.max(stream.getMaxListeners(), 10 + more));
}
