/**
 * One candidacy on a channel that does what a broker does once in a thousand fail-overs.
 */
import { EventEmitter } from "node:events";
import type { ConfirmChannel, ConsumeMessage, Options } from "amqplib";
import { beforeEach, expect, test } from "vitest";
import { changesBytes, NOTHING, readRecord, sliceBytes } from "../../../src/amqp/coordinator/records.ts";
import { Seat } from "../../../src/amqp/coordinator/seat.ts";
import { Names } from "../../../src/amqp/names.ts";
import { VirtualClock } from "../../../src/testing/index.ts";
import { apply, set } from "./history.ts";

interface Published {
  readonly key: string;
  readonly bytes: Buffer;
  readonly options: Options.Publish;
  readonly confirm: (error: Error | null) => void;
}

/** A channel without a broker: what is published is kept, what is delivered is delivered by the test. */
class Wire extends EventEmitter {
  readonly published: Published[] = [];
  readonly acked: number[] = [];
  readonly bound: string[] = [];
  isClosed = false;
  readonly #consumers = new Map<string, (message: ConsumeMessage | null) => void>();
  #tag = 0;

  async assertExchange(): Promise<void> {}
  async assertQueue(name: string): Promise<{ queue: string }> {
    return { queue: name === "" ? CALLS : name };
  }
  async bindQueue(queue: string, _exchange: string, key: string): Promise<void> {
    this.bound.push(`${queue} by ${key}`);
  }
  async prefetch(): Promise<void> {}
  async consume(queue: string, heard: (message: ConsumeMessage | null) => void): Promise<void> {
    this.#consumers.set(queue, heard);
  }
  async close(): Promise<void> {
    this.isClosed = true;
    this.emit("close");
  }
  ack({ fields }: ConsumeMessage): void {
    this.acked.push(fields.deliveryTag);
  }
  publish(
    _exchange: string,
    key: string,
    bytes: Buffer,
    options: Options.Publish,
    confirm: (error: Error | null) => void = () => {},
  ): boolean {
    this.published.push({ key, bytes, options, confirm });
    return true;
  }

  hears(queue: string): boolean {
    return this.#consumers.has(queue);
  }
  deliver(queue: string, content: Buffer | null, properties: object = {}): void {
    const message = {
      content,
      fields: { deliveryTag: ++this.#tag },
      properties,
    } as unknown as ConsumeMessage;
    this.#consumers.get(queue)?.(content === null ? null : message);
  }
}

const names = new Names("test");
const [JOURNAL, CALLS] = [names.journal("p"), "amq.gen-calls"];
const slice = (epoch: number) =>
  sliceBytes({ epoch, writer: "w" }, 1, { from: 1, last: true, base: NOTHING }, []);
const change = (epoch: number, seq: number) =>
  changesBytes({ epoch, writer: "w" }, seq, [JSON.stringify(set(`k${seq}`, "x"))]);

let clock: VirtualClock;
let wires: Wire[];
let told: string[];
let state: Map<string, string>;
let blockedBy: string | undefined;
let seat: Seat;

beforeEach(async () => {
  clock = new VirtualClock();
  [wires, told, state, blockedBy] = [[], [], new Map(), undefined];
  seat = new Seat({
    link: {
      isUp: true,
      get blockedBy() {
        return blockedBy;
      },
      answered: (call) => call,
      confirmChannel: async () => {
        const wire = new Wire();
        wires.push(wire);
        return wire as unknown as ConfirmChannel;
      },
    },
    clock,
    names,
    partition: "p",
    broker: "RabbitMQ",
    graceMs: 2_000,
    owner: {
      knownEpoch: () => 0,
      rebuild: (changes) => {
        for (const one of changes) apply(state, one);
      },
      snapshot: () => [],
      elected: (epoch) => told.push(`elected ${epoch}`),
      deposed: (reason) => told.push(`deposed: ${reason.message}`),
      call: (body) => told.push(`call ${JSON.stringify(body)}`),
    },
    warn: (text) => told.push(`warning: ${text}`),
  });
  seat.linkUp();
  await clock.settle();
});

function wire(at = wires.length - 1): Wire {
  const found = wires[at];
  if (found === undefined) throw new Error("no channel was made");
  return found;
}

/** What it published is confirmed, and comes back when it is active. */
async function flow(on: Wire): Promise<void> {
  while (on.published.length > 0) {
    for (const { key, bytes, options, confirm } of on.published.splice(0)) {
      confirm(null);
      on.deliver(key, bytes, options);
    }
    await clock.settle();
  }
}

test("who is not active publishes one marker, hears nothing and does nothing", async () => {
  await clock.advance(3_600_000);
  expect(wire().published.map(({ bytes }) => readRecord(bytes)?.kind)).toEqual(["marker"]);
  expect(wires).toHaveLength(1);
  expect(told).toEqual([]);
  expect(seat.state).toBe("standing");
});

test("the marker of a candidate ends no collection: it may stand in the middle of what the dead one held", async () => {
  const [hello] = wire().published.splice(0);
  wire().deliver(JOURNAL, slice(1));
  wire().deliver(JOURNAL, hello?.bytes ?? null);
  await clock.settle();
  wire().deliver(JOURNAL, change(1, 2));
  await flow(wire());
  expect(told).toEqual(["elected 2"]);
  expect([...state.keys()]).toEqual(["k2"]);
});

test("calls are consumed once it is elected, and all that is older is acknowledged then, not before", async () => {
  wire().deliver(JOURNAL, slice(1));
  wire().deliver(JOURNAL, change(1, 2));
  const [hello, marker] = wire().published.splice(0);
  wire().deliver(JOURNAL, hello?.bytes ?? null);
  wire().deliver(JOURNAL, marker?.bytes ?? null);
  await clock.settle();
  expect(wire().published).toHaveLength(1); // its snapshot
  expect(wire().acked).toEqual([]);
  expect(wire().hears(CALLS)).toBe(false);
  await flow(wire());
  expect(wire().acked).toEqual([4]); // multiple
  expect(wire().bound).toEqual([`${CALLS} by ${names.coordinator("p")}`]);
  expect(wire().hears(CALLS)).toBe(true);
  wire().deliver(CALLS, Buffer.from("{}"));
  expect(told).toEqual(["elected 2", "call {}"]);
});

test("a fresh journal has its grace before anything is relied on in it", async () => {
  await flow(wire());
  await clock.advance(1_000);
  await flow(wire());
  expect(told).toEqual([]);
  await clock.advance(1_000);
  await flow(wire());
  expect(told).toEqual(["elected 1"]);
});

test("a journal whose marker does not come back is somebody else's by now: it stands again", async () => {
  wire().deliver(JOURNAL, slice(1));
  blockedBy = "memory"; // an alarm is no reason
  await clock.advance(45_000);
  expect(wires).toHaveLength(1);
  blockedBy = undefined;
  await clock.advance(31_000);
  expect(wires).toHaveLength(2);
  expect(wire(0).isClosed).toBe(true);
  expect(told.join()).toMatch(/did not come within 30 s/);
});

test("a journal that comes twice is begun anew, on another channel", async () => {
  wire().deliver(JOURNAL, slice(1));
  wire().deliver(JOURNAL, slice(1));
  await clock.advance(100);
  expect(wires).toHaveLength(2);
  wire().deliver(JOURNAL, slice(1));
  await flow(wire());
  expect(told.at(-1)).toBe("elected 2");
});

test("own records that come again depose it, and what was on the way is not stored", async () => {
  wire().deliver(JOURNAL, slice(1));
  await flow(wire());
  const stored = seat.append([set("k", "x")]);
  const [record] = wire().published.splice(0);
  record?.confirm(null);
  wire().deliver(JOURNAL, record?.bytes ?? null, { ...record?.options, messageId: "1" });
  await expect(stored).rejects.toThrow("out of order");
  expect(told).toEqual(["elected 2", "deposed: the journal's records came back out of order"]);
  expect(wire().isClosed).toBe(true);
});

test("a record that is refused deposes it, and another channel is tried", async () => {
  wire().deliver(JOURNAL, slice(1));
  await flow(wire());
  const stored = seat.append([set("k", "x")]);
  wire().published.splice(0)[0]?.confirm(new Error("message nacked"));
  await expect(stored).rejects.toThrow("took no record: message nacked");
  await clock.advance(100);
  expect(wires).toHaveLength(2);
});

test("records of others that come late are acknowledged, and change nothing", async () => {
  wire().deliver(JOURNAL, slice(1));
  await flow(wire());
  const before = wire().acked.length;
  wire().deliver(JOURNAL, change(1, 9));
  wire().deliver(JOURNAL, slice(7));
  await clock.settle();
  expect(wire().acked.length).toBe(before + 2);
  expect(told).toEqual(["elected 2"]);
});

test("it waits longer from try to try, and not at all when it was stopped", async () => {
  for (const count of [2, 3, 4]) {
    wire().deliver(JOURNAL, null);
    await clock.advance(100 * 2 ** (count - 2));
    expect(wires).toHaveLength(count);
  }
  wire().deliver(JOURNAL, null);
  await seat.stop();
  await seat.stop();
  seat.linkUp();
  await clock.advance(60_000);
  expect(wires).toHaveLength(4);
  expect(told.filter((text) => text.startsWith("warning"))).toHaveLength(1);
});
