/**
 * The brokers of one process, as options name them: `memory()` and `embedded({ path })`.
 *
 * Owns nothing: descriptors only, the runtime makes the brokers.
 */
import type { BrokerFactory } from "../broker/factory.ts";
import { EmbeddedBroker } from "./broker.ts";
import { MemoryBroker } from "./memory.ts";

/** Every queue in this process's heap: for tests, and for work that may be lost. */
export function memory(): BrokerFactory {
  return { kind: "memory", create: (context) => new MemoryBroker(context) };
}

export interface EmbeddedOptions {
  /** The folder that holds the jobs; made if it is not there. One process at a time. Default `./spillway`. */
  readonly path?: string;
  /** Opens it on a network file system too, where locks and flushes are not to be trusted. Default false. */
  readonly force?: boolean;
}

/** Durable queues in a folder of this machine, for one process; nothing to install on Node ≥ 22.13. */
export function embedded({ path = "./spillway", force = false }: EmbeddedOptions = {}): BrokerFactory {
  return { kind: "embedded", create: (context) => new EmbeddedBroker({ path, force, ...context }) };
}
