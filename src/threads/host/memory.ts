/**
 * The function by which main asks this thread for its memory, also in the middle of a body.
 *
 * Owns one global symbol and, where V8 lends it, its collector: garbage is not held against a body. Main calls it through
 * the inspector; nothing else does.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { MEMORY_KEY } from "../wire.ts";

/** `collects`: whether it is asked for what is left without garbage. */
export function exposeMemory(collects: boolean): void {
  const collect = collects ? collector() : () => {};
  const memory = process.memoryUsage.bind(process);
  const value = (garbageToo: boolean): string => {
    if (garbageToo) collect();
    const { heapUsed, external } = memory();
    return `${heapUsed} ${external}`;
  };
  Object.defineProperty(globalThis, Symbol.for(MEMORY_KEY), { value, configurable: true });
}

function collector(): () => void {
  try {
    setFlagsFromString("--expose-gc");
    const gc = runInNewContext("gc") as () => void;
    setFlagsFromString("--no-expose-gc");
    return gc;
  } catch {
    return () => {};
  }
}
