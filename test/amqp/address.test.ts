/**
 * Where the broker is: asked of the system each time, and not waited for when an address is known that worked.
 *
 * The look-up is a fake that answers when the test says so.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { Addresses } from "../../src/amqp/address.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";

type Answer = (error: Error | null, address?: unknown, family?: number) => void;

let clock: VirtualClock;
let asked: { readonly host: string; readonly answer: Answer }[];
let addresses: Addresses;

beforeEach(() => {
  clock = new VirtualClock();
  asked = [];
  const system = (host: string, _options: unknown, answer: Answer) => void asked.push({ host, answer });
  addresses = new Addresses(clock, system as unknown as ConstructorParameters<typeof Addresses>[1]);
});

/** What `net.connect` would be told; each look-up with its answers. */
function lookUp(all = false): unknown[][] {
  const answers: unknown[][] = [];
  addresses.lookup("mq", { all }, (...answer: unknown[]) => void answers.push(answer));
  return answers;
}

describe("with no address known", () => {
  test("the system's answer is waited for, however long", async () => {
    const answers = lookUp();
    await clock.advance(60_000);
    expect(answers).toEqual([]);
    asked[0]?.answer(null, "10.0.0.1", 4);
    expect(answers).toEqual([[null, "10.0.0.1", 4]]);
    expect(clock.pending).toBe(0);
  });

  test("an error is an error", () => {
    const answers = lookUp();
    const error = new Error("getaddrinfo ENOTFOUND mq");
    asked[0]?.answer(error);
    expect(answers).toEqual([[error, undefined, undefined]]);
  });

  test("a connection without an address teaches nothing", async () => {
    addresses.worked(undefined);
    const answers = lookUp();
    await clock.advance(5_000);
    expect(answers).toEqual([]);
  });
});

describe("with an address that worked", () => {
  beforeEach(() => addresses.worked("10.0.0.1"));

  test("the system is asked first: a broker may have moved", () => {
    const answers = lookUp();
    expect(asked.map(({ host }) => host)).toEqual(["mq"]);
    asked[0]?.answer(null, "10.0.0.2", 4);
    expect(answers).toEqual([[null, "10.0.0.2", 4]]);
    expect(clock.pending).toBe(0);
  });

  test("an answer that takes a second is not waited for, and ignored when it comes", async () => {
    const answers = lookUp();
    await clock.advance(999);
    expect(answers).toEqual([]);
    await clock.advance(1);
    expect(answers).toEqual([[null, "10.0.0.1", 4]]);
    asked[0]?.answer(null, "10.0.0.2", 4);
    asked[0]?.answer(new Error("too late"));
    expect(answers).toHaveLength(1);
  });

  test("all addresses are this one, when all are asked for", async () => {
    const answers = lookUp(true);
    await clock.advance(1_000);
    expect(answers).toEqual([[null, [{ address: "10.0.0.1", family: 4 }], undefined]]);
  });

  test("the family is the address's own", async () => {
    addresses.worked("2001:db8::7");
    const answers = lookUp();
    await clock.advance(1_000);
    expect(answers).toEqual([[null, "2001:db8::7", 6]]);
  });

  test("the last that worked counts", async () => {
    addresses.worked("10.0.0.3");
    addresses.worked(undefined);
    const answers = lookUp();
    await clock.advance(1_000);
    expect(answers).toEqual([[null, "10.0.0.3", 4]]);
  });

  test("an error that comes in time is an error", () => {
    const answers = lookUp();
    const error = new Error("getaddrinfo EAI_AGAIN mq");
    asked[0]?.answer(error);
    expect(answers).toEqual([[error, undefined, undefined]]);
  });

  test("look-ups do not disturb each other", async () => {
    const first = lookUp();
    await clock.advance(600);
    const second = lookUp();
    await clock.advance(400);
    expect([first.length, second.length]).toEqual([1, 0]);
    asked[1]?.answer(null, "10.0.0.9", 4);
    expect(second).toEqual([[null, "10.0.0.9", 4]]);
  });
});
