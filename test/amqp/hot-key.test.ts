/**
 * A hot key on RabbitMQ: more jobs wait for it than a node keeps in hand.
 *
 * By default with 2,000 jobs and `maxKeyWaiters` 200, and rounds with 250 and 100; with SPILLWAY_LONG 10,000 and the default
 * of 1,000, and rounds with 2,000 and 500.
 */
import { expect, test } from "vitest";
import { defineJob } from "../../src/jobs/definition.ts";
import type { TreeNode } from "../../src/kernel/types.ts";
import type { Task } from "../../src/threads/types.ts";
import { until } from "../conformance/harness.ts";
import { describeAmqp } from "./support/broker.ts";
import { P, TestCluster, type TestNode } from "./support/nodes.ts";

const LONG = process.env.SPILLWAY_LONG !== undefined;
const ROUND_HOT = LONG ? 2_000 : 250;
const ROUND_WAITERS = LONG ? 500 : 100;
const CONCURRENCY = 4;
const ROUNDS_A_SECOND = 100;

const hot = defineJob({
  name: "hot",
  executionKey: () => "hot",
  perform: (_args: { x: number }) => undefined,
});
const other = defineJob({ name: "other", perform: (_args: { x: number }) => undefined });
const jobs = [hot, other];
/** Jobs are registered in the order of the list. */
const HOT_TYPE = 0;

/** What its bodies do: hot ones end after a while, or when they are let go. */
class Bodies {
  readonly order: string[] = [];
  /** Deliveries in a node's hands, at most, as seen whenever one has started. */
  mostInHand = 0;
  #running = 0;
  overlaps = 0;
  readonly #waiting = new Set<() => void>();
  #hotMs: number | undefined;

  constructor(readonly nodes: readonly TestNode[]) {
    for (const node of nodes) {
      const before = node.pool.onStart;
      node.pool.onStart = (task) => {
        before(task);
        this.#starts(node, task);
      };
    }
  }

  #starts(node: TestNode, task: Task): void {
    this.order.push(task.id);
    for (const look of [...this.#waiting]) look();
    void unacknowledged(node).then((count) => {
      this.mostInHand = Math.max(this.mostInHand, count);
    });
    if (task.type !== HOT_TYPE) return void setImmediate(() => node.pool.finish(task));
    if (++this.#running > 1) this.overlaps += 1;
    if (this.#hotMs !== undefined) this.#ends(node, task, this.#hotMs);
  }

  /** Resolves when these have started. */
  started(ids: readonly string[]): Promise<void> {
    const left = new Set(ids);
    let at = 0;
    return new Promise((resolve) => {
      const look = () => {
        for (; at < this.order.length; at++) left.delete(this.order[at] ?? "");
        if (left.size > 0) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** From now on each takes so long. */
  letGo(ms: number): void {
    this.#hotMs = ms;
    for (const node of this.nodes) for (const task of node.pool.running) this.#ends(node, task, 0);
  }

  #ends(node: TestNode, task: Task, ms: number): void {
    setTimeout(() => {
      this.#running -= 1;
      node.pool.finish(task);
    }, ms);
  }
}

/** How many of a node's jobs went round. */
function roundsOf({ runtime }: TestNode): number {
  const sum = (nodes: readonly TreeNode[]): number =>
    nodes.reduce((all, { detail, children }) => all + Number(detail?.rounds ?? 0) + sum(children), 0);
  return sum(runtime.node.tree());
}

const unacknowledged = async ({ runtime }: TestNode) => (await runtime.queues.list())[0]?.unsettled ?? 0;
const many = (count: number) => Array.from({ length: count }, (_, x) => ({ x }));

describeAmqp("a hot key", (url) => {
  test("has all of its jobs run once, in order, none beside another; others pass, and a node holds a bounded part", {
    timeout: LONG ? 600_000 : 120_000,
  }, async () => {
    const [count, maxKeyWaiters] = LONG ? [10_000, 1_000] : [2_000, 200];
    const cluster = new TestCluster(url);
    const node = await cluster.node({ jobs, maxKeyWaiters, partitions: { [P]: { default: CONCURRENCY } } });
    const bodies = new Bodies([node]);
    bodies.letGo(0);
    const sent = await node.runtime.enqueueMany(hot, many(count), { partition: P });
    const others = await node.runtime.enqueueMany(other, many(20), { partition: P });
    await bodies.started([...sent, ...others].map(({ id }) => id));
    const mine = new Set(sent.map(({ id }) => id));
    expect(bodies.order.filter((id) => mine.has(id))).toEqual(sent.map(({ id }) => id));
    expect(bodies.overlaps).toBe(0);
    expect([...cluster.starts.values()].every((starts) => starts === 1)).toBe(true);
    expect(bodies.mostInHand).toBeLessThanOrEqual(maxKeyWaiters + CONCURRENCY);
    // they were reached as fast as the key's own jobs made room
    expect(roundsOf(node)).toBeLessThanOrEqual(ROUNDS_A_SECOND);
    await until(
      () => node.runtime.keys.holders(P),
      (holders) => holders.length === 0,
    );
  });

  test("that stands still lets other jobs pass: what is too much goes round, slowly, and keeps its place", {
    timeout: LONG ? 900_000 : 120_000,
  }, async () => {
    const cluster = new TestCluster(url);
    const node = await cluster.node({
      jobs,
      maxKeyWaiters: ROUND_WAITERS,
      partitions: { [P]: { default: CONCURRENCY } },
    });
    const bodies = new Bodies([node]);
    const since = Date.now();
    const sent = await node.runtime.enqueueMany(hot, many(ROUND_HOT), { partition: P });
    const others = await node.runtime.enqueueMany(other, many(20), { partition: P });
    await bodies.started(others.map(({ id }) => id));
    expect(bodies.order).toHaveLength(1 + others.length);
    // each takes 50 ms: whoever is on a round is back before its turn
    bodies.letGo(50);
    await bodies.started(sent.map(({ id }) => id));
    const mine = new Set(sent.map(({ id }) => id));
    expect(bodies.order.filter((id) => mine.has(id))).toEqual(sent.map(({ id }) => id));
    expect(bodies.overlaps).toBe(0);
    expect([...cluster.starts.values()].every((starts) => starts === 1)).toBe(true);
    expect(bodies.mostInHand).toBeLessThanOrEqual(ROUND_WAITERS + CONCURRENCY);
    const rounds = roundsOf(node);
    const seconds = Math.ceil((Date.now() - since) / 1_000);
    expect(rounds).toBeGreaterThanOrEqual(ROUND_HOT - ROUND_WAITERS - CONCURRENCY);
    expect(rounds).toBeLessThanOrEqual(ROUNDS_A_SECOND * seconds);
    process.stdout.write(`hot key: ${sent.length} jobs, ${rounds} rounds in ${seconds} s\n`);
  });

  test("on two nodes is one node's at a time, wherever its jobs come back to", {
    timeout: 120_000,
  }, async () => {
    const cluster = new TestCluster(url);
    const options = { jobs, maxKeyWaiters: 20, partitions: { [P]: { default: CONCURRENCY } } };
    const nodes = await cluster.pair(options, options);
    const bodies = new Bodies(nodes);
    const sent = await nodes[0].runtime.enqueueMany(hot, many(200), { partition: P });
    const others = await nodes[1].runtime.enqueueMany(other, many(20), { partition: P });
    await bodies.started(others.map(({ id }) => id));
    bodies.letGo(5);
    await bodies.started(sent.map(({ id }) => id));
    expect(bodies.overlaps).toBe(0);
    expect([...cluster.starts.values()].every((starts) => starts === 1)).toBe(true);
    expect(nodes.every((node) => roundsOf(node) > 0)).toBe(true);
  });
});
