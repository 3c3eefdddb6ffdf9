/**
 * A node's face to a coordinator that answers late, twice, from an earlier election, or not at all.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { type Call, CoordinatorClient } from "../../../src/amqp/coordinator/client.ts";
import type { Answer, Notice, Request } from "../../../src/amqp/coordinator/requests.ts";
import { CoordinatorUnavailable } from "../../../src/broker/errors.ts";
import { VirtualClock } from "../../../src/testing/virtual-clock.ts";

const self = { node: "me", boot: "m1" };
const ok = { ok: true } as const;
const roll = { nodes: [], crashedAt: 0 };

let clock: VirtualClock;
let sent: Call[];
let told: string[];
let client: CoordinatorClient;

beforeEach(() => {
  clock = new VirtualClock();
  sent = [];
  told = [];
  client = new CoordinatorClient({
    partition: "p",
    self,
    clock,
    send: (calls) => void sent.push(...calls),
    out: {
      paused: (queue, paused) => void told.push(`${queue} ${paused ? "paused" : "resumed"}`),
      roll: () => void told.push("roll"),
      released: (kind, key) => void told.push(`${kind} ${key} released`),
    },
  });
});

/** What was sent since this was called last. */
async function asked(): Promise<Request[]> {
  await clock.settle();
  return sent.splice(0).map(([, request]) => request);
}

/** Answers the calls that stand in `sent`, by their type. */
async function answers(epoch: number, by: Partial<Record<Request["t"], Answer>>): Promise<void> {
  await clock.settle();
  const all = sent.splice(0).flatMap(([serial, { t }]): [number, Answer][] => {
    const answer = by[t];
    return answer === undefined ? [] : [[serial, answer]];
  });
  client.heard({ epoch, answers: all, notices: [] });
  await clock.settle();
}

const notice = (epoch: number, ...notices: readonly Notice[]) =>
  client.heard({ epoch, answers: [], notices });
const types = (requests: readonly Request[]) => requests.map(({ t }) => t);
const lease = { executionKey: "e", id: "1", token: 5 };

function waits(): { readonly told: string[]; granted(): void; queued(): void } {
  const heard: string[] = [];
  return { told: heard, granted: () => void heard.push("granted"), queued: () => void heard.push("queued") };
}

describe("a question", () => {
  test("is asked once in its turn, with what else was asked, and answered once", async () => {
    const first = client.ask({ t: "mark", id: "a" });
    const second = client.ask({ t: "mark", id: "b" });
    expect(types(await asked())).toEqual(["mark", "mark"]);
    client.heard({
      epoch: 1,
      answers: [
        [2, ok],
        [1, { tooMany: 3 }],
        [1, ok],
      ],
      notices: [],
    });
    expect(await first).toEqual({ tooMany: 3 });
    expect(await second).toEqual(ok);
  });

  test("that is not answered is asked again every few seconds, and given up after fifteen", async () => {
    const refused = expect(client.ask({ t: "is-queued", key: "k" })).rejects.toBeInstanceOf(
      CoordinatorUnavailable,
    );
    for (let ms = 0; ms < 14_500; ms += 500) await clock.advance(500);
    const { length } = await asked();
    expect(length).toBeGreaterThanOrEqual(4);
    expect(length).toBeLessThanOrEqual(6);
    await clock.advance(1_000);
    await refused;
    await clock.advance(60_000);
    expect(await asked()).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  test("of what must be told is asked for as long as the node lives", async () => {
    const ended = client.end({
      t: "end",
      id: "1",
      hop: 0,
      attempt: 0,
      token: 1,
      ended: true,
      buried: false,
      queueKey: "k",
    });
    for (let ms = 0; ms < 60_000; ms += 500) await clock.advance(500);
    await asked();
    await clock.advance(3_500);
    await answers(1, { end: ok });
    await ended;
  });

  test("may go with the next one, in its order, and goes by itself when none comes", async () => {
    client.tellSoon({ t: "unmark", ids: ["a"] });
    await clock.settle();
    expect(sent).toEqual([]);
    client.ask({ t: "mark", id: "b" }).catch(() => {});
    expect(types(await asked())).toEqual(["unmark", "mark"]);
    client.tellSoon({ t: "unmark", ids: ["c"] });
    await clock.advance(20);
    expect(types(await asked())).toEqual(["unmark"]);
  });

  test("that was to go with the next one goes before the node closes", async () => {
    client.tellSoon({ t: "unmark", ids: ["a"] });
    client.close();
    expect(types(await asked())).toEqual(["unmark"]);
  });

  test("goes to each new coordinator, behind what this node holds", async () => {
    void client.ask({ t: "is-queued", key: "k" }).catch(() => {});
    await asked();
    notice(1, { t: "announce" });
    expect(types(await asked()).filter((t) => t !== "replica")).toEqual(["announce", "is-queued"]);
  });

  test("is refused when the node closes, whatever it was", async () => {
    const refused = [
      expect(client.ask({ t: "mark", id: "a" })).rejects.toBeInstanceOf(CoordinatorUnavailable),
      expect(client.ask({ t: "unmark", ids: ["a"] }, true)).rejects.toBeInstanceOf(CoordinatorUnavailable),
    ];
    client.close();
    await Promise.all(refused);
    await expect(client.ask({ t: "mark", id: "b" })).rejects.toBeInstanceOf(CoordinatorUnavailable);
  });
});

describe("an earlier coordinator", () => {
  test("is not heard any more: neither its answers nor its notices", async () => {
    notice(7, { t: "marked", ids: ["a"] });
    const held = client.ask({ t: "is-queued", key: "k" });
    await answers(6, { "is-queued": { holder: "wrong" } });
    notice(6, { t: "marked", ids: ["b"] }, { t: "paused", queue: "q", paused: true });
    expect([client.isMarked("a"), client.isMarked("b"), client.isPaused("q")]).toEqual([true, false, false]);
    await clock.advance(3_500);
    await answers(7, { "is-queued": { holder: "1" } });
    expect(await held).toEqual({ holder: "1" });
  });
});

describe("the list of nodes", () => {
  test("comes with the replica, follows what is said, and whoever rests on it is told", async () => {
    expect(client.roll).toBeUndefined();
    void client.synced();
    for (let twice = 0; twice < 2; twice++)
      await answers(1, { replica: { replica: { marks: [], paused: [], purged: [], roll } }, announce: ok });
    expect(client.roll).toEqual(roll);
    notice(1, { t: "roll", roll: { nodes: [["you", "y1"]], crashedAt: 5 } });
    expect(client.roll).toEqual({ nodes: [["you", "y1"]], crashedAt: 5 });
    expect(told).toContain("roll");
  });
});

describe("the replica", () => {
  test("is asked for, and whoever waits for it is told when it is there", async () => {
    const synced = client.synced();
    await answers(3, {
      replica: { replica: { marks: ["a"], paused: ["q"], purged: [], roll } },
      announce: ok,
    });
    // that coordinator was new to us: it is asked once more
    await answers(3, {
      replica: { replica: { marks: ["a"], paused: ["q"], purged: [], roll } },
      announce: ok,
    });
    await synced;
    expect(client.isMarked("a")).toBe(true);
    expect(client.pausedQueues).toEqual(["q"]);
    expect(told).toContain("q paused");
  });

  test("follows what is said, and a later one says what was missed", async () => {
    notice(1, { t: "paused", queue: "q", paused: true }, { t: "marked", ids: ["a", "b"] });
    notice(1, { t: "unmarked", ids: ["a"] });
    expect([client.isPaused("q"), client.isMarked("a"), client.isMarked("b")]).toEqual([true, false, true]);
    await answers(1, {
      replica: { replica: { marks: ["c"], paused: ["r"], purged: [], roll } },
      announce: ok,
    });
    expect([client.isPaused("q"), client.isPaused("r")]).toEqual([false, true]);
    expect([client.isMarked("b"), client.isMarked("c")]).toEqual([false, true]);
    expect(told).toEqual(["q paused", "q resumed", "r paused"]);
  });
});

describe("an execution key", () => {
  const begin = { t: "begin", hop: 0, attempt: 0, ...lease } as const;

  test("that was granted with the beginning is there when it is acquired", async () => {
    const begun = client.begin(begin);
    await answers(1, { begin: { granted: true } });
    expect(await begun).toEqual({ granted: true });
    const waiter = waits();
    client.acquire(lease, waiter);
    expect(waiter.told).toEqual(["granted"]);
  });

  test("that another job has is granted later, once, by the token of this ask", async () => {
    const begun = client.begin(begin);
    await answers(1, { begin: { granted: false } });
    await begun;
    const waiter = waits();
    client.acquire(lease, waiter);
    notice(1, { t: "granted", to: { node: "me", boot: "m0" }, ...lease });
    notice(1, { t: "granted", to: self, ...lease, token: 4 });
    expect(waiter.told).toEqual(["queued"]);
    notice(1, { t: "granted", to: self, ...lease });
    notice(1, { t: "granted", to: self, ...lease });
    expect(waiter.told).toEqual(["queued", "granted"]);
  });

  test("is announced to a new coordinator as it is then: held, awaited, or not at all", async () => {
    void client.begin(begin);
    await answers(1, { begin: { granted: true } });
    client.acquire({ executionKey: "e", id: "2", token: 6 }, waits());
    await asked();
    notice(2, { t: "announce" });
    const announced = (await asked()).filter(({ t }) => t === "announce");
    expect(announced.at(-1)).toMatchObject({
      epoch: 2,
      holds: [lease],
      awaits: [{ executionKey: "e", id: "2", token: 6 }],
    });
    void client.end({
      t: "end",
      id: "1",
      hop: 0,
      attempt: 0,
      token: 5,
      executionKey: "e",
      ended: true,
      buried: false,
    });
    client.withdraw({ executionKey: "e", id: "2", token: 6 });
    await asked();
    // it is asked again, and says what is true by then, under a number of its own
    await clock.advance(3_500);
    const again = (await asked()).filter(({ t }) => t === "announce");
    expect(again.at(-1)).toMatchObject({ holds: [], awaits: [] });
    const serials = [...announced, ...again].map((one) => (one.t === "announce" ? one.serial : 0));
    expect(new Set(serials).size).toBe(serials.length);
  });

  test("that was withdrawn is not asked for any more, and given back if it is granted all the same", async () => {
    const waiter = waits();
    client.acquire(lease, waiter);
    expect(types(await asked())).toEqual(["begin"]);
    client.withdraw(lease);
    expect(types(await asked())).toEqual(["withdraw"]);
    await clock.advance(4_000);
    expect(types(await asked())).toEqual(["withdraw"]);
    notice(1, { t: "granted", to: self, ...lease });
    expect((await asked()).filter(({ t }) => t === "withdraw")).toContainEqual({ t: "withdraw", ...lease });
    expect(waiter.told).toEqual([]);
  });
});
