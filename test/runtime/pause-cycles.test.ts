/**
 * A queue that stands still is paused and resumed 10,000 times, on every broker: nothing of it changes.
 *
 * One job runs, others are in the node's hands and wait for a slot, the rest stands on the broker. On RabbitMQ each cycle is two
 * changes in the coordinator's journal, so by default there are 1,000 of them; all 10,000 with SPILLWAY_LONG.
 */
import { connect } from "amqplib";
import { describe, expect, test } from "vitest";
import { defineJob } from "../../src/jobs/definition.ts";
import { type Runtime, startRuntime } from "../../src/runtime/runtime.ts";
import { FakePool } from "../../src/testing/fake-pool.ts";
import { describeAmqp } from "../amqp/support/broker.ts";
import { TestCluster } from "../amqp/support/nodes.ts";
import { until } from "../conformance/harness.ts";
import { brokers, Place, quiet } from "./support.ts";

const P = "p";
const JOBS = 40;
const CYCLES = 10_000;
const CYCLES_ON_RABBIT = process.env.SPILLWAY_LONG === undefined ? 1_000 : CYCLES;
const plain = defineJob({ name: "plain", perform: (_args: { x: number }) => undefined });
/** One slot, so that what else is delivered is held. */
const options = { jobs: [plain], threads: 1, partitions: { [P]: { default: 10 } }, logger: quiet };

interface Started {
  readonly id: string;
  readonly attempt: number;
}

/** Resolves with the time it took. */
async function cycles(runtime: Runtime, pool: FakePool, count: number): Promise<number> {
  const started: Started[] = [];
  const before = pool.onStart;
  pool.onStart = (task) => {
    before(task);
    started.push({ id: task.id, attempt: task.attempt });
  };
  const sent = await runtime.enqueueMany(
    plain,
    Array.from({ length: JOBS }, (_, x) => ({ x })),
    { partition: P },
  );
  const counts = () => runtime.queues.list().then(([queue]) => queue);
  await until(counts, (queue) => queue?.unsettled === 10);
  const first = await counts();
  const since = performance.now();
  for (let cycle = 0; cycle < count; cycle++) {
    await runtime.queues.pause(P, "default");
    await runtime.queues.resume(P, "default");
  }
  const took = performance.now() - since;
  expect(started).toEqual([{ id: sent[0]?.id, attempt: 0 }]);
  expect(await until(counts, (queue) => queue?.unsettled === 10 && queue.ready === first?.ready)).toEqual(
    first,
  );
  pool.onStart = (task) => {
    started.push({ id: task.id, attempt: task.attempt });
    setImmediate(() => pool.finish(task));
  };
  pool.finish();
  await until(
    () => started.length,
    (length) => length === JOBS,
  );
  expect(started).toEqual(sent.map(({ id }) => ({ id, attempt: 0 })));
  await until(counts, (queue) => queue?.unsettled === 0 && queue.ready === 0);
  return took;
}

describe.each(brokers)("$kind", ({ kind, of }) => {
  test(`${CYCLES} pauses leave attempts, counts and order as they were`, { timeout: 300_000 }, async () => {
    const pool = new FakePool(1);
    const runtime = await startRuntime({ ...options, broker: of(new Place()) }, { pool: () => pool });
    const took = await cycles(runtime, pool, CYCLES);
    process.stdout.write(`pauses, ${kind}: ${CYCLES} in ${(took / 1_000).toFixed(1)} s\n`);
    await runtime.stop();
  });
});

describeAmqp("rabbitmq", (url) => {
  test(`${CYCLES_ON_RABBIT} pauses leave attempts, counts and order as they were, and no consumer behind`, {
    timeout: 900_000,
  }, async () => {
    const cluster = new TestCluster(url);
    const { runtime, pool } = await cluster.node(options);
    const took = await cycles(runtime, pool, CYCLES_ON_RABBIT);
    process.stdout.write(`pauses, rabbitmq: ${CYCLES_ON_RABBIT} in ${(took / 1_000).toFixed(1)} s\n`);
    expect([...cluster.starts.values()].every((starts) => starts <= 1)).toBe(true);
    const connection = await connect(url);
    const channel = await connection.createChannel();
    const consumers = async () => (await channel.checkQueue(runtime.queues.name(P, "default"))).consumerCount;
    expect(await consumers()).toBe(1);
    await runtime.queues.pause(P, "default");
    await until(consumers, (count) => count === 0);
    await connection.close();
  });
});
