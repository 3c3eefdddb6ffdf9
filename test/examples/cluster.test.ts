/**
 * The cluster example, shortened: the node with the coordinator's seat is killed, and the ledger holds.
 *
 * On the broker that is there, under names of its own; the example takes them away, and that is looked at.
 */
import { join } from "node:path";
import { connect } from "amqplib";
import { expect, onTestFinished, test, vi } from "vitest";
import { describeAmqp, freshPrefix } from "../amqp/support/broker.ts";
import { cleanUpPrefix } from "../amqp/support/made.ts";
import { ROOT, start } from "./process.ts";

// Three nodes with threads of their own are started, on a machine that other tests load.
vi.setConfig({ testTimeout: 240_000 });

const cluster = (...args: string[]) => start("examples/cluster/cluster.mjs", ...args);

interface Result {
  readonly pairs: number;
  readonly refused: number;
  readonly afterwards: number;
  readonly enqueued: number;
  readonly perNode: Record<string, number>;
  readonly kill: { readonly node: string; readonly next: string; readonly cutUnderKey: number };
}

async function isThere(url: string, look: "checkQueue" | "checkExchange", name: string): Promise<boolean> {
  const connection = await connect(url);
  try {
    const channel = await connection.createChannel();
    channel.on("error", () => {});
    return await channel[look](name).then(
      () => true,
      () => false,
    );
  } finally {
    await connection.close();
  }
}

describeAmqp("with a broker that is there", (url) => {
  const owned = () => {
    const prefix = freshPrefix();
    onTestFinished(() => cleanUpPrefix(url, prefix, [{ partition: "shop", queue: "orders" }]));
    return prefix;
  };
  /** What a runtime has declared under this prefix, as far as this example needs it. */
  const left = async (prefix: string) => ({
    jobs: await isThere(url, "checkQueue", `${prefix}.shop.orders`),
    journal: await isThere(url, "checkQueue", `${prefix}.shop.$coordinator.journal`),
    unroutable: await isThere(url, "checkQueue", `${prefix}.$unroutable`),
    enqueue: await isThere(url, "checkExchange", `${prefix}.$enqueue`),
  });
  const nothing = { jobs: false, journal: false, unroutable: false, enqueue: false };

  test("the coordinator's node is killed: nothing is lost, nothing overlaps, a table shows it", async () => {
    const prefix = owned();
    const args = ["--jobs", "600", "--keys", "20", "--broker", url, "--prefix", prefix, "--json"];
    const { code, stdout, stderr } = await cluster(...args).ended;
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining("KILL") });
    const seen = JSON.parse(stdout) as Result;
    expect(seen).toMatchObject({ lost: 0, overlaps: [], atOnce: 0, doubled: 0, unasked: 0, left: 0 });
    // a call that waited for an election may come after the end of the job that it would have met
    expect(seen.refused + seen.afterwards).toBe(seen.pairs);
    expect(seen.enqueued).toBe(600 + seen.afterwards);
    expect(seen.kill.node).toBe("node-a");
    expect(["node-b", "node-c"]).toContain(seen.kill.next);
    expect(seen.kill.cutUnderKey).toBeGreaterThan(0);
    expect(Object.keys(seen.perNode)).toEqual(["node-a", "node-b", "node-c"]);
    for (const row of ["enqueued", "refused", "lost", "overlaps", "left over"])
      expect(stderr).toMatch(new RegExp(`^ {2}${row} +\\d+ +\\d+ {2}✓`, "m"));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there is none without a terminal is the point
    expect(stderr).not.toMatch(/[\x1b\r]/);
    expect(await left(prefix)).toEqual(nothing);
  });

  test("Ctrl-C takes everything away that was declared", async () => {
    const prefix = owned();
    const run = cluster("--broker", url, "--prefix", prefix);
    await run.saw(/node-c +process/);
    run.kill("SIGINT");
    expect(await run.ended).toMatchObject({ code: 130, stderr: "" });
    expect(await left(prefix)).toEqual(nothing);
  });

  test("a prefix that somebody has is not touched", async () => {
    const prefix = owned();
    const connection = await connect(url);
    const channel = await connection.createChannel();
    await channel.assertExchange(`${prefix}.$enqueue`, "direct");
    await connection.close();
    const { code, stderr } = await cluster("--broker", url, "--prefix", prefix).ended;
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("give another one") });
    expect(await isThere(url, "checkExchange", `${prefix}.$enqueue`)).toBe(true);
  });
});

interface Run {
  readonly id: string;
  readonly pid: number;
  readonly key?: string;
  readonly startedAt: number;
  readonly endedAt: number | undefined;
}

/** What the ledger says of these runs, after process 1 was killed at 100. Each id is a job that was confirmed. */
async function counted(runs: readonly Run[], ids: readonly string[]): Promise<unknown> {
  const { resultOf } = await import(join(ROOT, "examples/cluster/ledger.mjs"));
  const ended = new Set(runs.filter(({ endedAt }) => endedAt !== undefined).map(({ id }) => id));
  const { lost, doubled, ranAgain, unasked, overlaps } = resultOf({
    options: { keys: 1 },
    plan: ids.map((id) => ({ id, kind: "serial" })),
    producers: { confirmed: new Map(ids.map((id) => [id, 0])), refused: new Map(), calls: [], again: {} },
    nodes: { names: new Map(), elections: [], buried: 0 },
    journal: { runs, ended },
    kill: { node: "a", pid: 1, at: 99, goneAt: 100 },
    left: 0,
  });
  const met = overlaps.map(({ first, second }: Record<string, Run>) => [first?.id, second?.id]);
  return { lost, doubled, ranAgain, unasked, met };
}

test("the ledger tells what must not be from what SIGKILL may do", async () => {
  const run = (id: string, pid: number, startedAt: number, endedAt?: number) => {
    return { id, pid, key: "k", startedAt, endedAt };
  };
  const cut = run("a", 1, 90);
  const good = { lost: 0, doubled: 0, ranAgain: 0, unasked: 0, met: [] };
  expect(await counted([cut, run("a", 2, 100, 105), run("b", 3, 105, 110)], ["a", "b"])).toEqual({
    ...good,
    ranAgain: 1,
  });
  expect(await counted([cut, run("b", 2, 99.9, 101)], ["a", "b"])).toEqual({
    ...good,
    lost: 1,
    met: [["a", "b"]],
  });
  // the longest one is met by both, also by the one that another lies before
  const inside = [run("a", 2, 1, 9), run("b", 3, 2, 3), run("c", 3, 8, 10), run("d", 2, 10, 11)];
  expect(await counted(inside, ["a", "b", "c", "d"])).toEqual({
    ...good,
    met: [
      ["a", "b"],
      ["a", "c"],
    ],
  });
  expect(await counted([run("a", 2, 1, 2), run("a", 3, 3, 4), run("x", 2, 5, 6)], ["a"])).toEqual({
    ...good,
    doubled: 1,
    unasked: 1,
  });
});

test.each([
  [["--broker", "me:secret@localhost"], "expected amqp://"],
  [["--jobs", "many"], "a whole number"],
  [["--keys", "0"], "a whole number"],
  [["--prefix", "a.b"], "letters, digits"],
])("%j is refused in words, with exit code 2", async (args, words) => {
  const { code, stdout, stderr } = await cluster(...args).ended;
  expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: "", stderr: expect.stringContaining(words) });
  expect(stderr).not.toContain("secret");
});
