/**
 * Echo jobs through Powerhose's `JobRunner`, against a bare loop over ZeroMQ to the same workers.
 *
 * Owns four workers, each a process, and the master or the loop, for the time of one run. The loop is a REQ socket a worker:
 * a job is sent, its result is awaited, and the socket goes to the end of the row. No job waits there, none has a time, and
 * no worker is watched; pings are answered. A worker has one job at a time on both sides: that is the protocol's.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as later } from "node:timers/promises";
import type { Reply, Request } from "zeromq";
import { Peer } from "../processes/peer.ts";
import { type Bench, type Sample, timed } from "../runner/bench.ts";
import { loadGateways, loadZeromq } from "../runner/package.ts";

const WORKERS = 4;
const CASES = [
  { inFlight: 64, jobs: 20_000 },
  { inFlight: 1, jobs: 5_000 },
];
const LOOK_MS = 5;

export async function powerhoseSuite(bench: Bench): Promise<void> {
  const crew = await Crew.start();
  try {
    for (const { inFlight, jobs: full } of CASES) {
      const jobs = bench.settings.count(full);
      await bench.duel({
        case: `${inFlight} in flight, ${WORKERS} workers`,
        metric: "echo jobs",
        unit: "jobs/s",
        ours: () => throughRunner(bench, crew, jobs, inFlight),
        baseline: { name: "bare REQ/REP", run: () => throughLoop(bench, crew, jobs, inFlight) },
      });
    }
  } finally {
    await crew.stop();
  }
}

/** Gives a job's result. */
type Ask = (id: string, data: string) => Promise<string>;

async function throughRunner(bench: Bench, crew: Crew, jobs: number, inFlight: number): Promise<Sample> {
  const { JobRunner } = await loadGateways();
  const endpoint = crew.place();
  const runner = new JobRunner(endpoint);
  await runner.start();
  try {
    await crew.work(endpoint);
    while (runner.workers.length < WORKERS) await later(LOOK_MS);
    const sample = await echo(bench, jobs, inFlight, (id, data) => runner.execute(id, data, "30 seconds"));
    bench.check("bodies of Powerhose's workers", jobs, await crew.leave());
    return sample;
  } finally {
    await runner.stop();
  }
}

async function throughLoop(bench: Bench, crew: Crew, jobs: number, inFlight: number): Promise<Sample> {
  const endpoint = crew.place();
  const loop = await BareLoop.start(endpoint);
  try {
    await crew.work(endpoint);
    while (loop.workers < WORKERS) await later(LOOK_MS);
    // more would only wait in front of it
    const sample = await echo(bench, jobs, Math.min(inFlight, WORKERS), loop.ask);
    bench.check("bodies of the bare loop's workers", jobs, await crew.leave());
    return sample;
  } finally {
    loop.stop();
  }
}

/** So many callers, each one job after the other, until all results are there; each is looked at. */
async function echo(bench: Bench, jobs: number, callers: number, ask: Ask): Promise<Sample> {
  let next = 0;
  let right = 0;
  const caller = async () => {
    while (next < jobs) {
      const text = String(next++);
      if ((await ask(text, text)) === text) right += 1;
    }
  };
  const work = async () => void (await Promise.all(Array.from({ length: callers }, caller)));
  const measured = await timed(jobs, work);
  bench.check("results that are their job's", jobs, right);
  return { ...measured, checked: jobs };
}

/** The workers' processes, and where they and their master meet. */
class Crew {
  readonly #folder: string;
  readonly #peers: readonly Peer[];
  #places = 0;

  private constructor(folder: string, peers: readonly Peer[]) {
    this.#folder = folder;
    this.#peers = peers;
  }

  static async start(): Promise<Crew> {
    const folder = await mkdtemp(join(tmpdir(), "bench-powerhose-"));
    return new Crew(
      folder,
      await Promise.all(Array.from({ length: WORKERS }, () => Peer.start("powerhose", {}))),
    );
  }

  /** Where nobody has listened yet: ZeroMQ lets go of a place some time after it is closed. */
  place(): string {
    this.#places += 1;
    return `ipc://${join(this.#folder, `master-${this.#places}`)}`;
  }

  /** They begin to register there. */
  async work(endpoint: string): Promise<void> {
    const told = this.#peers.map((peer, n) =>
      peer.ask("work", { endpoint, workpoint: `ipc://${join(this.#folder, `worker-${n}`)}` }),
    );
    await Promise.all(told);
  }

  /** They say goodbye; how many bodies they have run since `work`. */
  async leave(): Promise<number> {
    const ran = await Promise.all(this.#peers.map((peer) => peer.ask("leave")));
    return (ran as number[]).reduce((sum, one) => sum + one, 0);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#peers.map((peer) => peer.stop()));
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** What must be there for jobs to travel, and no more. */
class BareLoop {
  readonly #reply: Reply;
  readonly #free: Request[] = [];
  readonly #sockets = new Map<string, Request>();
  readonly #connect: (workpoint: string) => Request;

  private constructor(reply: Reply, connect: (workpoint: string) => Request) {
    this.#reply = reply;
    this.#connect = connect;
    void this.#answer().catch(() => {}); // closed
  }

  static async start(endpoint: string): Promise<BareLoop> {
    const zmq = await loadZeromq();
    const reply = new zmq.Reply({ linger: 0 });
    await reply.bind(endpoint);
    return new BareLoop(reply, (workpoint) => {
      const socket = new zmq.Request({ linger: 0 });
      socket.connect(workpoint);
      return socket;
    });
  }

  get workers(): number {
    return this.#sockets.size;
  }

  readonly ask: Ask = async (id, data) => {
    const socket = this.#free.shift();
    if (socket === undefined) throw new Error("more callers than workers");
    await socket.send(`JOB:::${id}:::${data}`);
    const [answer] = await socket.receive();
    this.#free.push(socket);
    return String(answer).slice(`JOBRES:::${id}:::`.length);
  };

  async #answer(): Promise<void> {
    for await (const [frame] of this.#reply) {
      const [word, workpoint = ""] = String(frame).split(":::").slice(-2);
      if (word === "PING" && !this.#sockets.has(workpoint)) {
        const socket = this.#connect(workpoint);
        this.#sockets.set(workpoint, socket);
        this.#free.push(socket);
      }
      await this.#reply.send(word === "REMOVE" ? "REMOVED" : "PONG");
    }
  }

  stop(): void {
    this.#reply.close();
    for (const socket of this.#sockets.values()) socket.close();
  }
}
