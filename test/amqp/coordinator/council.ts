/**
 * Seats of one partition on a real broker, each with a connection of its own, and what their owners hear.
 *
 * Owns a prefix, the links and the queues, and takes all of it away behind the test. An owner keeps keys, as a coordinator
 * does: it applies a change as it appends it.
 */
import { EventEmitter, once } from "node:events";
import type { Socket } from "node:net";
import { type ConfirmChannel, connect } from "amqplib";
import { onTestFinished } from "vitest";
import { Addresses } from "../../../src/amqp/address.ts";
import type { Change } from "../../../src/amqp/coordinator/requests.ts";
import { Seat, type SeatOwner, type SeatParts } from "../../../src/amqp/coordinator/seat.ts";
import { Link } from "../../../src/amqp/link.ts";
import { Names } from "../../../src/amqp/names.ts";
import { checkRabbit } from "../../../src/amqp/options.ts";
import { systemClock } from "../../../src/kernel/clock.ts";
import { until } from "../../conformance/harness.ts";
import { cleanUp, freshPrefix } from "../support/broker.ts";
import { apply, set } from "./history.ts";

export const P = "p";

interface Call {
  readonly body: unknown;
  readonly done: () => void;
}

export class TestSeat implements SeatOwner {
  readonly link: Link;
  readonly seat: Seat;
  readonly state = new Map<string, string>();
  readonly epochs: number[] = [];
  readonly reasons: string[] = [];
  readonly warnings: string[] = [];
  readonly calls: Call[] = [];
  known = 0;
  /** Of each snapshot's lists. */
  sliceLength = 100;
  readonly #heard = new EventEmitter();
  #channel: ConfirmChannel | undefined;

  constructor(url: string, names: Names, more: Partial<SeatParts>) {
    this.#heard.setMaxListeners(0);
    const settings = checkRabbit({ url });
    const clock = systemClock;
    this.link = new Link({
      settings,
      clock,
      name: "coordinator",
      addresses: new Addresses(clock),
      listener: {
        up: () => this.seat.linkUp(),
        down: (error) => this.seat.linkDown(error),
        notYet: () => {},
        blocked: () => {},
        unblocked: () => {},
      },
    });
    this.seat = new Seat({
      link: this.#watched(),
      clock,
      names,
      partition: P,
      broker: "RabbitMQ",
      graceMs: 0,
      owner: this,
      warn: (text) => this.warnings.push(text),
      ...more,
    });
  }

  #watched(): SeatParts["link"] {
    const { link } = this;
    return {
      get isUp() {
        return link.isUp;
      },
      get blockedBy() {
        return link.blockedBy;
      },
      answered: (call) => link.answered(call),
      confirmChannel: async () => {
        this.#channel = await link.confirmChannel();
        return this.#channel;
      },
    };
  }

  /** As a cable that is pulled: nobody says goodbye. */
  cut(): void {
    const { connection } = this.channel as unknown as { connection: { stream: Socket } };
    connection.stream.destroy(new Error("cut")); // without an error amqplib would notice by its heartbeat
  }

  get channel(): ConfirmChannel {
    if (this.#channel === undefined) throw new Error("it has no channel yet");
    return this.#channel;
  }

  knownEpoch(): number {
    return this.known;
  }

  rebuild(changes: Iterable<Change>): void {
    this.state.clear();
    for (const change of changes) apply(this.state, change);
  }

  *snapshot(): Generator<readonly Change[]> {
    let slice: Change[] = [];
    for (const [key, id] of this.state) {
      if (slice.push(set(key, id)) < this.sliceLength) continue;
      yield slice;
      slice = [];
    }
    yield slice;
  }

  elected(epoch: number): void {
    this.epochs.push(epoch);
    this.#heard.emit("elected");
  }

  deposed(reason: Error): void {
    this.reasons.push(reason.message);
    this.#heard.emit("deposed");
  }

  call(body: unknown, done: () => void): void {
    this.calls.push({ body, done });
    this.#heard.emit("call");
  }

  /** Resolves with its epoch when it is elected. */
  async rules(): Promise<number> {
    while (this.seat.epoch === undefined) await once(this.#heard, "elected");
    return this.seat.epoch;
  }

  /** In line, behind all that stood before. */
  async stands(): Promise<void> {
    await until(
      () => this.seat.state,
      (state) => state === "standing",
    );
  }

  async isDeposed(times = 1): Promise<void> {
    while (this.reasons.length < times) await once(this.#heard, "deposed");
  }

  async called(times = 1): Promise<readonly Call[]> {
    while (this.calls.length < times) await once(this.#heard, "call");
    return this.calls;
  }

  /** Changes that are stored. */
  async put(...pairs: readonly (readonly [key: string, id: string | undefined])[]): Promise<void> {
    const changes = pairs.map(([key, id]) => set(key, id));
    for (const change of changes) apply(this.state, change);
    await this.seat.append(changes);
  }
}

export class Council {
  readonly names = new Names(freshPrefix());
  readonly journal = this.names.journal(P);
  readonly seats: TestSeat[] = [];

  constructor(readonly url: string) {
    onTestFinished(async () => {
      await Promise.all(this.seats.map(({ seat }) => seat.stop()));
      await Promise.all(this.seats.map(({ link }) => link.close()));
      await cleanUp(url, { queues: [this.journal], exchanges: [this.names.system] });
    });
  }

  /** Its connection is there; it stands. */
  async seat(more: Partial<SeatParts> = {}): Promise<TestSeat> {
    const made = new TestSeat(this.url, this.names, more);
    this.seats.push(made);
    await made.link.open();
    return made;
  }

  /** One that is elected, and others that stand behind it. */
  async seated(count: number, more: Partial<SeatParts> = {}): Promise<TestSeat[]> {
    const first = await this.seat(more);
    await first.rules();
    for (let at = 2; at <= count; at++) {
      const next = await this.seat(more);
      await next.stands();
    }
    return [...this.seats];
  }

  /** Published to whoever is elected. */
  async calls(...texts: readonly string[]): Promise<void> {
    const channel = await this.channel();
    for (const text of texts)
      channel.publish(this.names.system, this.names.coordinator(P), Buffer.from(text));
  }

  /** Of somebody else; it ends with the test. */
  async channel(): Promise<ConfirmChannel> {
    const connection = await connect(this.url);
    onTestFinished(() => connection.close());
    return connection.createConfirmChannel();
  }

  /** The one that is elected, or will be. */
  async ruler(): Promise<TestSeat> {
    const first = () => this.seats.find(({ seat }) => seat.epoch !== undefined);
    return first() ?? (await Promise.any(this.seats.map((one) => one.rules().then(() => one))));
  }
}
