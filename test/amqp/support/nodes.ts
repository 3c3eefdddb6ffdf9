/**
 * Nodes for tests on a real broker: the whole runtime, with a thread pool whose bodies end when the test says so.
 *
 * What is real is all that these tests are about: connections, queues, redeliveries, the nodes' talk. How often a job
 * started is counted by the pool, in every node.
 */
import { onTestFinished } from "vitest";
import type { EventType, SpillwayEvent } from "../../../src/actors/events.ts";
import { rabbitmq } from "../../../src/amqp/index.ts";
import type { RabbitOptions } from "../../../src/amqp/options.ts";
import type { QueueRef } from "../../../src/broker/contract.ts";
import type { RuntimeOptions } from "../../../src/runtime/options.ts";
import { type Runtime, startRuntime } from "../../../src/runtime/runtime.ts";
import { FakePool } from "../../../src/testing/fake-pool.ts";
import type { Task } from "../../../src/threads/types.ts";
import { until } from "../../conformance/harness.ts";
import { jobs, quiet } from "../../runtime/support.ts";
import { freshPrefix } from "./broker.ts";
import { cleanUpPrefix } from "./made.ts";

export const P = "p";
/** The shortest silence after which a node is gone, with a heartbeat of one second. */
export const NODE_TIMEOUT_MS = 7_000;

export interface NodeOptions extends RuntimeOptions {
  readonly rabbit?: RabbitOptions;
}

export class TestNode {
  readonly events: SpillwayEvent[] = [];
  readonly #waiting = new Set<(event: SpillwayEvent) => void>();

  constructor(
    readonly runtime: Runtime,
    readonly pool: FakePool,
  ) {
    runtime.on("*", (event) => {
      this.events.push(event);
      for (const look of [...this.#waiting]) look(event);
    });
  }

  get name(): string {
    return this.runtime.name;
  }

  /** Resolves with the first event of a type that fits, one that has been included. */
  seen<T extends EventType>(
    type: T,
    fits: (event: SpillwayEvent<T>) => boolean = () => true,
  ): Promise<SpillwayEvent<T>> {
    return this.after(0, type, fits);
  }

  /** As `seen`, of events from this one on. */
  after<T extends EventType>(
    from: number,
    type: T,
    fits: (event: SpillwayEvent<T>) => boolean = () => true,
  ): Promise<SpillwayEvent<T>> {
    const wanted = (event: SpillwayEvent) =>
      event.type === type && fits(event as unknown as SpillwayEvent<T>);
    const found = this.events.slice(from).find(wanted);
    if (found !== undefined) return Promise.resolve(found as unknown as SpillwayEvent<T>);
    return new Promise((resolve) => {
      const look = (event: SpillwayEvent) => {
        if (!wanted(event)) return;
        this.#waiting.delete(look);
        resolve(event as unknown as SpillwayEvent<T>);
      };
      this.#waiting.add(look);
    });
  }

  /** Ends every body that runs here now, and every one that is started from now on. */
  endAll(): void {
    const { pool } = this;
    const before = pool.onStart;
    pool.onStart = (task) => {
      before(task);
      setImmediate(() => pool.finish(task));
    };
    for (const task of [...pool.running]) pool.finish(task);
  }
}

/** Nodes of one cluster, under a prefix of their own that is cleaned up behind the test. */
export class TestCluster {
  readonly prefix = freshPrefix();
  /** Starts of bodies by job id, over all nodes. */
  readonly starts = new Map<string, number>();
  readonly #nodes: TestNode[] = [];
  /** What the nodes were told to run, beside what the test says that it makes. */
  readonly #queues: QueueRef[];
  readonly #watching = new Set<() => void>();
  #serial = 0;

  constructor(
    readonly url: string,
    queues: readonly QueueRef[] = [{ partition: P, queue: "default" }],
  ) {
    this.#queues = [...queues];
    onTestFinished(async () => {
      await Promise.all(this.#nodes.map((node) => node.runtime.stop()));
      await cleanUpPrefix(url, this.prefix, this.#queues);
    });
  }

  async node({ rabbit, ...options }: NodeOptions = {}): Promise<TestNode> {
    for (const [partition, own] of Object.entries(options.partitions ?? {}))
      this.#queues.push(...Object.keys(own).map((queue) => ({ partition, queue })));
    const slots = options.threads ?? 20;
    const pool = new FakePool(slots);
    pool.onStart = (task) => this.#started(task);
    const broker = rabbitmq({
      url: this.url,
      prefix: this.prefix,
      heartbeat: 1,
      newQueueGrace: 0,
      ...rabbit,
    });
    const runtime = await startRuntime(
      {
        broker,
        jobs,
        node: `node-${++this.#serial}`,
        threads: slots,
        nodeTimeout: NODE_TIMEOUT_MS,
        partitions: { [P]: { default: 10 } },
        shutdownTimeout: 500,
        logger: quiet,
        ...options,
      },
      { pool: () => pool },
    );
    const node = new TestNode(runtime, pool);
    this.#nodes.push(node);
    return node;
  }

  /** Two nodes that know of each other. */
  async pair(first: NodeOptions = {}, second: NodeOptions = {}): Promise<[TestNode, TestNode]> {
    const [a, b] = [await this.node(first), await this.node(second)];
    await this.met(a, b);
    return [a, b];
  }

  async met(...nodes: readonly TestNode[]): Promise<void> {
    for (const { runtime } of nodes)
      await until(
        () => runtime.info.nodes(),
        (answers) => answers.length >= nodes.length,
      );
  }

  /** Resolves when so many bodies have started, all nodes together. */
  started(count: number): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (this.#sum() < count) return;
        this.#watching.delete(look);
        resolve();
      };
      this.#watching.add(look);
      look();
    });
  }

  #sum(): number {
    return [...this.starts.values()].reduce((sum, n) => sum + n, 0);
  }

  #started(task: Task): void {
    this.starts.set(task.id, (this.starts.get(task.id) ?? 0) + 1);
    for (const look of [...this.#watching]) look();
  }
}
