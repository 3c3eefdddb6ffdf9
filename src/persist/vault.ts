/**
 * One partition's state with a persister: loaded, begun anew by who takes over, then appended to and compacted.
 *
 * Owns the order: one call at a time, never beside one that has not answered; changes that come meanwhile go together in
 * the next. With `append` a group of changes is appended, and the whole is stored when what was appended has outgrown it;
 * without, it is stored for each group. Whoever makes changes applies them before `append`, or as soon as it resolves.
 * After a failure it takes nothing until it was loaded and begun again: nobody knows what has been stored.
 */
import { randomBytes } from "node:crypto";
import { PersisterFailed } from "../broker/errors.ts";
import type { Persister } from "../broker/persister.ts";
import { toError } from "../kernel/exit.ts";
import type { Clock } from "../kernel/types.ts";
import { groupLine, type KeptChange, Rubbish, readChanges, readHead } from "./lines.ts";
import { gather } from "./whole.ts";

export interface VaultLimits {
  /** A persister that has not answered by then is one that fails; to store it has a second for each MiB more. */
  readonly answerMs: number;
  /** What was appended is left alone up to here, whatever the state's size. */
  readonly compactAtBytes: number;
  /** Of the event loop, at a time. */
  readonly turnMs: number;
}

/** The slowest that a disk may be. */
const BYTES_PER_MS = 1_048;

export const VAULT_LIMITS: VaultLimits = {
  answerMs: 10_000,
  compactAtBytes: 4 * 1024 * 1024,
  turnMs: 5,
};

export interface VaultParts {
  readonly partition: string;
  readonly persister: Persister;
  readonly clock: Clock;
  /** The state as changes, in lists of any length, read bit by bit over several turns while it may change. */
  readonly snapshot: () => Iterable<readonly KeptChange[]>;
  readonly limits?: Partial<VaultLimits>;
}

interface Waiting {
  readonly text: string;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

type CallName = PersisterFailed["call"];

export class Vault {
  readonly #parts: VaultParts;
  readonly #limits: VaultLimits;
  #waiting: Waiting[] = [];
  /** What was asked of the persister last; never rejects. */
  #last: Promise<unknown> = Promise.resolve();
  #error: Error | undefined = new Error("it was not loaded");
  /** Grows when it is ended: what was under way then is nobody's. */
  #reign = 0;
  #busy = false;
  #epoch = 0;
  #series = "";
  #groups = 0;
  #storedBytes = 0;
  #appendedBytes = 0;

  constructor(parts: VaultParts) {
    this.#parts = parts;
    this.#limits = { ...VAULT_LIMITS, ...parts.limits };
  }

  /** Gives each change that was kept; the head's epoch, or `undefined`: nothing ever was. @throws PersisterFailed */
  async load(apply: (change: KeptChange) => void): Promise<number | undefined> {
    const { persister, partition } = this.#parts;
    await this.#ask("init", () => persister.init(partition));
    const bytes: unknown = await this.#ask("load", () => persister.load(partition));
    if (bytes === undefined) return undefined;
    try {
      if (!(bytes instanceof Uint8Array)) throw new Rubbish(`it gave ${kindOf(bytes)}, not bytes`);
      await this.#inTurns(readChanges(bytes, partition), apply);
      return readHead(bytes, partition).epoch;
    } catch (error) {
      throw this.#failure("load", error);
    }
  }

  /** Stores the state as it is now, under a series of its own: whoever wrote before writes nothing that counts. */
  async begin(epoch: number): Promise<void> {
    const reign = ++this.#reign;
    this.#epoch = epoch;
    this.#busy = true;
    try {
      await this.#store(reign);
      if (reign === this.#reign) this.#error = undefined;
    } finally {
      if (reign === this.#reign) this.#busy = false;
    }
    if (reign !== this.#reign) throw this.#error ?? new Error("it was begun anew");
  }

  /** Resolves when they are durable. The changes of one call are never parted. @throws PersisterFailed */
  append(changes: readonly KeptChange[]): Promise<void> {
    if (this.#error !== undefined) return Promise.reject(this.#error);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ text: changes.map((one) => JSON.stringify(one)).join(","), resolve, reject });
      if (!this.#busy) void this.#work();
    });
  }

  /** It takes nothing more until it is begun again. What was not stored rejects. */
  end(error: Error): void {
    this.#reign += 1;
    this.#busy = false;
    this.#error = error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  /** Resolves when the persister has nothing to do any more, or does not answer. */
  async idle(): Promise<void> {
    await this.#inTime("store", this.#last).catch(() => {});
  }

  async #work(): Promise<void> {
    const reign = this.#reign;
    this.#busy = true;
    try {
      while (this.#waiting.length > 0 && reign === this.#reign) await this.#round(reign);
      if (reign === this.#reign) this.#busy = false;
    } catch (error) {
      if (reign === this.#reign) this.end(toError(error));
    }
  }

  #round(reign: number): Promise<void> {
    const { compactAtBytes } = this.#limits;
    const isDue = this.#appendedBytes > Math.max(compactAtBytes, this.#storedBytes);
    return this.#parts.persister.append === undefined || isDue ? this.#store(reign) : this.#append();
  }

  async #append(): Promise<void> {
    const { persister, partition } = this.#parts;
    const group = this.#waiting.splice(0);
    const bytes = this.#lineOf(group);
    await this.#told(group, "append", () => persister.append?.(partition, bytes));
    this.#appendedBytes += bytes.length;
  }

  /** What comes while the state is read stands behind it: it may show a part of that, and never stands without the rest. */
  async #store(reign: number): Promise<void> {
    const { persister, partition, clock, snapshot } = this.#parts;
    await new Promise<void>((resolve) => clock.turn(resolve)); // whoever was told of a stored change has applied it by then
    const head = { partition, epoch: this.#epoch, series: randomBytes(6).toString("base64url") };
    const whole = await gather({ clock, head, snapshot, turnMs: this.#limits.turnMs });
    if (reign !== this.#reign) throw this.#error ?? new Error("it was begun anew");
    this.#series = head.series;
    this.#groups = 0;
    const group = this.#waiting.splice(0);
    if (group.length > 0) whole.push(this.#lineOf(group));
    const bytes = await whole.joined();
    if (reign !== this.#reign) return reject(group, this.#error ?? new Error("it was begun anew"));
    const moreMs = Math.ceil(bytes.length / BYTES_PER_MS);
    await this.#told(group, "store", () => persister.store(partition, bytes), moreMs);
    this.#storedBytes = bytes.length;
    this.#appendedBytes = 0;
  }

  #lineOf(group: readonly Waiting[]): Buffer {
    this.#groups += 1;
    const texts = group.flatMap(({ text }) => (text === "" ? [] : [text]));
    return groupLine(this.#series, this.#groups, texts);
  }

  /** Asks it, then tells those who wait. */
  async #told(group: readonly Waiting[], call: CallName, ask: () => unknown, moreMs = 0): Promise<void> {
    try {
      await this.#ask(call, ask, moreMs);
    } catch (error) {
      reject(group, toError(error));
      throw error;
    }
    for (const { resolve } of group) resolve();
  }

  /** Behind what was asked before: that may still be carried out, however late. */
  #ask<T>(call: CallName, ask: () => T | Promise<T>, moreMs = 0): Promise<T> {
    const [before, reign] = [this.#last, this.#reign];
    let isLate = false;
    const answer = (async () => {
      await before;
      if (isLate || reign !== this.#reign) throw this.#error ?? new Error("it was given up");
      return ask();
    })();
    this.#last = answer.catch(() => {});
    return this.#inTime(call, answer, moreMs).catch((error) => {
      isLate = true;
      throw this.#failure(call, error);
    });
  }

  #inTime<T>(call: CallName, answer: Promise<T>, moreMs = 0): Promise<T> {
    const { clock } = this.#parts;
    const answerMs = this.#limits.answerMs + moreMs;
    return new Promise((resolve, refuse) => {
      const why = `${call} did not answer within ${Math.round(answerMs / 100) / 10} s`;
      const stop = clock.timer(answerMs, () => refuse(new Error(why)));
      answer.finally(stop).then(resolve, refuse);
    });
  }

  async #inTurns(lists: Iterable<readonly KeptChange[]>, apply: (change: KeptChange) => void): Promise<void> {
    const { clock } = this.#parts;
    let began = clock.now();
    for (const changes of lists) {
      for (const change of changes) apply(change);
      if (clock.now() - began < this.#limits.turnMs) continue;
      await new Promise<void>((resolve) => clock.turn(resolve));
      began = clock.now();
    }
  }

  #failure(call: CallName, thrown: unknown): PersisterFailed {
    const cause = toError(thrown);
    return new PersisterFailed(this.#parts.partition, call, cause.message, { cause });
  }
}

function reject(group: readonly Waiting[], error: Error): void {
  for (const waiting of group) waiting.reject(error);
}

const kindOf = (value: unknown): string => (value === null ? "null" : `a ${typeof value}`);
