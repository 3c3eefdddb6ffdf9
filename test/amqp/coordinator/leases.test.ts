/**
 * Execution keys, rule by rule: who runs, who is next, what an election and the end of a node do to them.
 *
 * Everything is durable at once here; `coordinator.simulation.test.ts` loses what is not.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { AWAY_KEPT_MS, MOST_AWAY, ROUND_MS } from "../../../src/amqp/coordinator/leases.ts";
import type { NodeId } from "../../../src/amqp/coordinator/requests.ts";
import { a, b, Desk, REGRANT_MS } from "./desk.ts";

const yes = { granted: true };
const no = { granted: false };
const x = (id: string, token = 1) => ({ executionKey: "x", id, token });

let desk: Desk;
const holder = () => desk.asks(a, { t: "is-executing", key: "x" });
const withdraws = (from: NodeId, id: string, token = 1) =>
  desk.asks(from, { t: "withdraw", ...x(id, token) });
const ends = (from: NodeId, id: string, token?: number) =>
  desk.ends(from, id, { executionKey: "x", ...(token === undefined ? {} : { token }) });
const announces = (from: NodeId, holds: string[], awaits: string[] = []) =>
  desk.announces(
    from,
    holds.map((id) => x(id)),
    awaits.map((id) => x(id)),
  );

const goesRound = (from: NodeId, id: string, token = 1) =>
  desk.ends(from, id, { executionKey: "x", token, ended: false, round: true });

beforeEach(() => {
  desk = new Desk(a, b);
});

describe("a key", () => {
  test("is granted to one job at a time, in order of first arrival", () => {
    expect(desk.wants(a, "x", "1")).toEqual(yes);
    for (const id of ["2", "3", "4"]) expect(desk.wants(b, "x", id)).toEqual(no);
    expect(desk.wants(a, "other", "5")).toEqual(yes);
    ends(a, "1");
    expect(desk.grants()).toEqual(["x to 2 of b1 under 1"]);
    ends(b, "2");
    expect(desk.grants()).toEqual(["x to 3 of b1 under 1"]);
  });

  test("costs nothing that nobody holds or awaits", () => {
    desk.wants(a, "x", "1");
    desk.wants(a, "x", "2");
    withdraws(a, "2");
    ends(a, "1");
    expect(desk.state.leases.size).toBe(0);
  });

  test("is in no journal", () => {
    expect(desk.changesOf(() => [desk.wants(a, "x", "1"), desk.wants(b, "x", "2"), ends(a, "1")])).toEqual(
      [],
    );
  });

  test("passes through 10,000 waiters in their order, whoever leaves meanwhile", () => {
    desk.wants(a, "x", "first");
    for (let n = 0; n < 10_000; n++) desk.wants(b, "x", `${n}`);
    for (let n = 0; n < 10_000; n += 3) withdraws(b, `${n}`);
    ends(a, "first");
    const order: string[] = [];
    for (let held = holder(); "holder" in held && held.holder !== null; held = holder()) {
      order.push(held.holder);
      ends(b, held.holder);
    }
    expect(order).toEqual(
      Array.from({ length: 10_000 }, (_, n) => n)
        .filter((n) => n % 3 > 0)
        .map(String),
    );
  });

  test("is lined up for again after its line has been empty", () => {
    for (const round of [1, 2, 3]) {
      desk.wants(a, "x", "1", round);
      for (const id of ["2", "3"]) desk.wants(b, "x", id, round);
      ends(a, "1");
      ends(b, "2");
      ends(b, "3");
      expect(desk.grants()).toEqual([`x to 2 of b1 under ${round}`, `x to 3 of b1 under ${round}`]);
    }
  });

  test("released by hand goes to whoever is next, and all are told", () => {
    desk.wants(a, "x", "1");
    desk.wants(b, "x", "2");
    expect(desk.asks(b, { t: "release-executing", key: "x" })).toEqual({ holder: "1" });
    expect(desk.notices().map((one) => one.t)).toEqual(["granted", "released"]);
    ends(a, "1");
    expect(holder()).toEqual({ holder: "2" });
    expect(desk.asks(b, { t: "release-executing", key: "nobody's" })).toEqual({ holder: null });
  });

  test("is told of with its holder, its node and how many wait", () => {
    desk.wants(a, "x", "1");
    desk.wants(b, "x", "2");
    desk.reserves(a, "k", "3");
    const executing = [{ key: "x", id: "1", node: "a", waiting: 1 }];
    expect(desk.asks(a, { t: "holders" })).toEqual({
      holders: executing,
    });
  });
});

describe("a job that asks again", () => {
  test("has the same answer", () => {
    expect([desk.wants(a, "x", "1"), desk.wants(a, "x", "1")]).toEqual([yes, yes]);
    expect([desk.wants(b, "x", "2"), desk.wants(b, "x", "2")]).toEqual([no, no]);
    ends(a, "1");
    expect(desk.grants()).toHaveLength(1);
  });

  test("keeps its place, and is granted under its newer ask", () => {
    desk.wants(a, "x", "1");
    desk.wants(b, "x", "2", 1);
    desk.wants(b, "x", "3");
    desk.wants(b, "x", "2", 7);
    ends(a, "1");
    expect(desk.grants()).toEqual(["x to 2 of b1 under 7"]);
  });

  test("holds its key until both asks are over: a body may run under either", () => {
    desk.wants(a, "x", "1", 1);
    expect(desk.wants(a, "x", "1", 2)).toEqual(yes);
    desk.wants(b, "x", "2");
    withdraws(a, "1", 2);
    expect(holder()).toEqual({ holder: "1" });
    withdraws(a, "1", 1);
    expect(desk.grants()).toEqual(["x to 2 of b1 under 1"]);
  });

  test("holds its key under the newer ask, when the older one is taken back late", () => {
    desk.wants(a, "x", "1", 1);
    desk.wants(a, "x", "1", 2);
    withdraws(a, "1", 1);
    expect(holder()).toEqual({ holder: "1" });
  });

  test("and again and again is bounded", () => {
    for (let token = 1; token <= 1_000; token++) desk.wants(a, "x", "1", token);
    ends(a, "1", 1_000);
    expect(desk.state.leases.size).toBe(0);
  });

  test("on another node waits until the first one has let go", () => {
    desk.wants(a, "x", "1");
    expect(desk.wants(b, "x", "1")).toEqual(no);
    ends(b, "1");
    expect(holder()).toEqual({ holder: "1" });
    desk.wants(b, "x", "1", 2);
    ends(a, "1");
    expect(desk.grants()).toEqual(["x to 1 of b1 under 2"]);
  });
});

test("a job that comes again elsewhere waits its turn, also when it asks before it has left", () => {
  desk.wants(a, "x", "1");
  desk.wants(b, "x", "2");
  desk.wants(b, "x", "1");
  ends(a, "1");
  expect(desk.grants()).toEqual(["x to 2 of b1 under 1"]);
});

test("a job that must not run leaves no ask behind, though it was announced before it was refused", () => {
  desk.wants(a, "x", "1");
  announces(b, [], ["2"]);
  desk.ends(b, "2", { queueKey: "k" });
  const request = {
    t: "begin",
    id: "2",
    hop: 0,
    attempt: 0,
    queueKey: "k",
    executionKey: "x",
    token: 1,
  } as const;
  expect(desk.asks(b, request)).toEqual({ ended: true });
  ends(a, "1");
  expect(desk.grants()).toEqual([]);
});

describe("a job that leaves", () => {
  test("ends its asks up to the one that it names", () => {
    desk.wants(a, "x", "1", 1);
    desk.wants(a, "x", "1", 2);
    ends(a, "1", 1);
    expect(holder()).toEqual({ holder: "1" });
    ends(a, "1", 2);
    expect(holder()).toEqual({ holder: null });
  });

  test("ends all of them when it names none", () => {
    desk.wants(a, "x", "1", 1);
    desk.wants(a, "x", "1", 2);
    ends(a, "1");
    expect(holder()).toEqual({ holder: null });
  });

  test("leaves the line in which it waits", () => {
    desk.wants(a, "x", "1");
    desk.wants(b, "x", "2");
    ends(b, "2");
    ends(a, "1");
    expect(desk.grants()).toEqual([]);
  });

  test("frees nothing of another job", () => {
    desk.wants(a, "x", "1");
    ends(a, "2");
    withdraws(a, "2");
    ends(b, "1");
    withdraws(b, "1");
    expect(holder()).toEqual({ holder: "1" });
  });
});

describe("an ask that is taken back", () => {
  test("leaves the line", () => {
    desk.wants(a, "x", "1");
    desk.wants(b, "x", "2");
    desk.wants(b, "x", "3");
    withdraws(b, "2");
    ends(a, "1");
    expect(desk.grants()).toEqual(["x to 3 of b1 under 1"]);
  });

  test("stays in the line under a newer one", () => {
    desk.wants(a, "x", "1");
    desk.wants(b, "x", "2", 1);
    desk.wants(b, "x", "2", 2);
    withdraws(b, "2", 1);
    ends(a, "1");
    expect(desk.grants()).toEqual(["x to 2 of b1 under 2"]);
  });

  test("passes on the grant that was under way", () => {
    desk.wants(a, "x", "1");
    desk.wants(b, "x", "2");
    desk.wants(b, "x", "3");
    ends(a, "1");
    withdraws(b, "2");
    expect(desk.grants()).toEqual(["x to 2 of b1 under 1", "x to 3 of b1 under 1"]);
  });
});

describe("a node that is gone", () => {
  test("loses its leases, which are granted again when its bodies must have ended", () => {
    desk.wants(a, "x", "1");
    desk.wants(b, "x", "2");
    desk.goes(a);
    desk.passes(REGRANT_MS - 1);
    expect(desk.grants()).toEqual([]);
    desk.passes(1);
    expect(desk.grants()).toEqual(["x to 2 of b1 under 1"]);
  });

  test("leaves its keys to its own jobs first, wherever they are now", () => {
    desk.wants(a, "x", "1");
    desk.wants(b, "x", "2");
    desk.goes(a);
    expect(desk.wants(b, "x", "1")).toEqual(no);
    desk.passes(REGRANT_MS);
    expect(desk.grants()).toEqual(["x to 1 of b1 under 1"]);
  });

  test("waits no more", () => {
    desk.wants(a, "x", "1");
    desk.wants(b, "x", "2");
    desk.goes(b);
    ends(a, "1");
    expect(desk.grants()).toEqual([]);
    expect(desk.state.leases.size).toBe(0);
  });

  test("is heard when it says that its job has ended after all", () => {
    desk.wants(a, "x", "1");
    desk.wants(b, "x", "2");
    desk.goes(a);
    ends(a, "1");
    expect(desk.grants()).toEqual(["x to 2 of b1 under 1"]);
    desk.passes(REGRANT_MS);
    expect(holder()).toEqual({ holder: "2" });
  });

  test("gets nothing", () => {
    desk.goes(a);
    expect(desk.wants(a, "x", "1")).toEqual(no);
    expect(desk.wants(b, "x", "2")).toEqual(yes);
  });

  test("holds what it says that it holds, when it is back as the same process", () => {
    desk.wants(a, "x", "1");
    desk.wants(b, "x", "2");
    desk.goes(a);
    desk.comes(a);
    expect(desk.notices()).toContainEqual({ t: "announce", to: a });
    announces(a, ["1"]);
    desk.passes(REGRANT_MS);
    expect(holder()).toEqual({ holder: "1" });
    ends(a, "1");
    expect(desk.grants()).toEqual(["x to 2 of b1 under 1"]);
  });

  test("is another one than the process that comes under its name", () => {
    desk.wants(a, "x", "1");
    const again = { node: "a", boot: "a2" };
    desk.comes(again);
    expect(desk.wants(again, "x", "2")).toEqual(no);
    desk.goes(a);
    desk.passes(REGRANT_MS);
    expect(desk.grants()).toEqual(["x to 2 of a2 under 1"]);
  });

  test("shares a key with whoever has it by now, if it comes back and still holds it: free is it after both", () => {
    desk.wants(a, "x", "1");
    desk.wants(b, "x", "2");
    desk.wants(b, "x", "3");
    desk.goes(a);
    desk.passes(REGRANT_MS);
    desk.comes(a);
    announces(a, ["1"]);
    desk.notices();
    ends(b, "2");
    expect(desk.grants()).toEqual([]);
    ends(a, "1");
    expect(desk.grants()).toEqual(["x to 3 of b1 under 1"]);
  });
});

describe("a node that is not listed", () => {
  const c = { node: "c", boot: "c1" };

  test("gets nothing, and is asked again when it is", () => {
    expect(desk.wants(c, "x", "1")).toEqual(no);
    announces(c, [], ["1"]);
    desk.comes(c);
    expect(desk.notices()).toContainEqual({ t: "announce", to: c });
    announces(c, [], ["1"]);
    expect(desk.grants()).toEqual(["x to 1 of c1 under 1"]);
  });

  test("is listed once, however often it is heard", () => {
    desk.comes(c);
    desk.notices();
    expect(desk.changesOf(() => desk.comes(c))).toEqual([]);
    expect(desk.notices()).toEqual([]);
    desk.goes(c);
    expect(desk.changesOf(() => desk.goes(c))).toEqual([]);
  });
});

describe("after an election", () => {
  beforeEach(() => {
    desk.wants(a, "x", "1");
    desk.wants(b, "x", "2");
    desk.elect();
  });

  test("all are asked what they hold", () => {
    expect(desk.notices()).toEqual([{ t: "announce" }]);
  });

  test("nothing is granted before everybody has announced", () => {
    expect(desk.wants(b, "x", "3")).toEqual(no);
    expect(desk.wants(b, "other", "4")).toEqual(no);
    announces(b, [], ["2"]);
    desk.passes(3_600_000);
    expect(desk.grants()).toEqual([]);
    announces(a, ["1"]);
    expect(desk.grants()).toEqual([]);
    ends(a, "1");
    expect(desk.grants()).toEqual(["x to 2 of b1 under 1"]);
  });

  test("who asked before is granted when everybody has announced", () => {
    desk.wants(b, "other", "4");
    announces(a, ["1"]);
    desk.announces(b, [], [x("2"), { executionKey: "other", id: "4", token: 1 }]);
    expect(desk.grants()).toEqual(["other to 4 of b1 under 1"]);
  });

  test("a job that was granted by the last one, and asks again, holds its key", () => {
    expect(desk.wants(a, "x", "1")).toEqual(no);
    announces(a, ["1"]);
    expect(desk.wants(a, "x", "1")).toEqual(yes);
    announces(b, [], ["2"]);
    expect(desk.grants()).toEqual([]);
  });

  test("whose grant was lost is granted again", () => {
    ends(a, "1");
    announces(a, []);
    announces(b, [], ["2"]);
    expect(desk.grants()).toEqual(["x to 2 of b1 under 1"]);
  });

  test("a node that is gone without a word may have held any key", () => {
    announces(b, [], ["2"]);
    desk.goes(a);
    expect(desk.wants(b, "other", "4")).toEqual(no);
    desk.passes(REGRANT_MS - 1);
    expect(desk.grants()).toEqual([]);
    desk.passes(1);
    expect(desk.grants()).toEqual(["x to 2 of b1 under 1", "other to 4 of b1 under 1"]);
  });

  test("reservations, marks and pauses are served at once", () => {
    expect(desk.reserves(a, "k", "1")).toEqual({ ok: true });
    expect(desk.begins(a, "k", "1")).toEqual({ ok: true });
    expect(desk.asks(a, { t: "mark", id: "1" })).toEqual({ ok: true });
    expect(desk.asks(a, { t: "pause", queue: "q", paused: true })).toEqual({ ok: true });
  });
});

test("the next coordinator does not know what a node that has just gone held, and waits until its bodies have ended", () => {
  desk.wants(a, "x", "1");
  desk.goes(a);
  desk.passes(1_000);
  desk.elect();
  announces(b, []);
  expect(desk.wants(b, "x", "2")).toEqual(no);
  desk.passes(REGRANT_MS - 1_001);
  expect(desk.grants()).toEqual([]);
  desk.passes(1);
  expect(desk.grants()).toEqual(["x to 2 of b1 under 1"]);
});

test("the next coordinator does not wait for a node that went with nothing in hand", () => {
  desk.wants(a, "x", "1");
  desk.wants(b, "x", "2");
  ends(a, "1");
  desk.goes(a);
  desk.elect();
  announces(b, ["2"]);
  expect(desk.wants(b, "other", "3")).toEqual(yes);
});

describe("an announcement", () => {
  test("replaces what was known of the node", () => {
    desk.wants(a, "x", "1");
    desk.wants(b, "x", "2");
    desk.wants(b, "x", "3");
    announces(a, []);
    expect(desk.grants()).toEqual(["x to 2 of b1 under 1"]);
    announces(b, ["2"]);
    ends(b, "2");
    expect(desk.grants()).toEqual([]);
  });

  test("that says the same again changes nothing, and nobody loses a place", () => {
    desk.wants(a, "x", "1");
    for (const id of ["2", "3"]) desk.wants(b, "x", id);
    announces(a, ["1"]);
    announces(b, [], ["3", "2"]);
    ends(a, "1");
    expect(desk.grants()).toEqual(["x to 2 of b1 under 1"]);
  });

  test("of somebody who awaits what it was granted tells it again: the grant was lost", () => {
    desk.wants(a, "x", "1");
    desk.wants(b, "x", "2");
    ends(a, "1");
    desk.notices();
    announces(b, [], ["2"]);
    expect(desk.grants()).toEqual(["x to 2 of b1 under 1"]);
    expect(holder()).toEqual({ holder: "2" });
  });
});

test("an announcement that comes again, late, or for a former coordinator, says nothing that is still true", () => {
  const early = { t: "announce", epoch: desk.epoch, serial: 1, holds: [], awaits: [] } as const;
  const late = { ...early, serial: 2, holds: [x("0")] };
  desk.asks(a, early);
  desk.asks(a, late);
  desk.ends(a, "0", { executionKey: "x" });
  desk.wants(a, "x", "1");
  desk.wants(b, "x", "2");
  for (const again of [early, late]) desk.asks(a, again);
  expect(holder()).toEqual({ holder: "1" });
  desk.elect();
  announces(b, [], ["2"]);
  desk.asks(a, { ...early, serial: 3 });
  expect(desk.grants()).toEqual([]);
});

test("the one that had no list is open at once", () => {
  const fresh = new Desk();
  fresh.comes(a);
  expect(fresh.wants(a, "x", "1")).toEqual(yes);
});

describe("a job on a round", () => {
  beforeEach(() => {
    desk.wants(a, "x", "1");
    for (const id of ["2", "3"]) desk.wants(b, "x", id);
    goesRound(b, "2");
  });

  test("has its place when it comes back, to whatever node", () => {
    desk.wants(a, "x", "2");
    ends(a, "1");
    expect(desk.grants()).toEqual(["x to 2 of a1 under 1"]);
  });

  test("is waited for when its turn comes, until it is late", () => {
    ends(a, "1");
    expect(desk.wants(a, "x", "4")).toEqual(no);
    desk.passes(ROUND_MS - 1);
    expect(desk.grants()).toEqual([]);
    desk.passes(1);
    expect(desk.grants()).toEqual(["x to 3 of b1 under 1"]);
  });

  test("has the key at once that waits for it", () => {
    ends(a, "1");
    expect(desk.wants(a, "x", "2")).toEqual(yes);
    ends(a, "2");
    expect(desk.grants()).toEqual(["x to 3 of b1 under 1"]);
  });

  test("is next when it comes late, before all who came after it", () => {
    ends(a, "1");
    desk.passes(ROUND_MS);
    desk.wants(b, "x", "4");
    desk.wants(a, "x", "2", 7);
    ends(b, "3");
    expect(desk.grants()).toEqual(["x to 3 of b1 under 1", "x to 2 of a1 under 7"]);
  });

  test("goes again and keeps its place, also late", () => {
    desk.wants(a, "x", "2");
    goesRound(a, "2");
    desk.passes(10 * ROUND_MS);
    desk.wants(b, "x", "2", 9);
    ends(a, "1");
    expect(desk.grants()).toEqual(["x to 2 of b1 under 9"]);
  });

  test("keeps its place when its node is gone", () => {
    desk.goes(b);
    desk.wants(a, "x", "4");
    desk.wants(a, "x", "2");
    ends(a, "1");
    expect(desk.grants()).toEqual(["x to 2 of a1 under 1"]);
  });

  test("loses its place to an election: leases need no storage", () => {
    desk.elect();
    announces(a, ["1"]);
    announces(b, [], ["3"]);
    desk.wants(a, "x", "2");
    ends(a, "1");
    expect(desk.grants()).toEqual(["x to 3 of b1 under 1"]);
  });

  test("is not waited for when it has ended there", () => {
    desk.ends(b, "2", { executionKey: "x" });
    ends(a, "1");
    expect(desk.grants()).toEqual(["x to 3 of b1 under 1"]);
  });

  test("costs nothing when it never comes back", () => {
    ends(a, "1");
    ends(b, "3");
    desk.passes(AWAY_KEPT_MS);
    expect(desk.state.leases.size).toBe(0);
  });
});

test("a job that was granted its key as it left for a round has it when it is back", () => {
  desk.wants(a, "x", "1");
  for (const id of ["2", "3"]) desk.wants(b, "x", id);
  ends(a, "1");
  goesRound(b, "2");
  expect(desk.grants()).toEqual(["x to 2 of b1 under 1"]);
  expect(desk.wants(a, "x", "2")).toEqual(yes);
  ends(a, "2");
  expect(desk.grants()).toEqual(["x to 3 of b1 under 1"]);
});

test("a round that is told twice, or late, is one", () => {
  desk.wants(a, "x", "1");
  desk.wants(b, "x", "2", 1);
  goesRound(b, "2", 1);
  desk.wants(b, "x", "2", 5);
  goesRound(b, "2", 1);
  ends(a, "1");
  expect(desk.grants()).toEqual(["x to 2 of b1 under 5"]);
});

test("places that are kept are bounded: the oldest is given up", () => {
  desk.wants(a, "x", "1");
  for (let n = 0; n <= MOST_AWAY; n++) {
    desk.wants(b, "x", `r${n}`);
    goesRound(b, `r${n}`);
  }
  desk.wants(b, "x", "late");
  desk.wants(b, "x", "r0");
  desk.wants(b, "x", "r1");
  desk.passes(ROUND_MS);
  const order: unknown[] = [];
  for (let last = "1"; order.length < 3; ) {
    ends(last === "1" ? a : b, last);
    const now = holder();
    last = "holder" in now ? String(now.holder) : "";
    order.push(last);
  }
  expect(order).toEqual(["r1", "late", "r0"]);
});
