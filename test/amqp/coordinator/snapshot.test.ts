/**
 * The journal gives the state again: change by change, from a snapshot with changes between its slices, in both orders.
 *
 * Random requests of few jobs and keys, so that everything that can happen to a key happens between two slices. 500
 * stories, 20,000 with SPILLWAY_LONG; SPILLWAY_SEED repeats a run.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Change, NodeId } from "../../../src/amqp/coordinator/requests.ts";
import { snapshotOf } from "../../../src/amqp/coordinator/snapshot.ts";
import { CoordinatorState } from "../../../src/amqp/coordinator/state.ts";
import { Random } from "../../jobs/generators.ts";
import { a, b, Desk, durableOf, REGRANT_MS, replayed } from "./desk.ts";

const STORIES = process.env.SPILLWAY_LONG === undefined ? 500 : 20_000;
const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 2 ** 31);

const stranger: NodeId = { node: "c", boot: "c1" };
const again: NodeId = { node: "a", boot: "a2" };
const IDS = Array.from({ length: 8 }, (_, n) => `${n}`);
const KEYS = IDS.map((id) => `k${id}`);

function happens(desk: Desk, random: Random): void {
  const [id, key, node] = [random.pick(IDS), random.pick(KEYS), random.pick([a, b, stranger, again])];
  const fields = { hop: random.below(3), attempt: random.below(3) };
  const does = [
    () => desk.reserves(node, key, id, fields.hop),
    () => desk.reserves(node, key, id, fields.hop),
    () => desk.publishes(node, key, id, random.chance(0.5)),
    () => desk.begins(node, key, id, fields),
    () =>
      desk.ends(node, id, {
        queueKey: key,
        ...fields,
        ended: random.chance(0.7),
        buried: random.chance(0.5),
      }),
    () => desk.asks(node, { t: "dropped", ids: [id] }),
    () => desk.asks(node, { t: "mark", id }),
    () => desk.asks(node, { t: "unmark", ids: [id] }),
    () => desk.asks(node, { t: "pause", queue: random.pick(["p", "q"]), paused: random.chance(0.5) }),
    () => desk.asks(node, { t: "started", id, alone: random.chance(0.5) }),
    () => desk.asks(node, { t: "crashed", id }),
    () => desk.asks(node, { t: "cleared", id, kept: random.chance(0.5) }),
    () => desk.asks(node, { t: "purge", queue: random.pick(["p", "q"]) }),
    () => desk.leaves(node),
    () => desk.asks(node, { t: "release-queued", key }),
    () => desk.wants(node, "x", id),
    () => (random.chance(0.5) ? desk.comes(node) : desk.goes(node)),
    () => desk.passes(random.chance(0.1) ? 40 * 60_000 : random.below(20_000)),
  ];
  random.pick(does)();
}

const stories = fc.record({
  seed: fc.nat(),
  before: fc.nat(60),
  slice: fc.integer({ min: 1, max: 6 }),
  gap: fc.nat(8),
});

function holds(story: { seed: number; before: number; slice: number; gap: number }): void {
  const random = new Random(story.seed);
  const desk = new Desk(a, b);
  for (let n = 0; n < story.before; n++) happens(desk, random);
  expect(durableOf(replayed(desk.journal))).toEqual(durableOf(desk.state));

  const from = desk.journal.length;
  const slices: Change[] = [];
  const inOrder: Change[] = [];
  let seen = from;
  for (const slice of snapshotOf(desk.state, story.slice)) {
    slices.push(...slice);
    inOrder.push(...desk.journal.slice(seen), ...slice);
    seen = desk.journal.length;
    for (let n = random.below(story.gap + 1); n > 0; n--) happens(desk, random);
  }
  const live = durableOf(desk.state);
  expect(durableOf(replayed([...inOrder, ...desk.journal.slice(seen)]))).toEqual(live);
  const next = replayed([...slices, ...desk.journal.slice(from)]);
  expect(durableOf(next)).toEqual(live);
}

test(`whatever happens between the slices (seed ${SEED})`, { timeout: 3_600_000 }, () => {
  fc.assert(fc.property(stories, holds), { numRuns: STORIES, seed: SEED });
});

test("a reservation whose node is there has no time to lapse, any other has", () => {
  const random = new Random(SEED);
  const desk = new Desk(a, b);
  for (let n = 0; n < 5_000; n++) {
    happens(desk, random);
    for (const { by, lapsesAt } of desk.state.reserved.values())
      expect(lapsesAt !== undefined || desk.state.isListed(by), `seed ${SEED}`).toBe(true);
  }
});

test("a slice has at most 2,000 changes and 1 MiB of JSON", () => {
  const short = new Desk(a);
  for (let n = 0; n < 5_000; n++) short.begins(a, `k${n}`, `${n}`);
  expect([...snapshotOf(short.state)].map((slice) => slice.length)).toEqual([2_000, 2_000, 1_001]);
  const long = new Desk(a);
  for (let n = 0; n < 5_000; n++) long.reserves(a, `${n}"`.padEnd(255, '"'), `${n}`.padEnd(255, "\\"));
  const bytes = [...snapshotOf(long.state)].map((slice) => Buffer.byteLength(JSON.stringify(slice)));
  expect(bytes.length).toBeGreaterThan(2);
  expect(Math.max(...bytes)).toBeLessThan(2 ** 20);
});

test("nothing at all is no slice", () => {
  expect([...snapshotOf(new CoordinatorState(REGRANT_MS))]).toEqual([]);
});

test("what ended first is forgotten first, also where a snapshot has mixed the order", () => {
  const desk = new Desk(a);
  desk.journal.push({ c: "ended", id: "late", hop: 0, at: desk.now, buried: false });
  desk.journal.push({ c: "ended", id: "early", hop: 0, at: desk.now - 3_000_000, buried: false });
  desk.elect();
  desk.passes(660_000);
  expect([...desk.state.ended.keys()]).toEqual(["late"]);
});
