/**
 * The ledger of acknowledgements against a broker that keeps RabbitMQ's rules: it closes the channel over a tag that
 * was acknowledged or handed back before, and takes a `multiple` for everything below it.
 *
 * Whatever the order, each settled tag is told once, and nothing open with it. SPILLWAY_SEED repeats a run.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { AckLedger, type Acks } from "../../src/amqp/ledger.ts";

const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 2 ** 31);
const RUNS = process.env.SPILLWAY_LONG === undefined ? 2_000 : 100_000;

/** What the broker knows of each tag: it has no word for `settled`, that is the node's alone. */
class Channel {
  readonly ledger = new AckLedger();
  readonly states: ("open" | "settled" | "gone")[] = [];
  acks = 0;

  deliver(count = 1): void {
    for (let left = count; left > 0; left--) this.ledger.delivered(this.states.push("open"));
  }

  settle(tag: number): void {
    this.ledger.settled(tag);
    if (this.states[tag - 1] === "open") this.states[tag - 1] = "settled";
  }

  giveBack(tag: number): void {
    this.ledger.returned(tag);
    if (this.states[tag - 1] === "open") this.states[tag - 1] = "gone";
  }

  take(eager: boolean): Acks {
    const acks = this.ledger.take(eager);
    if (acks.upTo > 0) this.#acknowledge(acks.upTo, true);
    for (const tag of acks.singles) this.#acknowledge(tag, false);
    this.#check();
    return acks;
  }

  count(state: "open" | "settled"): number {
    return this.states.filter((one) => one === state).length;
  }

  #acknowledge(tag: number, multiple: boolean): void {
    this.acks += 1;
    if (this.states[tag - 1] === "gone")
      throw new Error(`unknown delivery tag ${tag}: the channel is closed`);
    for (let at = multiple ? 1 : tag; at <= tag; at++) {
      if (this.states[at - 1] === "open")
        throw new Error(`tag ${at} is acknowledged by ${tag}, and still open`);
      this.states[at - 1] = "gone";
    }
  }

  #check(): void {
    expect(this.ledger.open).toBe(this.count("open"));
    expect(this.ledger.pending).toBe(this.count("settled"));
  }
}

type Step = { readonly what: "deliver" | "settle" | "return" | "take" | "takeEager"; readonly at: number };

const script: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    what: fc.constantFrom<Step["what"]>(
      "deliver",
      "deliver",
      "settle",
      "settle",
      "settle",
      "return",
      "take",
      "takeEager",
    ),
    at: fc.nat({ max: 200 }),
  }),
  { maxLength: 120 },
);

function play(channel: Channel, steps: readonly Step[]): void {
  for (const { what, at } of steps) {
    if (what === "deliver") channel.deliver(1 + (at % 5));
    else if (what === "take") channel.take(false);
    else if (what === "takeEager") channel.take(true);
    else if (channel.states.length > 0) {
      const tag = 1 + (at % channel.states.length);
      if (what === "settle") channel.settle(tag);
      else channel.giveBack(tag);
    }
  }
}

test(`whatever the order, each settled tag is acknowledged once and nothing open with it (seed ${SEED})`, () => {
  fc.assert(
    fc.property(script, (steps) => {
      const channel = new Channel();
      play(channel, steps);
      for (let tag = 1; tag <= channel.states.length; tag++) channel.settle(tag);
      channel.take(false);
      channel.take(false);
      expect(channel.states.every((state) => state === "gone")).toBe(true);
    }),
    { numRuns: RUNS, seed: SEED },
  );
});

test(`two looks tell all that is settled, though gaps stay open (seed ${SEED})`, () => {
  fc.assert(
    fc.property(script, (steps) => {
      const channel = new Channel();
      play(channel, steps);
      channel.take(false);
      channel.take(false);
      expect(channel.count("settled")).toBe(0);
    }),
    { numRuns: RUNS, seed: SEED },
  );
});

test(`an eager look tells all of it at once (seed ${SEED})`, () => {
  fc.assert(
    fc.property(script, (steps) => {
      const channel = new Channel();
      play(channel, steps);
      channel.take(true);
      expect(channel.count("settled")).toBe(0);
    }),
    { numRuns: RUNS, seed: SEED },
  );
});

test("what is settled in order is one acknowledgement a look", () => {
  const channel = new Channel();
  channel.deliver(1_000);
  for (let tag = 1; tag <= 1_000; tag++) {
    channel.settle(tag);
    if (tag % 50 === 0) expect(channel.take(false)).toEqual({ upTo: tag, singles: [] });
  }
  expect(channel.acks).toBe(20);
});

test("a gap that closes before the second look costs no acknowledgement of its own", () => {
  const channel = new Channel();
  channel.deliver(4);
  channel.settle(2);
  channel.settle(4);
  expect(channel.take(false)).toEqual({ upTo: 0, singles: [] });
  channel.settle(1);
  channel.settle(3);
  expect(channel.take(false)).toEqual({ upTo: 4, singles: [] });
});

test("above a gap that stays, tags are told one by one at the second look", () => {
  const channel = new Channel();
  channel.deliver(4);
  channel.settle(2);
  channel.settle(4);
  channel.take(false);
  expect(channel.take(false)).toEqual({ upTo: 0, singles: [2, 4] });
  channel.settle(1);
  channel.settle(3);
  expect(channel.take(false)).toEqual({ upTo: 3, singles: [] });
});

test("a group never ends at a tag that was handed back", () => {
  const channel = new Channel();
  channel.deliver(3);
  channel.settle(1);
  channel.settle(2);
  channel.giveBack(3);
  expect(channel.take(false)).toEqual({ upTo: 2, singles: [] });
});

test("nothing is said when there is nothing to say", () => {
  const channel = new Channel();
  expect(channel.take(true)).toEqual({ upTo: 0, singles: [] });
  channel.deliver(2);
  channel.giveBack(1);
  expect(channel.take(true)).toEqual({ upTo: 0, singles: [] });
  expect(channel.ledger.open).toBe(1);
});

test("a tag that is settled twice, or that never was, changes nothing", () => {
  const channel = new Channel();
  channel.deliver(2);
  channel.settle(1);
  channel.settle(1);
  channel.ledger.settled(17);
  channel.ledger.returned(17);
  expect(channel.ledger.pending).toBe(1);
  expect(channel.take(true)).toEqual({ upTo: 1, singles: [] });
  channel.settle(1);
  expect(channel.take(true)).toEqual({ upTo: 0, singles: [] });
});

test("a million deliveries that end a little out of order are one acknowledgement a look", () => {
  const ledger = new AckLedger();
  let acks = 0;
  for (let tag = 1; tag <= 1_000_000; tag++) {
    ledger.delivered(tag);
    if (tag > 100) ledger.settled(tag - 100 + (tag % 2 === 0 ? -1 : 1));
    if (ledger.pending < 50) continue;
    const { upTo, singles } = ledger.take(false);
    acks += (upTo > 0 ? 1 : 0) + singles.length;
  }
  expect(acks).toBeLessThan(30_000);
});
