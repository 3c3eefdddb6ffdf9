/**
 * A job that a node gives back: again and again, and while its channel ends. Nothing is counted against it, it is not lost,
 * and it runs once. On the shared broker and on the versions that SPILLWAY_RABBITMQ names, which count differently.
 */
import { connect } from "amqplib";
import { expect, onTestFinished, test, vi } from "vitest";
import { RabbitBroker } from "../../src/amqp/broker.ts";
import { Names } from "../../src/amqp/names.ts";
import { checkRabbit } from "../../src/amqp/options.ts";
import { QueueChannel } from "../../src/amqp/queue-channel.ts";
import { collect, Heard, job, Q, until } from "../conformance/harness.ts";
import { describeVersions, freshPrefix } from "./support/broker.ts";
import { cleanUpPrefix } from "./support/made.ts";
import { NODE_TIMEOUT_MS, P, TestCluster } from "./support/nodes.ts";
import { TcpProxy } from "./support/proxy.ts";

/** RabbitMQ 4 buries after 20 where a queue does not say otherwise. */
const TIMES = 26;

/** 3.10 and 4.0 count each return in `x-delivery-count`; 4.3 does not count those that are asked for. */
function countedOn(version: string): readonly unknown[] {
  if (/^(3|4\.0)\./.test(version)) return [TIMES];
  return /^4\.[12]\./.test(version) ? [TIMES, undefined] : [undefined];
}

async function twoBrokers(url: string, prefix: string) {
  const settings = checkRabbit({ url, prefix, newQueueGrace: 0, heartbeat: 1 });
  const made = ["a", "b"].map((node) => new RabbitBroker({ settings, node, nodeTimeoutMs: NODE_TIMEOUT_MS }));
  onTestFinished(async () => {
    await Promise.all(made.map((broker) => broker.close()));
    await cleanUpPrefix(url, prefix, [Q]);
  });
  for (const broker of made) {
    await broker.open(new Heard());
    await broker.declare([Q]);
  }
  for (const broker of made)
    await until(
      () => broker.cluster.peers,
      // a young one suspects what comes again: somebody may have died of it before it was there
      ({ alive, young }) => alive.length === 1 && !young,
    );
  return made.map((broker) => {
    const { inbox, subscription } = collect(broker, 1);
    subscription.pause();
    return { broker, inbox, subscription };
  });
}

describeVersions("a job that is given back", (url) => {
  test("goes to and fro between two nodes with nothing spent, and nothing of it is ever buried", async () => {
    const names = new Names(freshPrefix());
    const prefix = names.work.split(".")[0] ?? "";
    const sides = await twoBrokers(url(), prefix);
    const connection = await connect(url());
    onTestFinished(() => connection.close());
    const channel = await connection.createChannel();
    const stands = (count: number) =>
      until(
        () => channel.checkQueue(names.queue(Q)),
        ({ messageCount }) => messageCount === count,
      );
    const [first] = sides;
    await first?.broker.publish(job());
    // paused as they were opened: no consumer has stayed, and none holds it
    expect(await stands(1)).toMatchObject({ consumerCount: 0 });
    for (let n = 0; n < TIMES; n++) {
      const side = sides[n % 2];
      side?.subscription.resume();
      const delivery = await side?.inbox.next();
      expect(delivery).toMatchObject({ redelivered: n > 0, suspect: undefined, envelope: { attempt: 0 } });
      side?.subscription.giveWay?.();
      if (delivery !== undefined) side?.broker.release(delivery);
      await stands(1);
    }
    const message = await channel.get(names.queue(Q));
    if (message === false) throw new Error("it stands there");
    const { version } = connection.connection.serverProperties;
    expect(countedOn(version)).toContain(message.properties.headers?.["x-delivery-count"]);
    channel.nack(message);
    first?.subscription.resume();
    const last = await first?.inbox.next();
    if (last !== undefined) await first?.broker.discard(last);
    await stands(0);
    expect(await first?.broker.count(Q)).toMatchObject({ available: 0, unsettled: 0, buried: 0 });
    expect((await channel.checkQueue(names.unroutable)).messageCount).toBe(0);
  });

  const ends: [string, "shrink" | "giveBack", number, "channel" | "connection"][] = [
    ["channel ends before the first goes back", "shrink", 1, "channel"],
    ["channel ends between two", "giveBack", 2, "channel"],
    ["connection ends before the first goes back", "shrink", 1, "connection"],
    ["connection ends between two", "giveBack", 2, "connection"],
  ];
  test.each(ends)("is not lost and runs once when the %s", async (_, step, nth, what) => {
    const proxy = await TcpProxy.to(url());
    onTestFinished(() => proxy.close());
    const cluster = new TestCluster(url());
    const full = await cluster.node({ threads: 1, rabbit: { url: proxy.url } });
    const ids = ["long", "a", "b", "c", "d"];
    for (const id of ids) await full.runtime.enqueue("sum", { x: 1 }, { partition: P, id });
    await cluster.started(1);
    const cut = ending(step, nth, (channel) => {
      if (what === "connection") proxy.reset();
      else void channel.close();
    });
    const free = await cluster.node({ threads: 4 });
    free.endAll();
    await cut;
    const ended = (id: string) => {
      const isIt = (event: { readonly id: string }) => event.id === id;
      return Promise.race([free.seen("job.completed", isIt), full.seen("job.completed", isIt)]);
    };
    await Promise.all(ids.slice(1).map(ended));
    full.endAll();
    await ended("long");
    expect(Object.fromEntries(cluster.starts)).toEqual(Object.fromEntries(ids.map((id) => [id, 1])));
    await until(
      () => free.runtime.queues.list(),
      ([queue]) => queue?.ready === 0 && queue.unsettled === 0,
    );
  });
});

/** Has the channel, or what it hangs on, end at one step of a give-back, when the broker has been sent what belongs to it. */
function ending(step: "shrink" | "giveBack", nth: number, end: (channel: QueueChannel) => void) {
  return new Promise<void>((resolve) => {
    const original = QueueChannel.prototype[step] as (...given: unknown[]) => unknown;
    let times = 0;
    const spy = vi.spyOn(QueueChannel.prototype, step) as unknown as ReturnType<typeof vi.fn>;
    spy.mockImplementation(function (this: QueueChannel, ...given: unknown[]) {
      const answer = original.apply(this, given);
      times += 1;
      if (times === nth) {
        end(this);
        resolve();
      }
      return answer;
    });
    onTestFinished(() => spy.mockRestore());
  });
}
