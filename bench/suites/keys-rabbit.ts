/**
 * What keys add on RabbitMQ, in round trips: to an enqueue, and to a run; against a bare call and a bare confirmed publish
 * (`bare-call.ts`), in one run.
 *
 * The coordinator sits in a process of its own (`processes/node.mjs`), so that its answers travel, as a bare call's do; on
 * the node that asks they would not. Queues are quorum. Owns a place on the broker, deleted at the end, a node in this
 * process, the coordinator's process and the bare side. Where no broker answers, the rows are left out with a line; in
 * suites asked for by name that is a failure.
 */
import { setTimeout } from "node:timers/promises";
import { BareCall } from "../baselines/bare-call.ts";
import { runsOfOurs } from "../baselines/raw.ts";
import type { Noop } from "../nodes/durable-node.ts";
import { bodyOf, RabbitNode } from "../nodes/rabbit-node.ts";
import { howTo, PARTITION, QUEUE, RabbitPlace } from "../nodes/rabbit-place.ts";
import { Peer, type Told } from "../processes/peer.ts";
import { type Bench, median, quantile } from "../runner/bench.ts";
import { loadJob } from "../runner/package.ts";

/** Of each side, in all rounds together. */
const TIMES = 500;
const PREFETCH = 10;
const PAUSE_MS = 3;
/** So many of one side follow on each other before the other's turn: few enough that a slow second hits both. */
const BLOCK = 25;
const HEARTBEAT_S = 2;
const GOAL = 1.5;

const PARTS = [
  { name: "p50", part: 0.5 },
  { name: "p99", part: 0.99 },
];

export async function rabbitKeys(bench: Bench): Promise<void> {
  const place = await RabbitPlace.find();
  if (place === undefined) {
    if (bench.settings.named) throw new Error(howTo());
    return bench.leaveOut("RabbitMQ's rows", howTo());
  }
  try {
    await besideCoordinator(bench, place);
  } finally {
    bench.check("messages left on the broker", 0, await place.leave());
  }
}

interface Sides {
  readonly bench: Bench;
  readonly node: RabbitNode;
  readonly bare: BareCall;
  /** In each round, of each side. */
  readonly times: number;
}

async function besideCoordinator(bench: Bench, place: RabbitPlace): Promise<void> {
  const { url, prefix } = place;
  const elections: Told[] = [];
  const options = {
    url,
    prefix,
    name: "coordinator",
    partition: PARTITION,
    queue: QUEUE,
    heartbeat: HEARTBEAT_S,
  };
  const coordinator = await Peer.start("node", options, (told) => {
    if (told.event === "elected") elections.push(told);
  });
  try {
    await coordinator.ask("stand");
    const job = (await loadJob("keyed")) as Noop;
    const bare = await BareCall.start(place, await bodyOf(job.definition, withQueueKey()));
    const node = await RabbitNode.start({ bench, place, type: "quorum", job });
    const times = Math.ceil(bench.settings.count(TIMES) / bench.settings.rounds);
    try {
      await enqueues({ bench, node, bare, times });
      await runs({ bench, node, bare, times });
    } finally {
      await node.stop();
      await bare.close();
    }
    // had this process been elected meanwhile, answers would not have travelled
    bench.check("elections, of another process", 1, elections.length);
  } finally {
    await coordinator.stop();
  }
}

let last = 0;
const withQueueKey = () => ({ queueKey: `q:${++last}` });
const withExecutionKey = () => ({ executionKey: `e:${++last}` });
/** Args of as many bytes, and no key. */
const withoutKey = () => ({ executionTag: `e:${++last}` });

/** One thing that is done again and again, with its milliseconds by round. */
class Side {
  readonly rounds: number[][] = [];
  constructor(readonly run: () => Promise<void>) {}

  async once(): Promise<void> {
    const before = performance.now();
    await this.run();
    this.rounds.at(-1)?.push(performance.now() - before);
  }

  /** Without the first round, which warms up. */
  each(part: number): number[] {
    return this.rounds.slice(1).map((round) => quantile(round, part));
  }
}

/** Rounds of all sides: in each, blocks of one and the other in turn, so that what else the machine does hits all. */
async function inTurn(
  { bench, times }: Sides,
  pauseMs: number,
  block: number,
  ...sides: Side[]
): Promise<void> {
  for (let round = 0; round <= bench.settings.rounds; round++) {
    for (const side of sides) side.rounds.push([]);
    for (let n = 0; n < times; n += block)
      for (const side of sides)
        for (let i = 0; i < Math.min(block, times - n); i++) {
          if (pauseMs > 0) await setTimeout(pauseMs);
          await side.once();
        }
  }
}

/**
 * An enqueue with a queue key asks the coordinator to reserve it, which answers once that stands in its journal, and then
 * publishes and awaits the confirm. The bare side does the same: a call whose record is stored, then a confirmed publish to
 * a quorum queue, mandatory and persistent, through a durable direct exchange. Nothing is consumed.
 *
 * Awaited one by one *without a pause* (25 of ours, 25 of theirs, and so on), each reserve meets the record of the job before
 * ("kept": its publish was confirmed), which our journal takes first, one record at a time; the bare side has no such record.
 * *With a pause*, one of each in turn, that is over.
 */
async function enqueues(sides: Sides): Promise<void> {
  const { bench, node, bare, times } = sides;
  let jobs = 0;
  for (const { name, pauseMs, block } of [
    { name: "one by one", pauseMs: 0, block: BLOCK },
    { name: `one by one, ${PAUSE_MS} ms between`, pauseMs: PAUSE_MS, block: 1 },
  ]) {
    bench.say(`enqueues with a queue key, ${name}`);
    const ours = new Side(() => node.enqueue(withQueueKey()));
    const theirs = new Side(async () => {
      await bare.call("store");
      await bare.publish();
    });
    await inTurn(sides, pauseMs, block, ours, theirs);
    jobs += times * (bench.settings.rounds + 1);
    for (const { name: p, part } of PARTS)
      bench.within({
        case: `RabbitMQ, ${name}`,
        metric: `enqueue with a queueKey, ${p}`,
        unit: "ms",
        ours: ours.each(part),
        baseline: { name: "bare call (stored) + publish", values: theirs.each(part) },
        goal: GOAL,
        checked: times * bench.settings.rounds,
      });
  }
  await node.runAll(jobs);
}

/**
 * A run with an execution key alone asks the coordinator to begin, which stores nothing before it answers; that it ended is
 * told when its result is known, before the acknowledgement, and is in nobody's way but a job's that waits for the key. So
 * what the key adds from the enqueue to the result is one call: judged is the median with a key less the median of the same
 * job without, as a multiple of a bare call that stores nothing. A question to the coordinator is shown beside it: a call and
 * nothing else. All in turn, with a pause before each.
 */
async function runs(sides: Sides): Promise<void> {
  const { bench, node, bare, times } = sides;
  bench.say("runs with an execution key");
  const before = runsOfOurs();
  await node.consume(PREFETCH);
  const keyed = new Side(() => node.run(withExecutionKey()));
  const plain = new Side(() => node.run(withoutKey()));
  const question = new Side(async () => {
    await node.isQueued("q:0");
  });
  const call = new Side(() => bare.call("ask"));
  const stored = new Side(() => bare.call("store"));
  await inTurn(sides, PAUSE_MS, 1, keyed, plain, question, call, stored);
  await node.settled(2 * times * (bench.settings.rounds + 1), before);
  const p50 = { keyed: keyed.each(0.5), plain: plain.each(0.5), call: call.each(0.5) };
  const lone = { case: `RabbitMQ, one by one, ${PAUSE_MS} ms between`, unit: "ms" };
  const checked = times * bench.settings.rounds;
  bench.within({
    ...lone,
    metric: "run with an executionKey, p50",
    ours: p50.keyed,
    baseline: { name: "without a key", values: p50.plain },
    checked,
  });
  bench.within({
    ...lone,
    metric: "question to the coordinator, p50",
    ours: question.each(0.5),
    baseline: { name: "bare call", values: p50.call },
    checked,
  });
  bench.within({
    ...lone,
    metric: "what the executionKey adds, p50",
    ours: p50.keyed.map((ms, round) => ms - (p50.plain[round] ?? Number.NaN)),
    baseline: { name: "bare call", values: p50.call },
    goal: GOAL,
    checked,
    note: `a bare call whose record is stored: p50 ${median(stored.each(0.5)).toFixed(2)} ms`,
  });
}
