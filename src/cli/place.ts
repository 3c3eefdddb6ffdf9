/**
 * Where a command finds its jobs: a folder of the embedded broker, or a RabbitMQ.
 *
 * Owns the reading of `--data`, `--broker` and `--prefix`, and what is said of a place: never who logs in. An address
 * that does not hold is not repeated either, since it may be a password in the wrong place. The client of RabbitMQ is
 * loaded only when it is named: a command is a short life, and most of that is loading.
 */
import type { BrokerFactory } from "../broker/factory.ts";
import { embedded } from "../embedded/index.ts";
import { type CommandCall, DEFAULT_DATA } from "./command.ts";
import { UsageError } from "./errors.ts";

export interface Place {
  /** The folder; `undefined` on RabbitMQ. */
  readonly data: string | undefined;
  /** For people: `embedded`, or `RabbitMQ at amqp://localhost:5672/%2F`. */
  readonly text: string;
  readonly broker: BrokerFactory;
}

/** What the command line says, or the default folder. @throws UsageError, InvalidOptions */
export async function place(call: CommandCall): Promise<Place> {
  return (await placeGiven(call)) ?? folder(DEFAULT_DATA);
}

/** `undefined` when the command line says nothing. @throws UsageError, InvalidOptions */
export async function placeGiven(call: CommandCall): Promise<Place | undefined> {
  const [data, url, prefix] = [call.text("data"), call.text("broker"), call.text("prefix")];
  if (data !== undefined && url !== undefined)
    throw new UsageError(
      "--data is a folder of the embedded broker, and --broker a RabbitMQ: give one of them.",
      call.command,
    );
  if (prefix !== undefined && url === undefined)
    throw new UsageError("--prefix is for RabbitMQ: give --broker with it.", call.command);
  if (url !== undefined) return rabbit(call, url, prefix);
  return data === undefined ? undefined : folder(data);
}

function folder(data: string): Place {
  return { data, text: "embedded", broker: embedded({ path: data }) };
}

async function rabbit(call: CommandCall, url: string, prefix: string | undefined): Promise<Place> {
  if (!/^amqps?:\/\//.test(url))
    throw new UsageError(
      "--broker: expected amqp://user:password@host:port/virtual-host, or amqps://.",
      call.command,
    );
  const options = prefix === undefined ? { url } : { url, prefix };
  const [{ rabbitmq }, { checkRabbit, placeOf }] = await Promise.all([
    import("../amqp/index.ts"),
    import("../amqp/options.ts"),
  ]);
  return {
    data: undefined,
    text: `RabbitMQ at ${placeOf(checkRabbit(options))}`,
    broker: rabbitmq(options),
  };
}
