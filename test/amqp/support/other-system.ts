/**
 * Another system on the same broker: it knows nothing of Spillway, has exchanges of its own, and publishes to them.
 *
 * Its connection and its exchanges end with the test.
 */
import { type Channel, type ChannelModel, connect, type Options } from "amqplib";
import { onTestFinished } from "vitest";
import { cleanUp, freshPrefix } from "./broker.ts";

export class OtherSystem {
  readonly exchanges: string[] = [];

  private constructor(
    readonly connection: ChannelModel,
    public channel: Channel,
  ) {}

  static async on(url: string): Promise<OtherSystem> {
    const connection = await connect(url);
    connection.on("error", () => {});
    const other = new OtherSystem(connection, await opened(connection));
    onTestFinished(async () => {
      await connection.close().catch(() => {});
      await cleanUp(url, { exchanges: other.exchanges });
    });
    return other;
  }

  /** After the broker has closed the channel. */
  async reopen(): Promise<void> {
    this.channel = await opened(this.connection);
  }

  /** The name of an exchange that nobody has made yet; it is deleted behind the test. */
  name(): string {
    const name = `${freshPrefix()}.orders`;
    this.exchanges.push(name);
    return name;
  }

  async exchange(type: string, options: Options.AssertExchange = {}): Promise<string> {
    const name = this.name();
    await this.channel.assertExchange(name, type, options);
    return name;
  }

  /** Resolves when the broker has it; rejects when the channel was closed for it. */
  publish(
    exchange: string,
    routingKey: string,
    content: unknown,
    options: Options.Publish = {},
  ): Promise<void> {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
    return new Promise((resolve, reject) => {
      (this.channel as unknown as ConfirmPublish).publish(exchange, routingKey, bytes, options, (error) =>
        error === null || error === undefined ? resolve() : reject(error),
      );
    });
  }
}

async function opened(connection: ChannelModel): Promise<Channel> {
  const channel = await connection.createConfirmChannel();
  channel.on("error", () => {});
  return channel;
}

interface ConfirmPublish {
  publish(
    exchange: string,
    key: string,
    bytes: Buffer,
    options: Options.Publish,
    confirmed: (error: Error | null | undefined) => void,
  ): void;
}
