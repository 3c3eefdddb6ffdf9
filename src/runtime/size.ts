/**
 * How many threads and bodies a node has: its two options, and their change while it runs.
 *
 * Owns what admission is told, so that one that is restarted has it too. Fewer bodies are told before the threads go,
 * more only when the threads are there: nothing is handed to a thread that is not. Of two changes that overlap the
 * last one holds.
 */
import * as Schema from "effect/Schema";
import type { NodeServices } from "../actors/services.ts";
import { structureOf, unknownKeys, whole } from "../broker/options.ts";
import { InvalidOptions, RuntimeStopped } from "./errors.ts";

/** What `runtime.node.resize` changes; the options of the same names. */
export interface Size {
  /** Slots; 1 … 256. */
  readonly threads: number;
  /** Most bodies at once; at most `threads` × `jobsPerThread`. */
  readonly watermark: number;
}

export const SizeFields = {
  threads: Schema.optionalKey(whole(1, 256)),
  watermark: Schema.optionalKey(whole(1, 100_000)),
};

const structure = structureOf(Schema.Struct(SizeFields));

export function watermarkProblems({ watermark, threads }: Size, jobsPerThread: number): string[] {
  if (watermark <= threads * jobsPerThread) return [];
  const each = jobsPerThread === 1 ? "one body" : `${jobsPerThread} bodies`;
  return [
    `watermark is ${watermark}, but ${threads} threads run ${each} each; raise threads or jobsPerThread, or leave watermark out`,
  ];
}

/** The size that was asked for, on top of the one that is. @throws InvalidOptions */
export function changed(size: Size, given: unknown, jobsPerThread: number): Size {
  const problems = unknownKeys(given, Object.keys(SizeFields), "");
  const raw = structure(given, problems);
  if (raw === undefined) throw new InvalidOptions(problems);
  const threads = raw.threads ?? size.threads;
  const follows = size.watermark === size.threads * jobsPerThread;
  const watermark = raw.watermark ?? (follows ? threads * jobsPerThread : size.watermark);
  const wanted = { threads, watermark };
  problems.push(...watermarkProblems(wanted, jobsPerThread));
  if (problems.length > 0) throw new InvalidOptions(problems);
  return wanted;
}

export class NodeSize {
  /** What admission goes by. */
  now: Size;
  /** What was asked for last; more than `now` while threads are built. */
  #wanted: Size;
  readonly #services: NodeServices;
  readonly #jobsPerThread: number;

  constructor(
    services: NodeServices,
    { threads, watermark, jobsPerThread }: Size & { jobsPerThread: number },
  ) {
    this.now = { threads, watermark };
    this.#wanted = this.now;
    this.#services = services;
    this.#jobsPerThread = jobsPerThread;
  }

  async resize(given: unknown): Promise<Size> {
    const { phase, node, pool, runsJobs } = this.#services;
    if (phase === "stopping") throw new RuntimeStopped(node);
    const wanted = changed(this.#wanted, given, this.#jobsPerThread);
    this.#wanted = wanted;
    this.#tell({
      threads: Math.min(this.now.threads, wanted.threads),
      watermark: Math.min(this.now.watermark, wanted.watermark),
    });
    if (runsJobs) await pool.resize(wanted.threads);
    if (this.#wanted === wanted) this.#tell(wanted);
    return wanted;
  }

  #tell(size: Size): void {
    this.now = size;
    this.#services.admission.cast({ t: "resize", ...size });
  }
}
