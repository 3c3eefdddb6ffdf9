/**
 * The elected coordinator, carried out: nothing is said before it is durable, nothing after it was deposed.
 */
import { beforeEach, expect, test } from "vitest";
import { Chair, packCalls } from "../../../src/amqp/coordinator/chair.ts";
import type { Said } from "../../../src/amqp/coordinator/client.ts";
import type { Change, NodeId, Request } from "../../../src/amqp/coordinator/requests.ts";
import { VirtualClock } from "../../../src/testing/virtual-clock.ts";

const me: NodeId = { node: "me", boot: "m1" };
const a: NodeId = { node: "a", boot: "a1" };

interface Append {
  readonly changes: readonly Change[];
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

let clock: VirtualClock;
let appends: Append[];
let said: { readonly to: string | undefined; readonly said: Said }[];
let peers: NodeId[];
let young: boolean;
let warned: string[];
let chair: Chair;

beforeEach(async () => {
  clock = new VirtualClock(1_000_000);
  appends = [];
  said = [];
  peers = [a];
  young = false;
  warned = [];
  chair = new Chair({
    clock,
    self: me,
    regrantMs: 3_000,
    knownEpoch: () => 0,
    append: (changes) => new Promise((resolve, reject) => appends.push({ changes, resolve, reject })),
    say: (what, to) => void said.push({ to, said: what }),
    peers: () => peers,
    young: () => young,
    elected: () => {},
    deposed: () => {},
    warn: (text) => void warned.push(text),
  });
  chair.rebuild([]);
  chair.elected(4);
  await durable();
  said = [];
});

/** All that was written so far is in the journal. */
async function durable(): Promise<void> {
  for (const { resolve } of appends.splice(0)) resolve();
  await clock.settle();
}

let done: number[] = [];
/** One message with these requests; `done` has its number when it is acknowledged. */
function calls(from: NodeId, number: number, ...requests: readonly Request[]): void {
  done = number === 1 ? [] : done;
  const batch = requests.map((request, at) => [number * 10 + at, request] as const);
  chair.call(JSON.parse(packCalls(from, batch).toString()), () => done.push(number));
}

const answersTo = (node: string) => said.filter(({ to }) => to === node).flatMap((one) => one.said.answers);

test("an answer leaves when its change is durable, and then the call is acknowledged", async () => {
  calls(a, 1, { t: "reserve", key: "k", id: "1" });
  await clock.settle();
  expect([answersTo("a"), done]).toEqual([[], []]);
  await durable();
  expect(answersTo("a")).toEqual([[10, { ok: true }]]);
  expect(done).toEqual([1]);
});

test("an answer without a change waits for the changes before it: it may rest on them", async () => {
  calls(a, 1, { t: "reserve", key: "k", id: "1" });
  calls(me, 2, { t: "is-queued", key: "k" });
  await clock.settle();
  expect(said).toEqual([]);
  await durable();
  expect(answersTo("me")).toEqual([[20, { holder: "1" }]]);
  expect(done).toEqual([1, 2]);
});

test("what rests on nothing that is not durable is answered at once", async () => {
  calls(a, 1, { t: "is-queued", key: "k" });
  expect(answersTo("a")).toEqual([[10, { holder: null }]]);
  expect(done).toEqual([1]);
});

test("a notice to all comes before the answer, and with the epoch", async () => {
  calls(a, 1, { t: "pause", queue: "q", paused: true });
  await durable();
  expect(said.map(({ to, said: what }) => [to, what.epoch, what.notices.length])).toEqual([
    [undefined, 4, 1],
    ["a", 4, 0],
  ]);
});

test("a replica that is asked for in one message with a change shows the change, which is told before it", async () => {
  calls(a, 1, { t: "pause", queue: "q", paused: true });
  await durable();
  said = [];
  calls(a, 2, { t: "replica" }, { t: "pause", queue: "q", paused: false }, { t: "mark", id: "m" });
  await durable();
  expect(new Map(answersTo("a")).get(20)).toMatchObject({ replica: { marks: ["m"], paused: [] } });
});

test("deposed, it says nothing more of what it had not said, and acknowledges none of it", async () => {
  calls(a, 1, { t: "reserve", key: "k", id: "1" });
  calls(a, 2, { t: "is-queued", key: "k" });
  chair.deposed();
  for (const { reject } of appends.splice(0)) reject(new Error("the channel is gone"));
  await clock.settle();
  expect([said, done]).toEqual([[], []]);
  await clock.advance(60_000);
  expect(said).toEqual([]);
});

test("what becomes durable after it was deposed is not said either: the next one says it", async () => {
  calls(a, 1, { t: "reserve", key: "k", id: "1" });
  const late = appends.splice(0);
  chair.deposed();
  chair.rebuild([]);
  chair.elected(9);
  await durable();
  said = [];
  for (const { resolve } of late) resolve();
  await clock.settle();
  expect([answersTo("a"), done]).toEqual([[], []]);
});

test("a message that is none is acknowledged, and a request that is none costs only itself", async () => {
  for (const body of [null, 7, "x", [], ["a", "b"], ["a", 1, []], { node: "a" }]) {
    let isDone = false;
    chair.call(body, () => {
      isDone = true;
    });
    expect(isDone).toBe(true);
  }
  chair.call(["a", "a1", [[1, { t: "no such" }], "junk", [2, { t: "is-queued", key: "k" }]]], () => {});
  expect(answersTo("a")).toEqual([[2, { holder: null }]]);
});

test("a node that the journal lists and nobody hears is gone, once this node is old enough to know", async () => {
  calls(a, 1, { t: "reserve", key: "k", id: "1" });
  await durable();
  peers = [];
  young = true;
  await clock.advance(5_000);
  expect(appends).toEqual([]);
  young = false;
  await clock.advance(1_000);
  expect(appends.flatMap(({ changes }) => changes)).toContainEqual(
    expect.objectContaining({ c: "node", node: "a", there: false }),
  );
});

test("a node that stops takes itself off the list", async () => {
  const left = chair.leave();
  expect(appends.flatMap(({ changes }) => changes)).toContainEqual(
    expect.objectContaining({ c: "node", node: "me", there: false }),
  );
  await durable();
  await left;
});
