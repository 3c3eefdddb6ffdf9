/**
 * Calls from node to node: one entry a node, in order of their names, in time, whatever the others do.
 *
 * The other nodes are a list; what is sent is kept, and the test answers for them.
 */
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { type CallBody, Calls } from "../../src/amqp/calls.ts";
import type { NodeAnswer } from "../../src/broker/contract.ts";
import { BrokerUnreachable, UnknownQueue } from "../../src/broker/errors.ts";
import { CallTimeout } from "../../src/kernel/errors.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";

const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 2 ** 31);
const RUNS = process.env.SPILLWAY_LONG === undefined ? 1_000 : 50_000;

let clock: VirtualClock;
let others: string[];
let sent: CallBody[];
let sends: boolean;
let calls: Calls;

function made(): Calls {
  return new Calls({
    clock,
    node: "me",
    broker: "RabbitMQ at here",
    others: () => others,
    send: (_command, body) => {
      if (sends) sent.push(body);
      return sends;
    },
  });
}

beforeEach(() => {
  clock = new VirtualClock();
  others = ["a", "z"];
  sent = [];
  sends = true;
  calls = made();
  calls.serve((command, args) => Promise.resolve({ command, args }));
});

/** What a call has come to, once it has. */
function outcome(call: Promise<readonly NodeAnswer[]>): { answers: readonly NodeAnswer[] | undefined } {
  const told: { answers: readonly NodeAnswer[] | undefined } = { answers: undefined };
  void call.then((answers) => {
    told.answers = answers;
  });
  return told;
}

const callOf = (at: number) => sent[at]?.call ?? "";

describe("a call", () => {
  test("has one entry a node, this one included, by name", async () => {
    const told = outcome(calls.call("info.ping", { x: 1 }, 1_000));
    expect(sent).toMatchObject([{ command: "info.ping", args: { x: 1 } }]);
    calls.heardAnswer("z", { call: callOf(0), ok: true, value: "from z" });
    calls.heardAnswer("a", { call: callOf(0), ok: true, value: "from a" });
    await clock.settle();
    expect(told.answers).toEqual([
      { node: "a", ok: true, value: "from a" },
      { node: "me", ok: true, value: { command: "info.ping", args: { x: 1 } } },
      { node: "z", ok: true, value: "from z" },
    ]);
    expect(clock.pending).toBe(0);
  });

  test("does not wait for whoever is late: an error in its place", async () => {
    const told = outcome(calls.call("info.ping", null, 1_000));
    calls.heardAnswer("a", { call: callOf(0), ok: true, value: 1 });
    await clock.advance(999);
    expect(told.answers).toBeUndefined();
    await clock.advance(1);
    expect(told.answers?.map(({ node, ok }) => [node, ok])).toEqual([
      ["a", true],
      ["me", true],
      ["z", false],
    ]);
    expect(told.answers?.[2]).toMatchObject({ error: expect.any(CallTimeout) });
    expect(told.answers?.[2]).toMatchObject({
      error: { message: expect.stringContaining("node z did not answer within 1000 ms") },
    });
  });

  test("takes the first answer of a node, and none that comes after its end", async () => {
    const told = outcome(calls.call("info.ping", null, 1_000));
    calls.heardAnswer("a", { call: callOf(0), ok: true, value: 1 });
    calls.heardAnswer("a", { call: callOf(0), ok: true, value: 2 });
    await clock.advance(1_000);
    calls.heardAnswer("z", { call: callOf(0), ok: true, value: 3 });
    expect(told.answers?.[0]).toMatchObject({ value: 1 });
    expect(told.answers?.[2]).toMatchObject({ ok: false });
  });

  test("does not wait for whoever leaves", async () => {
    const told = outcome(calls.call("info.ping", null, 1_000));
    calls.gone("a");
    calls.gone("nobody");
    calls.heardAnswer("z", { call: callOf(0), ok: true, value: 1 });
    await clock.settle();
    expect(told.answers?.[0]).toMatchObject({
      node: "a",
      ok: false,
      error: { message: "node a left before it answered" },
    });
  });

  test("asks who is there now: whoever comes meanwhile has no entry", async () => {
    const told = outcome(calls.call("info.ping", null, 1_000));
    others.push("new");
    calls.heardAnswer("new", { call: callOf(0), ok: true, value: 1 });
    await clock.advance(1_000);
    expect(told.answers?.map(({ node }) => node)).toEqual(["a", "me", "z"]);
  });

  test("that cannot be sent is an error for all others at once", async () => {
    sends = false;
    const told = outcome(calls.call("info.ping", null, 60_000));
    await clock.settle();
    expect(told.answers?.map(({ node, ok }) => [node, ok])).toEqual([
      ["a", false],
      ["me", true],
      ["z", false],
    ]);
    expect(told.answers?.[0]).toMatchObject({ error: expect.any(BrokerUnreachable) });
    expect(clock.pending).toBe(0);
  });

  test("on a node that is alone is its own answer", async () => {
    others = [];
    const told = outcome(calls.call("info.ping", null, 1_000));
    await clock.settle();
    expect(told.answers?.map(({ node }) => node)).toEqual(["me"]);
    expect(sent).toEqual([]);
  });

  test("on a node that answers nothing yet has the others' entries, or none", async () => {
    calls = made();
    const told = outcome(calls.call("info.ping", null, 1_000));
    calls.gone("a");
    calls.gone("z");
    others = [];
    const alone = outcome(calls.call("info.ping", null, 1_000));
    await clock.settle();
    expect(told.answers?.map(({ node }) => node)).toEqual(["a", "z"]);
    expect(alone.answers).toEqual([]);
  });

  test("is not answered by what was meant for another one, nor for the process before", async () => {
    const first = outcome(calls.call("info.one", null, 1_000));
    const second = outcome(calls.call("info.two", null, 1_000));
    expect(callOf(0)).not.toBe(callOf(1));
    for (const name of ["a", "z"]) calls.heardAnswer(name, { call: callOf(1), ok: true, value: 2 });
    await clock.settle();
    expect(first.answers).toBeUndefined();
    expect(second.answers?.[0]).toMatchObject({ value: 2 });
    void made().call("info.one", null, 1_000);
    expect(new Set(sent.map(({ call }) => call)).size).toBe(3);
  });
});

describe("an error", () => {
  test("travels by name, code and message", async () => {
    const other = made();
    other.serve(() => Promise.reject(new UnknownQueue("p", "q")));
    const told = outcome(calls.call("control.pause", null, 1_000));
    const answer = JSON.parse(JSON.stringify(await other.run("control.pause", null, callOf(0))));
    calls.heardAnswer("a", answer);
    await clock.advance(1_000);
    const [first] = told.answers ?? [];
    if (first === undefined || first.ok) throw new Error("it was to be an error");
    expect(first.error).toBeInstanceOf(Error);
    expect(first.error).toMatchObject({
      name: "UnknownQueue",
      code: "UnknownQueue",
      message: expect.stringContaining('partition "p" has no queue "q"'),
    });
  });

  test.each([
    ["a text", "text", "a thrown value that is no Error: text"],
    ["nothing", undefined, "a thrown value that is no Error: undefined"],
    ["an object without a prototype", Object.create(null), "a thrown value that is no Error: object"],
    ["an error", new TypeError("no"), "no"],
  ])("whatever is thrown: %s", async (_what, thrown, told) => {
    calls.serve(() => Promise.reject(thrown));
    expect(await calls.run("x", null, "c")).toMatchObject({ call: "c", ok: false, error: { message: told } });
  });

  test("of a command that throws before it promises is one too", async () => {
    calls.serve(() => {
      throw new Error("at once");
    });
    expect(await calls.run("x", null)).toMatchObject({ ok: false, error: { message: "at once" } });
  });

  test("is what a node says that answers nothing yet", async () => {
    expect(await made().run("x", null)).toMatchObject({
      ok: false,
      error: { message: "this node answers nothing yet" },
    });
  });
});

test(`an answer may be anything: the call ends in time, with one entry a node (seed ${SEED})`, async () => {
  const error = fc.oneof(
    fc.anything(),
    fc.record({ name: fc.anything(), code: fc.anything(), message: fc.anything() }),
  );
  const answer = fc.oneof(fc.anything(), fc.record({ ok: fc.anything(), value: fc.anything(), error }));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom("a", "z", "x"), answer)), async (answers) => {
      sent = [];
      const told = outcome(calls.call("info.ping", null, 1_000));
      for (const [from, body] of answers) {
        const text = jsonOf(typeof body === "object" && body !== null ? { ...body, call: callOf(0) } : body);
        calls.heardAnswer(from, text === undefined ? null : JSON.parse(text));
      }
      await clock.advance(1_000);
      expect(told.answers?.map(({ node }) => node)).toEqual(["a", "me", "z"]);
    }),
    { numRuns: RUNS, seed: SEED },
  );
});

/** As it would travel. */
function jsonOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}
