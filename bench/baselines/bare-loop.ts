/**
 * The baseline of the broker's rows: what one would write without Spillway. amqplib consumes, Piscina runs, each
 * message is acknowledged by itself; publishes are mandatory, persistent, confirmed.
 *
 * Owns its connection, its pool and its names on the place. Nothing is supervised, retried, counted or told.
 */
import type { ChannelModel, ConfirmChannel, ConsumeMessage } from "amqplib";
import type { QueueType, RabbitPlace } from "../nodes/rabbit-place.ts";
import { type Bench, callers, type Sample, timed } from "../runner/bench.ts";
import { mainThreadUs } from "../runner/machine.ts";
import { loadAmqplib } from "../runner/package.ts";
import { RawPool, runsOfRaw } from "./raw.ts";

export const BARE = "bare loop";
/** Most publishes of a fill that are not confirmed. */
const WINDOW = 1_024;
const OPTIONS = { persistent: true, mandatory: true } as const;

export class BareLoop {
  readonly #bench: Bench;
  readonly #place: RabbitPlace;
  readonly #connection: ChannelModel;
  readonly #publisher: ConfirmChannel;
  readonly #pool: RawPool;
  readonly #body: Buffer;
  readonly #queue: string;
  readonly #exchange: string;
  #consumers = 0;

  private constructor(parts: {
    bench: Bench;
    place: RabbitPlace;
    connection: ChannelModel;
    publisher: ConfirmChannel;
    pool: RawPool;
    body: Buffer;
    queue: string;
    exchange: string;
  }) {
    this.#bench = parts.bench;
    this.#place = parts.place;
    this.#connection = parts.connection;
    this.#publisher = parts.publisher;
    this.#pool = parts.pool;
    this.#body = parts.body;
    this.#queue = parts.queue;
    this.#exchange = parts.exchange;
  }

  /** `body`: the bytes of every message; `worker`: what Piscina runs, of the folder `raw`. */
  static async start(
    bench: Bench,
    place: RabbitPlace,
    type: QueueType,
    body: Buffer,
    worker?: string,
  ): Promise<BareLoop> {
    const { connect } = await loadAmqplib();
    const connection = await connect(place.url, { noDelay: true });
    const publisher = await connection.createConfirmChannel();
    const queue = `${place.prefix}.bare`;
    const exchange = `${place.prefix}.bare`;
    place.made({ queues: [queue], exchanges: [exchange] });
    await publisher.assertExchange(exchange, "direct", { durable: true });
    await publisher.assertQueue(queue, { durable: true, arguments: { "x-queue-type": type } });
    await publisher.bindQueue(queue, exchange, queue);
    const pool = await RawPool.start(bench, worker);
    return new BareLoop({ bench, place, connection, publisher, pool, body, queue, exchange });
  }

  /** Publishes one; resolves when it is confirmed. */
  publish(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#publisher.publish(this.#exchange, this.#queue, this.#body, OPTIONS, (error: unknown) =>
        error === null ? resolve() : reject(error),
      );
    });
  }

  /** As many at once; resolves when all are confirmed. */
  async publishMany(count: number): Promise<void> {
    for (let left = count; left > 0; left--)
      this.#publisher.publish(this.#exchange, this.#queue, this.#body, OPTIONS);
    await this.#publisher.waitForConfirms();
  }

  /** Publishes with `work`, which publishes `count`; what has arrived is counted, and deleted. */
  async published(count: number, work: () => Promise<void>): Promise<Sample> {
    const measured = await timed(count, work, mainThreadUs);
    this.#bench.check("messages of the bare publisher", count, await this.#place.ready(this.#queue));
    await this.#place.purge(this.#queue);
    return { ...measured, checked: count };
  }

  /** Runs `jobs` from a queue that was filled before the clock starts. */
  async fromFilled(jobs: number, prefetch: number): Promise<Sample> {
    await callers(WINDOW, jobs, async (take) => {
      while (take()) await this.publish();
    });
    const before = runsOfRaw();
    let cancel = async () => {};
    const measured = await timed(
      jobs,
      async () => {
        cancel = await this.#consume(jobs, prefetch);
      },
      mainThreadUs,
    );
    await cancel();
    this.#bench.check("messages left by the bare loop", 0, await this.#place.ready(this.#queue));
    this.#bench.check("runs of the bare loop", jobs, runsOfRaw() - before);
    return { ...measured, checked: jobs };
  }

  /**
   * The channel stays open until `close`: RabbitMQ 3.10 drops acknowledgements to a quorum queue that still wait in a
   * channel when that closes, dozens of single ones, and gives their messages out again.
   */
  async #consume(jobs: number, prefetch: number): Promise<() => Promise<void>> {
    const channel = await this.#connection.createChannel();
    await channel.prefetch(prefetch);
    const consumerTag = `bare-${++this.#consumers}`;
    let left = jobs;
    await new Promise<void>((resolve, reject) => {
      const receive = async (message: ConsumeMessage | null) => {
        if (message === null) return reject(new Error("the broker cancelled the bare loop's consumer"));
        await this.#pool.once();
        channel.ack(message);
        if (--left === 0) resolve();
      };
      channel.consume(this.#queue, receive, { consumerTag }).catch(reject);
    });
    return async () => void (await channel.cancel(consumerTag));
  }

  /** Consumes until `stop`; `ran` resolves at the next job that has run. */
  async idle(prefetch: number): Promise<{ ran(): Promise<void>; stop(): Promise<void> }> {
    const channel = await this.#connection.createChannel();
    await channel.prefetch(prefetch);
    let ran = () => {};
    await channel.consume(this.#queue, async (message) => {
      if (message === null) return;
      await this.#pool.once();
      channel.ack(message);
      ran();
    });
    return {
      ran: () =>
        new Promise<void>((resolve) => {
          ran = resolve;
        }),
      stop: () => channel.close(),
    };
  }

  async close(): Promise<void> {
    await this.#connection.close();
    await this.#pool.close();
  }
}
