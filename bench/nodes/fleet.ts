/**
 * Nodes, each a process with one thread for bodies (`processes/drain.mjs`), that run down one queue together.
 *
 * Owns the processes until `stop`; the queue belongs to the place. The first node fills it. Runs are counted in each
 * process, and nothing may be left: so each job has run exactly once.
 */
import { setTimeout } from "node:timers/promises";
import { Peer } from "../processes/peer.ts";
import type { Bench } from "../runner/bench.ts";
import { PARTITION, QUEUE, type RabbitPlace } from "./rabbit-place.ts";

/** A run that stands still for so long has lost a job; the checks then say so. */
const STUCK_MS = 30_000;
const LOOK_MS = 10;
/** While much is left: ten processes that are asked a hundred times a second have something to do. */
const FAR_LOOK_MS = 50;

export interface FleetOptions {
  readonly bench: Bench;
  readonly place: RabbitPlace;
  /** A file of `jobs/`. */
  readonly job: "noop" | "waits";
  /** Of each node. */
  readonly prefetch: number;
  /** Bodies at once in a node's thread. */
  readonly perThread?: number;
}

/** How a queue is filled: groups of so many jobs, so many calls at once. */
export interface Filling {
  readonly group: number;
  readonly atOnce: number;
}

export class Fleet {
  readonly #options: FleetOptions;
  readonly #nodes: Peer[] = [];
  #consuming: readonly Peer[] = [];
  #before = 0;

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#nodes.length;
  }

  async grow(count: number): Promise<void> {
    const numbers = Array.from({ length: count - this.size }, (_, n) => this.size + n + 1);
    await Promise.all(numbers.map((number) => this.#add(number)));
  }

  async #add(number: number): Promise<void> {
    const { place, job, perThread = 1 } = this.#options;
    const { url, prefix } = place;
    const name = `drain-${number}`;
    const options = { url, prefix, name, partition: PARTITION, queue: QUEUE, job, perThread };
    this.#nodes.push(await Peer.start("drain", options));
  }

  /** Resolves when all are confirmed; nobody consumes meanwhile. */
  async fill(jobs: number, { group, atOnce }: Filling): Promise<void> {
    await this.#nodes[0]?.ask("fill", { calls: jobs / group, group, atOnce });
    this.#before = await this.#runs();
  }

  /** From the subscriptions of the first `count` nodes to the last run. */
  async drain(jobs: number, count = this.size): Promise<void> {
    this.#consuming = this.#nodes.slice(0, count);
    await Promise.all(this.#consuming.map((node) => node.ask("consume", this.#options.prefetch)));
    await this.#reach(this.#before + jobs);
  }

  /** Those that consume let go of the queue; nothing is left, so each job has run, and as many runs as jobs, so none has run twice. */
  async settled(jobs: number): Promise<void> {
    const { bench, place } = this.#options;
    await Promise.all(this.#consuming.map((node) => node.ask("rest")));
    bench.check("jobs left", 0, await place.ready(place.queue));
    bench.check(`runs on ${this.#consuming.length} nodes`, jobs, (await this.#runs()) - this.#before);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.stop()));
  }

  async #runs(): Promise<number> {
    const runs = await Promise.all(this.#nodes.map((node) => node.ask("runs")));
    return runs.reduce<number>((sum, one) => sum + Number(one), 0);
  }

  async #reach(count: number): Promise<void> {
    const from = this.#before;
    let last = -1;
    for (let since = performance.now(); last < count; ) {
      const now = await this.#runs();
      if (now !== last) since = performance.now();
      else if (performance.now() - since > STUCK_MS) return;
      last = now;
      if (last < count) await setTimeout(last - from < 0.8 * (count - from) ? FAR_LOOK_MS : LOOK_MS);
    }
  }
}
