/**
 * What the conformance suite needs around a broker: opening it, collecting deliveries, waiting for facts.
 *
 * Owns nothing of the contract. Assumes that nothing is immediate: every wait is for a delivery, an event or
 * a fact with a deadline, so that the same suite can run against a broker on the other side of a network.
 */
import { test } from "vitest";
import type { Broker, BrokerEvents, Delivery, QueueRef, Subscription } from "../../src/broker/contract.ts";
import { Envelope, type EnvelopeFields } from "../../src/jobs/envelope.ts";
import type { BuriedRecord } from "../../src/jobs/failure.ts";

/** One broker under test, not yet opened. */
export interface Subject {
  readonly broker: Broker;
  /** Durable brokers: another broker on the same store; the first must be closed. */
  readonly reopen?: () => Broker;
  dispose(): Promise<void>;
}

export type Make = () => Promise<Subject>;

/**
 * What a broker can do beyond what all of them can. Where one cannot, it must say so by a typed error, which is tested
 * in the place of the thing itself.
 */
export interface Abilities {
  readonly durable: boolean;
  /** Ids and queue keys are unique; a job that waits can be found, cancelled and counted by its id. */
  readonly index: boolean;
  /** The finest delay it keeps. */
  readonly tickMs: number;
}

export const ALL: Abilities = { durable: true, index: true, tickMs: 200 };

export const P = "shop";
export const Q: QueueRef = { partition: P, queue: "mail" };
export const OTHER: QueueRef = { partition: P, queue: "other" };

let serial = 0;

export function job(fields: Partial<EnvelopeFields> = {}): Envelope {
  serial += 1;
  return new Envelope({
    id: `j${Date.now().toString(36)}-${String(serial).padStart(8, "0")}`,
    job: "send",
    partition: P,
    queue: Q.queue,
    argsText: JSON.stringify({ n: serial, text: "Grüße, \u2028 and \u0000 too" }),
    enqueuedAt: 1_700_000_000_000,
    ...fields,
  });
}

export const jobs = (count: number, fields: Partial<EnvelopeFields> = {}): Envelope[] =>
  Array.from({ length: count }, () => job(fields));

export const record = (message = "no more"): BuriedRecord => ({
  reason: "failed",
  buriedAt: 1_700_000_000_123,
  error: { kind: "error", name: "Error", message, stack: "at send", final: false },
});

/** Everything one subscription was given, in order. */
export class Inbox {
  readonly all: Delivery[] = [];
  #taken = 0;
  #waiting: { count: number; resolve: () => void }[] = [];

  readonly deliver = (delivery: Delivery): void => {
    this.all.push(delivery);
    this.#waiting = this.#waiting.filter((one) => {
      if (one.count > this.all.length) return true;
      one.resolve();
      return false;
    });
  };

  ids(): string[] {
    return this.all.map((delivery) => delivery.envelope.id);
  }

  /** The next delivery that was not yet taken. */
  async next(): Promise<Delivery> {
    await this.count(this.#taken + 1);
    const delivery = this.all[this.#taken++];
    if (delivery === undefined) throw new Error("no delivery");
    return delivery;
  }

  async take(count: number): Promise<Delivery[]> {
    const taken: Delivery[] = [];
    for (let i = 0; i < count; i++) taken.push(await this.next());
    return taken;
  }

  /** Until there were so many in all. */
  count(count: number): Promise<void> {
    if (this.all.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ count, resolve }));
  }
}

/** What the broker told whoever opened it. */
export class Heard implements BrokerEvents {
  readonly said: string[] = [];
  readonly burials: { partition: string; queue: string; id: string; record: BuriedRecord }[] = [];
  readonly errors: Error[] = [];
  connected(): void {
    this.said.push("connected");
  }
  lost(error: Error): void {
    this.said.push("lost");
    this.errors.push(error);
  }
  blocked(): void {
    this.said.push("blocked");
  }
  unblocked(): void {
    this.said.push("unblocked");
  }
  buried(partition: string, queue: string, id: string, record: BuriedRecord): void {
    this.said.push("buried");
    this.burials.push({ partition, queue, id, record });
  }
  purged(_queue: unknown, id: string): void {
    this.said.push(`${id} purged`);
  }
  node(name: string, state: "up" | "late" | "gone"): void {
    this.said.push(`${name} ${state}`);
  }
  mixed(name: string, difference: string): void {
    this.said.push(`${name}: ${difference}`);
  }
  paused({ queue }: { readonly queue: string }, paused: boolean): void {
    this.said.push(`${queue} ${paused ? "paused" : "resumed"}`);
  }
  keysEnd(): void {
    this.said.push("keys end");
  }
  released(_partition: string, kind: string, key: string): void {
    this.said.push(`${kind} ${key} released`);
  }
}

/** An opened broker with the two queues of this suite, and what it takes to end it. */
export interface Bench {
  readonly broker: Broker;
  readonly heard: Heard;
  readonly subject: Subject;
}

export async function withBroker(make: Make, body: (bench: Bench) => Promise<void>): Promise<void> {
  const subject = await make();
  const heard = new Heard();
  try {
    await subject.broker.open(heard);
    await subject.broker.declare([Q, OTHER]);
    await body({ broker: subject.broker, heard, subject });
  } finally {
    await subject.broker.close();
    await subject.dispose();
  }
}

/** Subscribes and collects. */
export function collect(
  broker: Broker,
  limit: number,
  queue = Q,
): { inbox: Inbox; subscription: Subscription } {
  const inbox = new Inbox();
  return { inbox, subscription: broker.subscribe(queue, limit, inbox.deliver) };
}

/** Until a job that is published now has gone all the way round: what was to be handed out before it, was. */
export async function barrier(broker: Broker): Promise<void> {
  const { inbox, subscription } = collect(broker, 1, OTHER);
  const sentinel = job({ queue: OTHER.queue });
  await broker.publish(sentinel);
  const delivery = await inbox.next();
  await broker.discard(delivery);
  await subscription.cancel();
}

/**
 * For facts that have no event: asks again until it holds; fails after 30 s with what it last was. Long, since a broker
 * on a busy machine takes its time; what is held to a time is measured by itself.
 */
export async function until<T>(read: () => T | Promise<T>, holds: (value: T) => boolean): Promise<T> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const value = await read();
    if (holds(value)) return value;
    if (Date.now() > deadline) throw new Error(`still not so after 30 s: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** The counts of a queue once they are what is expected; what a broker cannot tell apart (`scheduled`) is passed over. */
export function counted(broker: Broker, expected: Partial<Record<string, number | boolean>>, queue = Q) {
  return until(
    () => ({ ...broker.counts(queue) }) as Record<string, unknown>,
    (counts) =>
      Object.entries(expected).every(
        ([name, value]) => counts[name] === value || (name === "scheduled" && counts[name] === undefined),
      ),
  );
}

/** A test that only some brokers are put to; `limits.ts` has what the others must answer. */
export function where(able: boolean): (name: string, body: () => Promise<void>) => void {
  return able ? (name, body) => void test(name, body) : () => undefined;
}
