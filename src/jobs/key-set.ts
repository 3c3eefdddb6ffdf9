/**
 * A set of keys whose state is bytes: for a persister of one's own, and for whoever moves from Roger's KeySet.
 *
 * Exact. Owns its keys and nothing else. The bytes are opaque; those of an older version are still read by a newer one.
 */
import { InvalidKeySet } from "./errors.ts";

/** The first byte of a state: its version. */
const VERSION = 1;

export class KeySet {
  #keys = new Set<string>();

  /** `state`: what `getState` gave. @throws InvalidKeySet for bytes that are none. */
  constructor({ state }: { readonly state?: Uint8Array } = {}) {
    if (state !== undefined) this.putState(state);
  }

  get size(): number {
    return this.#keys.size;
  }

  add(key: string): void {
    this.#keys.add(key);
  }

  addMany(keys: Iterable<string>): void {
    for (const key of keys) this.#keys.add(key);
  }

  /** One that is not there changes nothing. */
  remove(key: string): void {
    this.#keys.delete(key);
  }

  contains(key: string): boolean {
    return this.#keys.has(key);
  }

  /** Adds all keys of the other one, which stays as it is. */
  union(other: KeySet): void {
    for (const key of other.#keys) this.#keys.add(key);
  }

  /** Takes all keys of the other one away; the other one stays as it is, also when it is this one. */
  difference(other: KeySet): void {
    if (other === this) this.#keys.clear();
    else for (const key of other.#keys) this.#keys.delete(key);
  }

  getState(): Uint8Array {
    const text = JSON.stringify([...this.#keys]);
    return Buffer.concat([Buffer.of(VERSION), Buffer.from(text)]);
  }

  /** Replaces all keys. @throws InvalidKeySet, and then nothing has changed. */
  putState(state: Uint8Array): void {
    this.#keys = read(state);
  }
}

function read(state: Uint8Array): Set<string> {
  if (state[0] !== VERSION) throw new InvalidKeySet(`it begins with ${state[0]}, not with ${VERSION}`);
  let keys: unknown;
  try {
    keys = JSON.parse(Buffer.from(state.subarray(1)).toString("utf8"));
  } catch (cause) {
    throw new InvalidKeySet("it is cut short, or was changed", { cause });
  }
  if (!Array.isArray(keys) || !keys.every((key) => typeof key === "string"))
    throw new InvalidKeySet("it holds something that is no key");
  return new Set(keys as string[]);
}
