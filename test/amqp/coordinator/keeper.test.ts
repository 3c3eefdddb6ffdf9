/**
 * Where a coordinator keeps what it decides: first with the persister, then a record of the journal; and nothing more is
 * stored by whoever rules no more.
 */
import { beforeEach, expect, test } from "vitest";
import { Chair, packCalls } from "../../../src/amqp/coordinator/chair.ts";
import type { Said } from "../../../src/amqp/coordinator/client.ts";
import { Keeper } from "../../../src/amqp/coordinator/keeper.ts";
import type { Change, NodeId, Request } from "../../../src/amqp/coordinator/requests.ts";
import type { Persister } from "../../../src/broker/persister.ts";
import { groupLine } from "../../../src/persist/lines.ts";
import { VirtualClock } from "../../../src/testing/virtual-clock.ts";
import { HeapPersister } from "../../persist/memory-persister.ts";

const P = "p";
const me: NodeId = { node: "me", boot: "m1" };

let clock: VirtualClock;
let own: HeapPersister;

beforeEach(() => {
  clock = new VirtualClock(1_000_000);
  own = new HeapPersister();
});

/** A seat whose journal stores what it is told to. */
class Desk {
  /** What the journal was given, in order. */
  readonly journal: Change[] = [];
  readonly said: Said[] = [];
  readonly given: Error[] = [];
  readonly failed: Error[] = [];
  readonly keeper: Keeper;
  /** While it is held, the journal stores nothing. */
  hold: Promise<void> | undefined;

  constructor(persister: Persister | "none" | undefined = own) {
    const chair = new Chair({
      clock,
      self: me,
      regrantMs: 3_000,
      knownEpoch: () => 0,
      append: (changes) => this.keeper.append(changes),
      say: (said) => void this.said.push(said),
      peers: () => [],
      young: () => true,
      elected: () => {},
      deposed: () => {},
      warn: () => {},
    });
    this.keeper = new Keeper({
      partition: P,
      persister,
      clock,
      chair,
      append: async (changes) => {
        this.journal.push(...changes);
        await this.hold;
      },
      giveUp: (reason) => {
        this.given.push(reason);
        this.keeper.deposed();
        this.keeper.over(reason);
      },
      failed: (reason) => void this.failed.push(reason),
    });
  }

  async elected(epoch: number, journal: readonly Change[] = []): Promise<void> {
    await this.keeper.rebuild(journal, epoch);
    this.keeper.elected(epoch);
    await clock.settle();
    this.said.length = 0;
  }

  /** What the journal is after this one has opened it. */
  get opened(): Change[] {
    return [...this.keeper.snapshot()].flat();
  }

  asks(...requests: Request[]): void {
    const calls = requests.map((request, at) => [at, request] as const);
    this.keeper.call(JSON.parse(packCalls(me, calls).toString()), () => {});
  }

  answers(): unknown[] {
    return this.said.flatMap(({ answers }) => answers.map(([, answer]) => answer));
  }
}

const reserve = (key: string, id: string): Request => ({ t: "reserve", key, id });

test("is answered when the persister has it and a record has come back after that", async () => {
  const desk = new Desk();
  await desk.elected(1);
  let stored = () => {};
  const append = own.append.bind(own);
  own.append = async (partition, bytes) => {
    await new Promise<void>((resolve) => {
      stored = resolve;
    });
    await append(partition, bytes);
  };
  let came = () => {};
  desk.hold = new Promise((resolve) => {
    came = resolve;
  });
  const before = desk.journal.length;
  desk.asks(reserve("k", "a"));
  await clock.settle();
  expect(desk.journal.length).toBe(before);
  stored();
  await clock.settle();
  expect(desk.journal.slice(before)).toEqual([{ c: "closed", until: 0 }]);
  expect(desk.answers()).toEqual([]);
  came();
  await clock.settle();
  expect(desk.answers()).toEqual([{ ok: true }]);
});

test("keys, marks and pauses are with the persister, the list of nodes in the journal", async () => {
  const desk = new Desk();
  await desk.elected(1);
  desk.asks(reserve("k", "a"), { t: "mark", id: "m" }, { t: "pause", queue: "q", paused: true });
  await clock.settle();
  expect(new Set(desk.journal.map(({ c }) => c))).toEqual(new Set(["node", "closed"]));
  expect(desk.opened.map(({ c }) => c)).toEqual(["elsewhere", "node"]);
  const next = new Desk();
  await next.elected(2, desk.opened);
  next.asks(reserve("k", "b"), { t: "replica" });
  await clock.settle();
  expect(next.answers()).toMatchObject([
    { duplicate: "queueKey", holder: "a" },
    { replica: { marks: ["m"], paused: ["q"] } },
  ]);
});

test("what a node had reserved that is not listed any more lapses: nobody will speak of it", async () => {
  const desk = new Desk();
  await desk.elected(1);
  desk.asks(reserve("k", "a"));
  await clock.settle();
  const next = new Desk();
  // its end was durable in the journal, and what it had reserved with the persister
  await next.elected(2, [{ c: "elsewhere", epoch: 1 }]);
  next.asks(reserve("k", "b"));
  await clock.advance(30_000);
  next.asks(reserve("k", "b"));
  await clock.settle();
  expect(next.answers()).toEqual([{ duplicate: "queueKey", holder: "a" }, { ok: true }]);
});

test("a persister that has nothing, or something older than the journal knows of, is not ruled from", async () => {
  const elsewhere: Change = { c: "elsewhere", epoch: 5 };
  const empty = new Desk();
  await expect(empty.elected(6, [elsewhere])).rejects.toThrow(/it has nothing/);
  expect(own.count("store")).toBe(0);
  const old = new Desk();
  await old.elected(4);
  const [bytes] = own.kept.values();
  await expect(old.elected(7, [elsewhere])).rejects.toThrow(/the state of epoch 4/);
  expect([...own.kept.values()]).toEqual([bytes]);
  expect(old.failed).toHaveLength(1);
});

test("what the journal holds itself is newer than what a persister has from before", async () => {
  const before = new Desk();
  await before.elected(1);
  before.asks({ t: "pause", queue: "old", paused: true });
  await clock.settle();
  const desk = new Desk();
  await desk.elected(2, [{ c: "pause", queue: "new", paused: true }]);
  desk.asks({ t: "replica" });
  await clock.settle();
  expect(desk.answers()).toMatchObject([{ replica: { marks: [], paused: ["new"] } }]);
});

test("what is of no known kind is not dropped: nobody rules", async () => {
  const desk = new Desk();
  await desk.elected(1);
  const [bytes = new Uint8Array()] = own.kept.values();
  const series = /\["spillway-state",1,"p",1,"([^"]+)"\]/.exec(Buffer.from(bytes).toString())?.[1] ?? "";
  const later = Buffer.concat([bytes, groupLine(series, 1, ['{"c":"of-a-later-version"}'])]);
  own.kept.set(P, later);
  await expect(new Desk().elected(2)).rejects.toThrow(/holds "of-a-later-version"/);
  expect(own.kept.get(P)).toBe(later);
});

test("without the persister, nobody rules over what is elsewhere", async () => {
  const desk = new Desk(undefined);
  const rebuild = async () => desk.keeper.rebuild([{ c: "elsewhere", epoch: 1 }], 2);
  await expect(rebuild()).rejects.toMatchObject({ code: "PersisterFailed", partition: P });
  expect(desk.failed).toHaveLength(1);
});

test('with "none" nothing is kept, and an answer waits for the journal all the same', async () => {
  const desk = new Desk("none");
  await desk.elected(1, [{ c: "pause", queue: "q", paused: true }]);
  desk.asks({ t: "replica" }, reserve("k", "a"));
  await clock.settle();
  expect(desk.answers()).toMatchObject([{ ok: true }, { replica: { marks: [], paused: [] } }]);
  expect(desk.journal.at(-1)).toEqual({ c: "closed", until: 0 });
  expect(desk.opened.map(({ c }) => c)).toEqual(["node"]);
});

test("where the persister fails the seat is given up once, and nothing is answered", async () => {
  const desk = new Desk();
  await desk.elected(1);
  own.instead.set("append", () => {
    throw new Error("disk full");
  });
  desk.asks(reserve("k", "a"));
  desk.asks(reserve("l", "b"));
  await clock.settle();
  expect(desk.given).toHaveLength(1);
  expect(desk.given[0]).toMatchObject({ code: "PersisterFailed", call: "append" });
  expect(desk.answers()).toEqual([]);
});

test("whose term ends while it loads stores nothing", async () => {
  const desk = new Desk();
  let answer = () => {};
  const silence = new Promise<void>((resolve) => {
    answer = resolve;
  });
  own.instead.set("load", () => silence);
  const elected = desk.elected(1).catch((error: unknown) => error);
  await clock.settle();
  desk.keeper.over(new Error("the connection is lost"));
  own.instead.clear();
  answer();
  await clock.settle();
  expect(await elected).toBeInstanceOf(Error);
  expect(own.calls).not.toContain("store");
});
