/**
 * The brokers of one process, as options name them: `memory()` and `embedded({ path })`.
 *
 * Owns nothing: descriptors only, the runtime makes the brokers.
 */
import type { BrokerFactory } from "../broker/factory.ts";
import { MemoryBroker } from "./memory.ts";

/** Every queue in this process's heap: for tests, and for work that may be lost. */
export function memory(): BrokerFactory {
  return { kind: "memory", create: (context) => new MemoryBroker(context) };
}
