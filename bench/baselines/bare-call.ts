/**
 * The baseline of the rows about keys: a call and a confirmed publish, as one would write them with amqplib alone.
 *
 * A call travels as one to the coordinator does (`src/amqp/coordinator/client.ts`, `src/amqp/system-channel.ts`): a
 * transient request by the default exchange to a durable classic queue; `processes/echo.mjs` takes it, in another process on
 * another connection, and answers over a direct exchange into our exclusive queue, which is consumed without
 * acknowledgements. With `store` it answers once a record is stored as the coordinator's journal stores one. Owns its
 * connection, the echo's process and its names on the place. Nothing is asked again, watched or timed out.
 */
import { randomBytes } from "node:crypto";
import type { Channel, ChannelModel, ConfirmChannel } from "amqplib";
import type { RabbitPlace } from "../nodes/rabbit-place.ts";
import { Peer } from "../processes/peer.ts";
import { loadAmqplib } from "../runner/package.ts";

/** About as large as those of `reserve`. */
const CALL_BYTES = 160;
const ANSWER_BYTES = 120;
const RECORD_BYTES = 240;
const PUBLISH = { persistent: true, mandatory: true } as const;
const CALLER = "caller";

export class BareCall {
  readonly #connection: ChannelModel;
  readonly #calls: Channel;
  readonly #publisher: ConfirmChannel;
  readonly #echo: Peer;
  readonly #body: Buffer;
  readonly #names: ReturnType<typeof namesOf>;
  readonly #request = randomBytes(CALL_BYTES);
  #serial = 0;
  #answered: (serial: string) => void = () => {};

  private constructor(parts: {
    connection: ChannelModel;
    calls: Channel;
    publisher: ConfirmChannel;
    echo: Peer;
    body: Buffer;
    names: ReturnType<typeof namesOf>;
  }) {
    this.#connection = parts.connection;
    this.#calls = parts.calls;
    this.#publisher = parts.publisher;
    this.#echo = parts.echo;
    this.#body = parts.body;
    this.#names = parts.names;
  }

  /** `body`: the bytes of what is published, to a quorum queue of its own. */
  static async start(place: RabbitPlace, body: Buffer): Promise<BareCall> {
    const names = namesOf(place);
    place.made({
      queues: [names.calls],
      exchanges: [names.answers, names.work],
      journals: [names.journal, names.work],
    });
    const sizes = { recordBytes: RECORD_BYTES, answerBytes: ANSWER_BYTES };
    const echo = await Peer.start("echo", { url: place.url, ...names, caller: CALLER, ...sizes });
    const { connect } = await loadAmqplib();
    const connection = await connect(place.url, { noDelay: true });
    const calls = await connection.createChannel();
    const publisher = await connection.createConfirmChannel();
    const bare = new BareCall({ connection, calls, publisher, echo, body, names });
    await bare.#open();
    return bare;
  }

  async #open(): Promise<void> {
    const { answers, work } = this.#names;
    const { queue } = await this.#calls.assertQueue("", { exclusive: true, durable: false });
    await this.#calls.bindQueue(queue, answers, CALLER);
    await this.#calls.consume(queue, (message) => this.#answered(String(message?.properties.messageId)), {
      noAck: true,
    });
    await this.#publisher.assertExchange(work, "direct", { durable: true });
    await this.#publisher.assertQueue(work, { durable: true, arguments: { "x-queue-type": "quorum" } });
    await this.#publisher.bindQueue(work, work, work);
  }

  /** One at a time: resolves when it is answered. */
  call(what: "store" | "ask"): Promise<void> {
    const messageId = String(++this.#serial);
    return new Promise((resolve) => {
      this.#answered = (serial) => serial === messageId && resolve();
      this.#calls.publish("", this.#names.calls, this.#request, { messageId, type: what });
    });
  }

  /** Resolves when it is confirmed. */
  publish(): Promise<void> {
    const { work } = this.#names;
    return new Promise((resolve, reject) => {
      this.#publisher.publish(work, work, this.#body, PUBLISH, (error: unknown) =>
        error === null ? resolve() : reject(error),
      );
    });
  }

  async close(): Promise<void> {
    await this.#connection.close();
    await this.#echo.stop();
  }
}

function namesOf({ prefix }: RabbitPlace) {
  const own = (name: string) => `${prefix}.bare.${name}`;
  return { calls: own("calls"), journal: own("journal"), answers: own("answers"), work: own("work") };
}
