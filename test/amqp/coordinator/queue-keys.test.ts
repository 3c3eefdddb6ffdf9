/**
 * Queue keys, rule by rule: who is told what, and when a key is free again.
 *
 * Everything is durable at once here; `coordinator.simulation.test.ts` loses what is not.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { a, b, Desk } from "./desk.ts";

const ok = { ok: true };
const taken = (holder: string) => ({ duplicate: "queueKey", holder });
const known = (id: string) => ({ duplicate: "id", holder: id });

let desk: Desk;
const holder = (key = "k") => desk.asks(a, { t: "is-queued", key });

beforeEach(() => {
  desk = new Desk(a, b);
});

describe("a reservation", () => {
  test("is one job's alone", () => {
    expect(desk.reserves(a, "k", "1")).toEqual(ok);
    expect(desk.reserves(b, "k", "2")).toEqual(taken("1"));
    expect(desk.reserves(b, "other", "2")).toEqual(ok);
  });

  test("may be made again by the same job, without a change: it may stand on the broker, and that is said", () => {
    desk.reserves(a, "k", "1");
    const again = { ok: true, again: true };
    expect(desk.changesOf(() => expect(desk.reserves(a, "k", "1")).toEqual(again))).toEqual([]);
  });

  test("of a job that is known to be stored is refused by its id", () => {
    desk.reserves(a, "k", "1");
    desk.publishes(a, "k", "1", true);
    expect(desk.reserves(b, "k", "1")).toEqual({ duplicate: "id", holder: "1" });
  });

  test("is the other node's, when the job is enqueued there again", () => {
    desk.reserves(a, "k", "1");
    desk.reserves(b, "k", "1");
    desk.goes(a);
    desk.passes(60_000);
    expect(holder()).toEqual({ holder: "1" });
  });

  test("stays for as long as its node is there and has not said what came of the publish", () => {
    desk.reserves(a, "k", "1");
    desk.passes(3_600_000);
    expect(desk.reserves(b, "k", "2")).toEqual(taken("1"));
  });

  test("of a job that is queued again is not confirmed by a late word of what came of it before", () => {
    desk.reserves(a, "k", "1");
    desk.begins(b, "k", "1");
    desk.ends(b, "1", { queueKey: "k", buried: true });
    desk.reserves(a, "k", "1", 1);
    desk.publishes(a, "k", "1", true, 0);
    desk.goes(a);
    desk.passes(30_000);
    expect(desk.reserves(b, "k", "2")).toEqual(ok);
  });

  test("lapses 30 s after its publish has failed", () => {
    desk.reserves(a, "k", "1");
    expect(desk.publishes(a, "k", "1", false)).toEqual(ok);
    desk.passes(29_999);
    expect(desk.reserves(b, "k", "2")).toEqual(taken("1"));
    desk.passes(1);
    expect(desk.reserves(b, "k", "2")).toEqual(ok);
  });

  test("lapses at its own time, not with the one before it", () => {
    for (const key of ["k", "l"]) {
      desk.reserves(a, key, key);
      desk.publishes(a, key, key, false);
      desk.passes(10_000);
    }
    desk.passes(10_000);
    expect([holder("k"), holder("l")]).toEqual([{ holder: null }, { holder: "l" }]);
  });

  test("whose failure is told twice lapses 30 s after the first", () => {
    desk.reserves(a, "k", "1");
    desk.publishes(a, "k", "1", false);
    desk.passes(20_000);
    expect(desk.changesOf(() => desk.publishes(a, "k", "1", false))).toEqual([]);
    desk.passes(10_000);
    expect(holder()).toEqual({ holder: null });
  });

  test.each([
    ["it is confirmed after all", () => desk.publishes(a, "k", "1")],
    ["a worker takes the job", () => desk.begins(b, "k", "1")],
    ["it is made again", () => desk.reserves(a, "k", "1")],
  ])("does not lapse when %s", (_what, happens) => {
    desk.reserves(a, "k", "1");
    desk.publishes(a, "k", "1", false);
    happens();
    desk.passes(60_000);
    expect(holder()).toEqual({ holder: "1" });
  });

  test("lapses 30 s after its node is gone", () => {
    desk.reserves(a, "k", "1");
    desk.goes(a);
    desk.passes(29_999);
    expect(holder()).toEqual({ holder: "1" });
    desk.passes(1);
    expect(holder()).toEqual({ holder: null });
  });

  test("lapses 30 s after its node has come as another process", () => {
    desk.reserves(a, "k", "1");
    desk.comes({ node: "a", boot: "a2" });
    desk.passes(30_000);
    expect(holder()).toEqual({ holder: null });
  });

  test("of a node that is not listed lapses 30 s later: nobody will tell of its end", () => {
    const stranger = { node: "c", boot: "c1" };
    desk.reserves(stranger, "k", "1");
    desk.passes(20_000);
    desk.reserves(stranger, "k", "1");
    desk.passes(10_000);
    expect(holder()).toEqual({ holder: null });
  });

  test("lapses under the next coordinator at the same time", () => {
    desk.reserves(a, "k", "1");
    desk.reserves(a, "l", "2");
    desk.publishes(a, "l", "2", false);
    desk.passes(10_000);
    desk.goes(a);
    desk.passes(10_000);
    desk.elect();
    desk.passes(10_000);
    expect([holder("k"), holder("l")]).toEqual([{ holder: "1" }, { holder: null }]);
    desk.passes(10_000);
    expect(holder("k")).toEqual({ holder: null });
  });

  test("is not touched by what comes of another job's publish", () => {
    desk.reserves(a, "k", "1");
    expect(desk.changesOf(() => desk.publishes(a, "k", "2", false))).toEqual([]);
    expect(desk.changesOf(() => desk.publishes(a, "k", "2"))).toEqual([]);
  });
});

describe("a kept key", () => {
  test("outlives the node that has enqueued its job", () => {
    desk.reserves(a, "k", "1");
    desk.publishes(a, "k", "1");
    desk.goes(a);
    desk.passes(3_600_000);
    expect(desk.reserves(b, "k", "2")).toEqual(taken("1"));
  });

  test("outlives a late word of a publish that failed: the job is there", () => {
    desk.reserves(a, "k", "1");
    desk.begins(b, "k", "1");
    expect(desk.changesOf(() => desk.publishes(a, "k", "1", false))).toEqual([]);
  });

  test("is confirmed twice without a change", () => {
    desk.reserves(a, "k", "1");
    desk.publishes(a, "k", "1");
    expect(desk.changesOf(() => desk.publishes(a, "k", "1"))).toEqual([]);
  });
});

describe("a worker that takes a job", () => {
  test("takes its key where it is free", () => {
    expect(desk.begins(a, "k", "1")).toEqual(ok);
    expect(desk.reserves(b, "k", "2")).toEqual(taken("1"));
  });

  test("is told who has it", () => {
    desk.begins(a, "k", "1");
    expect(desk.changesOf(() => expect(desk.begins(b, "k", "2")).toEqual(taken("1")))).toEqual([]);
  });

  test("asks twice without a change", () => {
    desk.begins(a, "k", "1");
    expect(desk.changesOf(() => expect(desk.begins(a, "k", "1")).toEqual(ok))).toEqual([]);
  });

  test("is told when a later attempt has the key already", () => {
    desk.begins(a, "k", "1", { attempt: 1 });
    expect(desk.begins(b, "k", "1", { attempt: 0 })).toEqual({ ok: true, outdated: true });
    expect(desk.begins(b, "k", "1", { attempt: 1 })).toEqual(ok);
  });

  test("is told so too when the later attempt has only been published", () => {
    desk.begins(a, "k", "1");
    desk.ends(a, "1", { queueKey: "k", ended: false, attempt: 1 });
    expect(desk.begins(b, "k", "1")).toEqual({ ok: true, outdated: true });
  });

  test("does not wait for an execution key when its job is another's duplicate", () => {
    desk.begins(a, "k", "1");
    const request = {
      t: "begin",
      id: "2",
      hop: 0,
      attempt: 0,
      queueKey: "k",
      executionKey: "x",
      token: 1,
    } as const;
    expect(desk.asks(a, request)).toEqual(taken("1"));
    expect(desk.asks(a, { t: "is-executing", key: "x" })).toEqual({ holder: null });
  });

  test("gets both keys with one answer", () => {
    const request = {
      t: "begin",
      id: "1",
      hop: 0,
      attempt: 0,
      queueKey: "k",
      executionKey: "x",
      token: 1,
    } as const;
    expect(desk.asks(a, request)).toEqual({ granted: true });
    desk.ends(a, "1", { queueKey: "k", executionKey: "x" });
    expect(desk.asks(a, { t: "holders" })).toEqual({ holders: [] });
  });
});

describe("a job that leaves", () => {
  test("keeps its key when it comes again", () => {
    desk.begins(a, "k", "1");
    desk.ends(a, "1", { queueKey: "k", ended: false });
    expect(desk.reserves(b, "k", "2")).toEqual(taken("1"));
  });

  test("changes nothing of a key that is kept for a later attempt", () => {
    desk.begins(a, "k", "1", { attempt: 2 });
    expect(desk.changesOf(() => desk.ends(b, "1", { queueKey: "k", ended: false, attempt: 1 }))).toEqual([]);
  });

  test("does not take a key when it comes again", () => {
    expect(desk.changesOf(() => desk.ends(a, "1", { queueKey: "k", ended: false }))).toEqual([]);
  });

  test("frees its key when it has ended", () => {
    desk.begins(a, "k", "1");
    expect(desk.ends(a, "1", { queueKey: "k" })).toEqual(ok);
    expect(desk.reserves(b, "k", "2")).toEqual(ok);
  });

  test("leaves the key alone that is another's by now", () => {
    desk.begins(a, "k", "1");
    desk.asks(a, { t: "release-queued", key: "k" });
    desk.reserves(b, "k", "2");
    desk.ends(a, "1", { queueKey: "k" });
    expect(holder()).toEqual({ holder: "2" });
  });

  test("says so twice without a change", () => {
    desk.begins(a, "k", "1");
    desk.ends(a, "1", { queueKey: "k" });
    expect(desk.changesOf(() => desk.ends(a, "1", { queueKey: "k" }))).toEqual([]);
  });

  test("is not remembered without a queue key: that costs no change", () => {
    expect(desk.changesOf(() => desk.ends(a, "1", { executionKey: "x" }))).toEqual([]);
  });
});

describe("an id that has ended", () => {
  beforeEach(() => {
    desk.begins(a, "k", "1", { hop: 1 });
    desk.ends(a, "1", { queueKey: "k", hop: 1 });
  });

  test("does not run again in this hop or a lower one", () => {
    expect(desk.begins(b, "k", "1", { hop: 0 })).toEqual({ ended: true });
    expect(desk.begins(b, "k", "1", { hop: 1 })).toEqual({ ended: true });
    expect(holder()).toEqual({ holder: null });
  });

  test("runs in a higher one", () => {
    expect(desk.begins(b, "k", "1", { hop: 2 })).toEqual(ok);
  });

  test("cannot be enqueued, under any key", () => {
    expect(desk.reserves(b, "other", "1")).toEqual(known("1"));
  });

  test("can be when it was queued again with a higher hop", () => {
    expect(desk.reserves(b, "k", "1", 1)).toEqual(known("1"));
    expect(desk.reserves(b, "k", "1", 2)).toEqual(ok);
  });

  test("whose end comes again keeps the key under which it was queued again", () => {
    desk.reserves(b, "k", "1", 2);
    desk.ends(a, "1", { queueKey: "k", hop: 1 });
    expect(holder()).toEqual({ holder: "1" });
  });

  test("is known to the next coordinator", () => {
    desk.elect();
    expect(desk.begins(b, "k", "1", { hop: 1 })).toEqual({ ended: true });
  });

  test("is forgotten after an hour, and then from the journal too", () => {
    desk.passes(3_599_999);
    expect(desk.reserves(b, "k", "1")).toEqual(known("1"));
    desk.passes(1);
    expect(desk.reserves(b, "k", "1")).toEqual(ok);
    desk.passes(60_000);
    expect(desk.state.ended.size).toBe(0);
  });

  test("is not forgotten when somebody says that it was dropped: it never lay there", () => {
    expect(desk.changesOf(() => desk.asks(a, { t: "dropped", ids: ["1"] }))).toEqual([]);
    expect(desk.reserves(b, "k", "1")).toEqual(known("1"));
  });
});

describe("a buried id", () => {
  beforeEach(() => {
    desk.begins(a, "k", "1");
    desk.ends(a, "1", { queueKey: "k", buried: true });
  });

  test("leaves its key to others, and cannot be enqueued itself", () => {
    expect(desk.reserves(b, "k", "2")).toEqual(ok);
    expect(desk.reserves(b, "other", "1")).toEqual(known("1"));
  });

  test("can be enqueued once it was dropped", () => {
    expect(desk.asks(b, { t: "dropped", ids: ["1", "never seen"] })).toEqual(ok);
    expect(desk.reserves(b, "k", "1")).toEqual(ok);
  });

  test("ends in its next hop as any other", () => {
    desk.reserves(b, "k", "1", 1);
    desk.begins(b, "k", "1", { hop: 1 });
    desk.ends(b, "1", { queueKey: "k", hop: 1 });
    desk.asks(b, { t: "dropped", ids: ["1"] });
    expect(desk.reserves(b, "k", "1")).toEqual(known("1"));
  });
});

test("of 100,001 ids that have ended the oldest are forgotten", () => {
  for (let n = 0; n < 100_000; n++) desk.ends(a, `${n}`, { queueKey: "k" });
  expect(desk.begins(a, "k", "0")).toEqual({ ended: true });
  desk.ends(a, "last", { queueKey: "k" });
  expect(desk.state.ended.size).toBeLessThanOrEqual(100_000);
  expect(desk.begins(a, "k", "0")).toEqual(ok);
  expect(desk.begins(a, "l", "1000")).toEqual({ ended: true });
});

test("a key released by hand is free, and all are told", () => {
  desk.begins(a, "k", "1");
  expect(desk.asks(b, { t: "release-queued", key: "k" })).toEqual({ holder: "1" });
  expect(desk.notices()).toEqual([{ t: "released", kind: "queueKey", key: "k", id: "1" }]);
  expect(desk.asks(b, { t: "release-queued", key: "k" })).toEqual({ holder: null });
  expect(desk.notices()).toEqual([]);
});
