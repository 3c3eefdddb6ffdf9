/**
 * How soon a coordinator is followed on RabbitMQ: three nodes have a seat, the elected one is killed or frozen, and a third
 * enqueues a job with a queue key at that moment.
 *
 * Owns a place on the broker, deleted at the end, and the nodes' processes (`processes/node.mjs`), each replaced when it is
 * gone.
 */

import { PARTITION, QUEUE, RabbitPlace } from "../nodes/rabbit-place.ts";
import { Peer, sharedNow } from "../processes/peer.ts";
import type { Bench } from "../runner/bench.ts";

const SEATS = 3;
const HEARTBEAT_S = 2;
const MOST_ROUNDS = 3;
const MANY_KEYS = 10_000;
/** Of the keys that stood before: all would take longer than the rest. */
const KEYS_ASKED = 200;

const ENDS = [
  { signal: "SIGKILL", goal: 2_000 },
  { signal: "SIGSTOP", goal: 4 * HEARTBEAT_S * 1_000 },
] as const;
type Signal = (typeof ENDS)[number]["signal"];

export async function failoverSuite(bench: Bench): Promise<void> {
  const place = await RabbitPlace.need();
  const seats = new Seats(place);
  try {
    await followed(bench, seats, 0);
    const keys = bench.settings.count(MANY_KEYS);
    bench.say(`${keys.toLocaleString("en-US")} jobs are enqueued, each with a queue key`);
    await seats.reserve(keys);
    await followed(bench, seats, keys);
    const asked = Math.min(keys, KEYS_ASKED);
    bench.check("queue keys that are still held", asked, await seats.held(asked));
    await place.purge(place.queue); // the jobs of the keys, which nobody was to run
  } finally {
    await seats.stop();
    bench.check("messages left on the broker", 0, await place.leave());
  }
}

async function followed(bench: Bench, seats: Seats, keys: number): Promise<void> {
  const rounds = bench.settings.quick ? 1 : Math.min(MOST_ROUNDS, bench.settings.rounds);
  for (const { signal, goal } of ENDS) {
    bench.say(`the coordinator of ${keys.toLocaleString("en-US")} keys gets ${signal}`);
    const taken: Taken[] = [];
    for (let round = 0; round < rounds; round++) taken.push(await seats.end(signal));
    const row = { case: `${signal}, ${keys.toLocaleString("en-US")} queue keys`, unit: "ms" };
    bench.atMost({
      ...row,
      metric: "until the next is elected",
      values: taken.map(({ electedMs }) => electedMs),
      checked: rounds,
    });
    bench.atMost({
      ...row,
      metric: "until a call is served",
      values: taken.map(({ servedMs }) => servedMs),
      goal,
      checked: rounds,
      ...(signal === "SIGSTOP" ? { note: `heartbeat ${HEARTBEAT_S} s; the goal is four of them` } : {}),
    });
  }
}

/** Milliseconds from the signal. */
interface Taken {
  readonly electedMs: number;
  readonly servedMs: number;
}

interface Election {
  readonly peer: Peer;
  readonly at: number;
}

/** In the order in which they came, which is that of the line. */
class Seats {
  readonly #place: RabbitPlace;
  readonly #peers: Peer[] = [];
  #elected: Election | undefined;
  #whenElected: () => void = () => {};
  #names = 0;
  #keys = 0;

  constructor(place: RabbitPlace) {
    this.#place = place;
  }

  /** As many as there are to be: who was killed is replaced. */
  async #fill(): Promise<void> {
    while (this.#peers.length < SEATS) await this.#add();
  }

  /**
   * Resolves when the coordinator has answered it; its seat is in line some milliseconds later, which nobody is told.
   * Whoever is next has been in line for as long as the last one's process took to start.
   */
  async #add(): Promise<void> {
    const { url, prefix } = this.#place;
    const name = `seat-${++this.#names}`;
    const options = { url, prefix, name, partition: PARTITION, queue: QUEUE, heartbeat: HEARTBEAT_S };
    const peer: Peer = await Peer.start("node", options, ({ event, at = Number.NaN }) => {
      if (event !== "elected") return;
      this.#elected = { peer, at };
      this.#whenElected();
    });
    this.#peers.push(peer);
    await peer.ask("stand");
  }

  /**
   * The elected one gets the signal, and at once the last in line, which is not the next to be elected, enqueues a job
   * with a queue key: served is when that is known to be stored, so when the coordinator's journal has its key, and the
   * job was published and confirmed. One that was frozen is killed afterwards.
   */
  async end(signal: Signal): Promise<Taken> {
    await this.#fill();
    const first = this.#elected?.peer;
    const last = this.#peers.findLast((peer) => peer !== first);
    if (first === undefined || last === undefined) throw new Error("nobody was elected");
    const next = new Promise<void>((resolve) => {
      this.#whenElected = resolve;
    });
    const began = sharedNow();
    first.signal(signal);
    const served = Number(await last.ask("enqueue", [this.#nextKey()]));
    await next;
    const elected = this.#elected?.at ?? Number.NaN;
    await first.kill();
    this.#peers.splice(this.#peers.indexOf(first), 1);
    return { electedMs: elected - began, servedMs: served - began };
  }

  async reserve(keys: number): Promise<void> {
    const names = Array.from({ length: keys }, () => this.#nextKey());
    await this.#peers.at(-1)?.ask("enqueue", names);
  }

  /** How many of the first keys some job has. */
  async held(keys: number): Promise<number> {
    const names = Array.from({ length: keys }, (_, n) => keyOf(n + 1));
    return Number(await this.#peers.at(-1)?.ask("held", names));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#peers.map((peer) => peer.stop()));
  }

  #nextKey(): string {
    return keyOf(++this.#keys);
  }
}

const keyOf = (n: number) => `key:${n}`;
