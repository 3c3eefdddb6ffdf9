/**
 * How soon work goes on when a broker that was killed is back.
 *
 * Owns a broker of its own (`scripts/rabbitmq`), killed in each round while jobs run, and wiped at the end; a watcher
 * beside it wipes it should this process die. Without an installed rabbitmq-server the row is left out.
 */
import { setTimeout } from "node:timers/promises";
import type { JobDefinition } from "../../src/jobs/definition.ts";
import { isInstalled, PrivateBroker } from "../../test/amqp/support/private-broker.ts";
import { runsOfOurs, runsReach } from "../baselines/raw.ts";
import type { Noop } from "../nodes/durable-node.ts";
import { RabbitNode } from "../nodes/rabbit-node.ts";
import { RabbitPlace } from "../nodes/rabbit-place.ts";
import type { Bench } from "../runner/bench.ts";
import { loadAmqplib, loadJob } from "../runner/package.ts";

const MOST_ROUNDS = 3;
const CONCURRENCY = 10;
const JOBS = 500;
/** So many of a round's jobs have run before the broker is killed. */
const RUN_BEFORE = 100;
const GOAL_MS = 5_000;
const PROBE_MS = 10;
const MOST_MS = 60_000;

export async function workResumes(bench: Bench): Promise<void> {
  if (bench.settings.quick) return bench.say("no broker is killed: --quick leaves that out");
  const installed = await isInstalled().catch(() => false);
  if (!installed)
    return bench.say("no broker is killed: that needs scripts/rabbitmq and an installed rabbitmq-server");
  bench.say("a broker is killed and comes back");
  await using broker = await PrivateBroker.start();
  const place = await RabbitPlace.find(broker.url);
  if (place === undefined) throw new Error("the private broker does not answer");
  const job = (await loadJob<JobDefinition>("nap")) as Noop;
  const node = await RabbitNode.start({
    bench,
    place,
    type: "quorum",
    job,
    logger: SILENT,
    mortal: true,
  });
  const rounds = Math.min(MOST_ROUNDS, bench.settings.rounds);
  const values: number[] = [];
  try {
    for (let round = 0; round < rounds; round++) values.push(await killed(bench, broker, node));
  } finally {
    await node.stop();
  }
  bench.atMost({
    case: "a killed broker is back",
    metric: "from its first answer to the next job's end",
    unit: "ms",
    values,
    goal: GOAL_MS,
    checked: JOBS * rounds,
  });
}

/** Counted by their ends: a job that nobody can account for after the kill runs in a process, whose runs no thread counts. */
async function killed(bench: Bench, broker: PrivateBroker, node: RabbitNode): Promise<number> {
  const before = runsOfOurs();
  let ends = 0;
  const off = node.onCompletion(() => ends++);
  await node.enqueueMany(JOBS); // told when their queue is old enough: they would all have run by then
  await node.consume(CONCURRENCY);
  await runsReach(before + RUN_BEFORE);
  await broker.kill();
  const back = broker.restart();
  await firstAnswer(broker.url);
  const since = performance.now();
  await nextEnd(node);
  const took = performance.now() - since;
  await back;
  await runsReach(JOBS, () => ends);
  await node.rest();
  off();
  bench.check("jobs that ended", JOBS, ends);
  bench.check("runs beyond the jobs", 0, Math.max(0, runsOfOurs() - before - JOBS));
  return took;
}

/** What was in hand has long run: the next to end has come from the broker that is back. */
async function nextEnd(node: RabbitNode): Promise<void> {
  const late = new AbortController();
  let off = () => {};
  const ended = new Promise<void>((resolve) => {
    off = node.onCompletion(resolve);
  });
  const tooLate = setTimeout(MOST_MS, undefined, { signal: late.signal }).then(() => {
    throw new Error(`no job has ended within ${MOST_MS} ms of the broker's first answer`);
  });
  tooLate.catch(() => {}); // aborted
  try {
    await Promise.race([ended, tooLate]);
  } finally {
    off();
    late.abort();
  }
}

/** Resolves when a connection can be opened. */
async function firstAnswer(url: string): Promise<void> {
  const { connect } = await loadAmqplib();
  for (;;) {
    try {
      const connection = await connect(url);
      return await connection.close();
    } catch {
      await setTimeout(PROBE_MS);
    }
  }
}

/** That the broker is away is what is measured. */
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
