/**
 * Adoption on a real broker: whatever breaks in the middle of long bodies, each job runs once; only a dead owner's jobs
 * run again.
 *
 * Two nodes, ten jobs, bodies that end when the test says so. Each test breaks a broker of its own.
 */
import { expect, onTestFinished, test } from "vitest";
import { until } from "../conformance/harness.ts";
import { describePrivate, PrivateBroker } from "./support/broker.ts";
import { NODE_TIMEOUT_MS, P, TestCluster, type TestNode } from "./support/nodes.ts";
import { TcpProxy } from "./support/proxy.ts";

const JOBS = 10;

async function broker(): Promise<PrivateBroker> {
  const started = await PrivateBroker.start();
  onTestFinished(() => started.dispose());
  return started;
}

/** Ten jobs that have all started, spread over two nodes that know of each other. */
async function running(cluster: TestCluster, nodes: readonly TestNode[]): Promise<string[]> {
  const [first] = nodes;
  if (first === undefined) throw new Error("no nodes");
  const args = Array.from({ length: JOBS }, (_, n) => ({ x: n }));
  const handles = await first.runtime.enqueueMany("sum", args, { partition: P });
  await cluster.started(JOBS);
  return handles.map((handle) => handle.id);
}

/** All jobs have ended, each after one start, and nothing of them is left on the broker. */
async function endedOnce(
  cluster: TestCluster,
  nodes: readonly TestNode[],
  ids: readonly string[],
): Promise<void> {
  const ended = ids.map((id) =>
    Promise.race(nodes.map((node) => node.seen("job.completed", (event) => event.id === id))),
  );
  for (const node of nodes) node.endAll();
  await Promise.all(ended);
  await nothingLeft(nodes);
  expect([...cluster.starts].sort()).toEqual(ids.map((id) => [id, 1]).sort());
  const completions = nodes.flatMap(({ events }) => events.filter(({ type }) => type === "job.completed"));
  expect(completions).toHaveLength(ids.length);
}

/** Orderly stopped, nodes hand back what is unacknowledged: then it would be counted. */
async function nothingLeft(nodes: readonly TestNode[]): Promise<void> {
  for (const { runtime } of nodes)
    await until(
      () => runtime.node.partitions(),
      ({ p }) => p?.default?.ready === 0 && p.default.waiting === 0 && p.default.running === 0,
    );
  const [first, ...rest] = nodes;
  await Promise.all(rest.map(({ runtime }) => runtime.stop()));
  await until(
    () => first?.runtime.queues.list() ?? [],
    (queues) => queues.every(({ ready, unsettled, buried }) => ready + unsettled + buried === 0),
  );
}

const pair = (cluster: TestCluster) =>
  cluster.pair({ partitions: { [P]: { default: 5 } } }, { partitions: { [P]: { default: 5 } } });

/** Both are connected again, and heard each other. */
async function back(
  cluster: TestCluster,
  nodes: readonly TestNode[],
  since: readonly number[],
): Promise<void> {
  await Promise.all(nodes.map((node, at) => node.after(since[at] ?? 0, "broker.connected")));
  await cluster.met(...nodes);
}

const marks = (nodes: readonly TestNode[]) => nodes.map((node) => node.events.length);

describePrivate("adoption", () => {
  test("a broker that is killed in the middle of long bodies costs no second start", {
    timeout: 120_000,
  }, async () => {
    const private_ = await broker();
    const cluster = new TestCluster(private_.url);
    const nodes = await pair(cluster);
    await private_.settle();
    const ids = await running(cluster, nodes);
    const since = marks(nodes);
    await private_.kill();
    await Promise.all(nodes.map((node, at) => node.after(since[at] ?? 0, "broker.lost")));
    // some end while nobody can be told
    const [first] = nodes;
    first.pool.finish();
    await private_.restart();
    await back(cluster, nodes, since);
    await endedOnce(cluster, nodes, ids);
  });

  test("killed three times within one body, the same", { timeout: 240_000 }, async () => {
    const private_ = await broker();
    const cluster = new TestCluster(private_.url);
    const nodes = await pair(cluster);
    await private_.settle();
    const ids = await running(cluster, nodes);
    for (let kill = 0; kill < 3; kill++) {
      const since = marks(nodes);
      await private_.kill();
      await private_.restart();
      await back(cluster, nodes, since);
    }
    await endedOnce(cluster, nodes, ids);
  });

  test("twelve connection resets cost no second start", { timeout: 120_000 }, async () => {
    const private_ = await broker();
    const proxy = await TcpProxy.to(private_.url);
    onTestFinished(() => proxy.close());
    const cluster = new TestCluster(proxy.url);
    const nodes = await pair(cluster);
    const ids = await running(cluster, nodes);
    for (let reset = 0; reset < 12; reset++) {
      const since = marks(nodes);
      proxy.reset();
      await back(cluster, nodes, since);
    }
    await endedOnce(cluster, nodes, ids);
  });

  test("a half-open socket of the node that runs them costs no second start", {
    timeout: 120_000,
  }, async () => {
    const private_ = await broker();
    const proxy = await TcpProxy.to(private_.url);
    onTestFinished(() => proxy.close());
    const cluster = new TestCluster(private_.url);
    const five = { partitions: { [P]: { default: 5 } } };
    const nodes = await cluster.pair({ ...five, rabbit: { url: proxy.url } }, five);
    const ids = await running(cluster, nodes);
    const [behind] = nodes;
    const since = marks(nodes);
    proxy.freeze();
    await behind.after(since[0] ?? 0, "broker.lost"); // its own heartbeats tell it
    proxy.thaw();
    await back(cluster, [behind], since);
    await cluster.met(...nodes);
    await endedOnce(cluster, nodes, ids);
  });

  test("a channel that the broker closes under a running body is made anew, and the body adopts its job", {
    timeout: 200_000,
  }, async () => {
    const private_ = await broker();
    // read by each channel when it is opened: how often it looks, and how long a delivery may take
    await private_.ctl(
      "eval",
      "application:set_env(rabbit, channel_tick_interval, 1000), application:set_env(rabbit, consumer_timeout, 3000).",
    );
    const warned: string[] = [];
    const logger = { debug() {}, info() {}, error() {}, warn: (text: string) => void warned.push(text) };
    const cluster = new TestCluster(private_.url);
    const nodes = await cluster.pair({ logger }, { logger });
    const ids = await running(cluster, nodes);
    await until(
      () => warned,
      (texts) => texts.some((text) => /timed out/.test(text)),
    );
    await endedOnce(cluster, nodes, ids);
  });

  test("an owner that dies without a farewell: its jobs run again elsewhere, and no others", {
    timeout: 120_000,
  }, async () => {
    const private_ = await broker();
    const proxy = await TcpProxy.to(private_.url);
    onTestFinished(() => proxy.close());
    const cluster = new TestCluster(private_.url);
    const five = { partitions: { [P]: { default: 5 } } };
    const nodes = await cluster.pair(
      { ...five, rabbit: { url: proxy.url } },
      { partitions: { [P]: { default: 10 } } },
    );
    const [dead, heir] = nodes;
    const ids = await running(cluster, nodes);
    const mine = dead.pool.running.map(({ id }) => id);
    expect(mine.length).toBeGreaterThan(0);
    proxy.refuse();
    proxy.reset(); // as a process that is gone: its connections end, and it says nothing more
    const gone = heir.seen("node.gone", ({ name }) => name === dead.name);
    await gone;
    await cluster.started(JOBS + mine.length);
    heir.endAll();
    await Promise.all(ids.map((id) => heir.seen("job.completed", (event) => event.id === id)));
    const twice = [...cluster.starts].filter(([, count]) => count > 1).map(([id]) => id);
    expect(twice.sort()).toEqual([...mine].sort());
    // and it is not dead after all: back after more than nodeTimeout it asks, and drops what others have ended
    const since = dead.events.length;
    await proxy.accept();
    await dead.after(since, "broker.connected");
    await cluster.met(dead, heir);
    dead.endAll();
    await Promise.all(mine.map((id) => dead.seen("job.superseded", (event) => event.id === id)));
    expect(dead.events.some(({ type }) => type === "job.completed")).toBe(false);
    expect(NODE_TIMEOUT_MS).toBeLessThan(60_000);
  });
});
