/**
 * Pools of threads, which keep nothing: raw Piscina, tinypool, workerpool, poolifier. Each is made as its README has it,
 * with as many threads as ours and all of them there from the start.
 *
 * Owns a pool until `close`. A job's end is its promise, so nothing is ever left.
 */
import { fileURLToPath } from "node:url";
import { runsOfRaw, THREADS } from "../baselines/raw.ts";
import { loadPiscina } from "../runner/package.ts";
import { type Body, loadPeer } from "./packages.ts";
import { NOT_KEPT, noGroups, type PeerSystem } from "./system.ts";

const fileOf = (name: string) => fileURLToPath(new URL(`./bodies/${name}.mjs`, import.meta.url));

interface Running {
  run(body: Body, args: unknown): Promise<unknown>;
  close(): Promise<unknown>;
}

function poolOf(name: string, { run, close }: Running): PeerSystem {
  return {
    name,
    where: "threads",
    kept: NOT_KEPT,
    enqueue: async (body, args) => void (await run(body, args)),
    enqueueMany: noGroups(name),
    runs: runsOfRaw,
    left: async () => 0,
    close: async () => void (await close()),
  };
}

export async function piscina(): Promise<PeerSystem> {
  const { Piscina } = await loadPiscina();
  const pool = new Piscina({ filename: fileOf("bodies"), minThreads: THREADS, maxThreads: THREADS });
  return poolOf("raw Piscina", {
    run: (body, args) => pool.run(args, { name: body }),
    close: () => pool.destroy(),
  });
}

interface Tinypool {
  readonly default: new (
    options: object,
  ) => {
    run(args: unknown, options: { readonly name: string }): Promise<unknown>;
    destroy(): Promise<void>;
  };
}

export async function tinypool(): Promise<PeerSystem> {
  const { default: Pool } = await loadPeer<Tinypool>("tinypool");
  const pool = new Pool({ filename: fileOf("bodies"), minThreads: THREADS, maxThreads: THREADS });
  return poolOf("tinypool", {
    run: (body, args) => pool.run(args, { name: body }),
    close: () => pool.destroy(),
  });
}

interface Workerpool {
  readonly default: {
    pool(
      file: string,
      options: object,
    ): {
      exec(body: string, args: readonly unknown[]): PromiseLike<unknown>;
      terminate(): PromiseLike<unknown>;
    };
  };
}

export async function workerpool(): Promise<PeerSystem> {
  const { default: module } = await loadPeer<Workerpool>("workerpool");
  const pool = module.pool(fileOf("workerpool"), {
    workerType: "thread",
    minWorkers: THREADS,
    maxWorkers: THREADS,
  });
  return poolOf("workerpool", {
    run: async (body, args) => pool.exec(body, args === undefined ? [] : [args]),
    close: async () => pool.terminate(),
  });
}

interface Poolifier {
  readonly FixedThreadPool: new (
    threads: number,
    file: string,
    options?: object,
  ) => {
    execute(args: unknown, body: string): Promise<unknown>;
    destroy(): Promise<void>;
  };
}

export async function poolifier(): Promise<PeerSystem> {
  const { FixedThreadPool } = await loadPeer<Poolifier>("poolifier");
  const pool = new FixedThreadPool(THREADS, fileOf("poolifier"));
  return poolOf("poolifier", {
    run: (body, args) => pool.execute(args, body),
    close: () => pool.destroy(),
  });
}
