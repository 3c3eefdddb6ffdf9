/**
 * A cluster of three RabbitMQ against a single one of the same version: confirmed enqueues into quorum queues, and the
 * filled queues run down; one queue, and four whose leaders are on all three.
 *
 * Owns the four brokers (`scripts/rabbitmq`), wiped at the end, and a node in a process for each queue. A node is
 * connected to the broker that leads its queue. All share one machine's cores: what is measured is what the two copies
 * cost, not what three machines carry.
 */

import { type BrokerVersion, newestVersion, PrivateBroker } from "../../test/amqp/support/private-broker.ts";
import { Fleet } from "../nodes/fleet.ts";
import { RabbitPlace } from "../nodes/rabbit-place.ts";
import { type Bench, type Sample, timed } from "../runner/bench.ts";
import { ownRabbitMq } from "../runner/needs.ts";

const MEMBERS = 3;
const QUEUES = [1, 4];
const JOBS = 10_000;
const PREFETCH = 100;
/** As the suite rabbitmq has it: callers that each await one enqueue after the other. */
const AWAITED = 1_024;

export async function onCluster(bench: Bench): Promise<void> {
  if (bench.settings.quick) return bench.say("no cluster of brokers is started: --quick leaves that out");
  const version = await newestVersion();
  if (version === undefined) return bench.leaveOut("a cluster of three brokers", ownRabbitMq.howTo());
  bench.say("a cluster of three brokers and a single one are started");
  const brokers = new Brokers();
  try {
    await brokers.start(version);
    await compared(bench, brokers);
  } finally {
    await brokers.dispose();
  }
}

class Brokers {
  cluster: readonly PrivateBroker[] = [];
  single: readonly PrivateBroker[] = [];
  release = "";

  async start(version: BrokerVersion): Promise<void> {
    this.single = [await PrivateBroker.start(version)];
    this.cluster = await PrivateBroker.cluster(version, MEMBERS);
    this.release = (await RabbitPlace.version(this.single[0]?.url)) ?? version;
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.cluster, ...this.single].map((broker) => broker.dispose()));
  }
}

async function compared(bench: Bench, { cluster, single, release }: Brokers): Promise<void> {
  const most = Math.max(...QUEUES);
  const ours = await Lanes.start(bench, cluster, most);
  const theirs = await Lanes.start(bench, single, most);
  try {
    await ours.spread();
    for (const queues of QUEUES)
      for (const part of PARTS) {
        const jobs = Math.ceil(bench.settings.count(JOBS) / queues) * queues;
        await bench.duel({
          case: queues === 1 ? "cluster of 3, one quorum queue" : `cluster of 3, ${queues} quorum queues`,
          metric: part.metric,
          unit: "jobs/s",
          ours: () => ours.run(queues, jobs, part.clock),
          baseline: { name: `single ${release}`, run: () => theirs.run(queues, jobs, part.clock) },
          note: "all brokers share this machine's cores",
          curve: { title: `${part.title}, cluster of 3`, axis: "queues", at: queues },
        });
      }
  } finally {
    await ours.stop();
    await theirs.stop();
  }
}

type Clock = "fill" | "drain";
const PARTS: readonly { clock: Clock; metric: string; title: string }[] = [
  {
    clock: "fill",
    metric: `enqueues awaited, ${AWAITED.toLocaleString("en-US")} at once`,
    title: "Enqueues awaited",
  },
  { clock: "drain", metric: "no-op jobs from filled queues", title: "No-op jobs from filled queues" },
];

interface Lane {
  readonly place: RabbitPlace;
  readonly fleet: Fleet;
}

/** Queues side by side, with a node each; their brokers in turn. */
class Lanes {
  readonly #bench: Bench;
  readonly #brokers: readonly PrivateBroker[];
  readonly #lanes: Lane[] = [];

  private constructor(bench: Bench, brokers: readonly PrivateBroker[]) {
    this.#bench = bench;
    this.#brokers = brokers;
  }

  static async start(bench: Bench, brokers: readonly PrivateBroker[], count: number): Promise<Lanes> {
    const lanes = new Lanes(bench, brokers);
    try {
      while (lanes.#lanes.length < count) await lanes.#add();
    } catch (error) {
      await lanes.stop();
      throw error;
    }
    return lanes;
  }

  /** Whoever makes a queue makes its leader on the broker that it is connected to. */
  async #add(): Promise<void> {
    const broker = this.#brokers[this.#lanes.length % this.#brokers.length];
    const place = await RabbitPlace.find(broker?.url);
    if (place === undefined) throw new Error("a private broker does not answer");
    const fleet = new Fleet({ bench: this.#bench, place, job: "noop", prefetch: PREFETCH });
    this.#lanes.push({ place, fleet });
    await fleet.grow(1);
  }

  /** That queues have a copy on each broker, and a leader on each. */
  async spread(): Promise<void> {
    const told =
      (await this.#brokers[0]?.ctl("list_queues", "name", "leader", "members", "--formatter", "json")) ?? "";
    const all = JSON.parse(told) as { name: string; leader: string; members: string[] }[];
    const queues = new Set(this.#lanes.map(({ place }) => place.queue));
    const ours = all.filter(({ name }) => queues.has(name));
    const copies = ours.reduce((sum, { members }) => sum + members.length, 0);
    this.#bench.check("copies of the queues", queues.size * this.#brokers.length, copies);
    const leading = new Set(ours.map(({ leader }) => leader)).size;
    this.#bench.check("brokers that lead a queue", this.#brokers.length, leading);
  }

  /** Fills the first `count` queues and runs them down; the clock runs for one of the two. */
  async run(count: number, jobs: number, clock: Clock): Promise<Sample> {
    const fleets = this.#lanes.slice(0, count).map(({ fleet }) => fleet);
    const all = async (work: (fleet: Fleet) => Promise<void>) => {
      await Promise.all(fleets.map(work));
    };
    const each = jobs / count;
    const filling = { group: 1, atOnce: AWAITED / count };
    const filled = await timed(jobs, () => all((fleet) => fleet.fill(each, filling)));
    const drained = await timed(jobs, () => all((fleet) => fleet.drain(each)));
    await all((fleet) => fleet.settled(each));
    return { ...(clock === "fill" ? filled : drained), checked: jobs };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#lanes.map(({ fleet }) => fleet.stop()));
    for (const { place } of this.#lanes)
      this.#bench.check("messages left on a private broker", 0, await place.leave());
  }
}
