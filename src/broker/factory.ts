/**
 * How a runtime gets its broker: options make a plain descriptor, the runtime makes the broker from it.
 *
 * Owns no code. A descriptor opens nothing and holds nothing, so that options can be checked, printed and
 * thrown away; all that must be let go begins with `Broker.open`.
 */
import type { Clock } from "../kernel/types.ts";
import type { Broker } from "./contract.ts";
import type { Persister } from "./persister.ts";

/** What the runtime gives every broker it makes. */
export interface BrokerContext {
  /** This node's name. */
  readonly node: string;
  /** Crashes of its own after which a job is buried as poison; default 3. */
  readonly maxCrashes?: number;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Silence after which other nodes take one for gone; default 10 s. */
  readonly nodeTimeoutMs?: number;
  /** How long what no live node can read waits for one that can, while others live; default 10 min. */
  readonly unknownJobGraceMs?: number;
  /** Delays of retries in seconds, as the runtime's options say: brokers may prepare for them. */
  readonly retryLevels?: readonly number[];
  /** From the end of a node to the next grant of its execution keys, in which its bodies end too; default 3 s. */
  readonly regrantMs?: number;
  /** Where marks, pauses and (on RabbitMQ) queue keys are kept; default: the broker keeps them itself. */
  readonly persister?: Persister | "none";
  /** Default: says nothing. */
  readonly logger?: BrokerLogger;
}

/** The part of the host's logger that a broker uses: what an operator should read, without credentials. */
export interface BrokerLogger {
  info(text: string): void;
  warn(text: string): void;
  error(text: string): void;
}

/** A broker that was chosen in options: `memory()`, `embedded({ path })`, `rabbitmq({ url })`. */
export interface BrokerFactory {
  readonly kind: Broker["kind"];
  create(context: BrokerContext): Broker;
}
