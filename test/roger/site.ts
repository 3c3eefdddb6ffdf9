/**
 * Where the mirrored tests run: one node on the embedded broker, or as many as a test wants on RabbitMQ.
 *
 * Bodies are the test's: they end when it says so. What is the same on both brokers is said once.
 */
import { describe, onTestFinished } from "vitest";
import { rabbitmq } from "../../src/amqp/index.ts";
import { embedded } from "../../src/embedded/index.ts";
import { type Runtime, startRuntime } from "../../src/runtime/runtime.ts";
import { FakePool } from "../../src/testing/fake-pool.ts";
import { describeAmqp } from "../amqp/support/broker.ts";
import { type NodeOptions, TestCluster, TestNode } from "../amqp/support/nodes.ts";
import { jobs as fixtures, Place, quiet } from "../runtime/support.ts";

export const P = "p";

type Options = Omit<NodeOptions, "rabbit">;

export interface Site {
  /** Another node; on the embedded broker there is one. */
  node(options: Options): Promise<TestNode>;
  /** One whose bodies run in threads. */
  threaded(options: Options): Promise<Runtime>;
  /** Starts of bodies, by job. */
  readonly starts: ReadonlyMap<string, number>;
  readonly manyNodes: boolean;
}

class EmbeddedSite implements Site {
  readonly starts = new Map<string, number>();
  readonly manyNodes = false;
  readonly #place = new Place();

  async threaded(options: Options): Promise<Runtime> {
    const broker = embedded({ path: this.#place.store });
    return ended(await startRuntime({ ...THREADED, broker, ...options }, {}));
  }

  async node(options: Options): Promise<TestNode> {
    const pool = new FakePool(options.threads ?? 20);
    pool.onStart = ({ id }) => void this.starts.set(id, (this.starts.get(id) ?? 0) + 1);
    const runtime = await startRuntime(
      {
        broker: embedded({ path: this.#place.store }),
        threads: 20,
        partitions: { [P]: { default: 10 } },
        shutdownTimeout: 500,
        logger: quiet,
        ...options,
      },
      { pool: () => pool },
    );
    return new TestNode(ended(runtime), pool);
  }
}

const THREADED = { threads: 2, partitions: { [P]: { default: 2 } }, jobs: fixtures, logger: quiet };

function ended(runtime: Runtime): Runtime {
  onTestFinished(async () => void (await runtime.stop()));
  return runtime;
}

/** The same tests on both. `queues`: what they declare, so that RabbitMQ is left as it was. */
export function onBoth(name: string, queues: readonly string[], tests: (make: () => Site) => void): void {
  describe(`${name}, embedded`, () => tests(() => new EmbeddedSite()));
  describeAmqp(`${name}, rabbitmq`, (url) =>
    tests(() => {
      const cluster = new TestCluster(
        url,
        queues.map((queue) => ({ partition: P, queue })),
      );
      return {
        node: (options) => cluster.node(options),
        threaded: async (options) => {
          const broker = rabbitmq({ url, prefix: cluster.prefix, newQueueGrace: 0 });
          return ended(await startRuntime({ ...THREADED, broker, ...options }, {}));
        },
        starts: cluster.starts,
        manyNodes: true,
      };
    }),
  );
}
