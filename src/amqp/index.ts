/**
 * The broker on RabbitMQ, as options name it: `rabbitmq({ url })`.
 *
 * Owns nothing: a descriptor only, the runtime makes the broker. Checks its options at once; opens nothing.
 */
import type { BrokerFactory } from "../broker/factory.ts";
import { RabbitBroker } from "./broker.ts";
import { checkRabbit, type RabbitOptions } from "./options.ts";

/**
 * Jobs on RabbitMQ 3.10 or later, for as many nodes as there are. `docs/rabbitmq.md` says what its operator must set.
 * @throws InvalidOptions
 */
export function rabbitmq(options: RabbitOptions | string = {}): BrokerFactory {
  const settings = checkRabbit(options);
  return { kind: "rabbitmq", create: (context) => new RabbitBroker({ settings, ...context }) };
}
