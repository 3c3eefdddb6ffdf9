/**
 * A journal as coordinators leave it behind: elections, changes, compactions, and deaths in the middle of each.
 *
 * Owns what is in the queue, what was acknowledged, and the state that must come of it. Coordinators of this history keep
 * the rules; what it is for is to show that nobody takes over from less than all of it.
 */
import { changesOf, judge, type Verdict } from "../../../src/amqp/coordinator/journal.ts";
import {
  type Base,
  NOTHING,
  type SliceRecord,
  type StateRecord,
} from "../../../src/amqp/coordinator/records.ts";
import type { Change } from "../../../src/amqp/coordinator/requests.ts";

export type State = ReadonlyMap<string, string>;

export type Op =
  | { readonly t: "change"; readonly key: string; readonly id: string | undefined }
  /** With a change after each of its slices but the last; `dies`: before so many slices. */
  | {
      readonly t: "compact";
      readonly slices: number;
      readonly dies: number | undefined;
      readonly key: string;
    }
  | { readonly t: "elect"; readonly slices: number; readonly dies: number | undefined }
  /** Of one who was cut off: it comes behind the snapshot of the next. */
  | { readonly t: "late"; readonly key: string }
  /** An opening of the present epoch by another writer. */
  | { readonly t: "rival" };

/** Without an id the key is nobody's. */
export const set = (key: string, id: string | undefined): Change =>
  id === undefined ? { c: "free", key, id: "" } : { c: "kept", key, id, attempt: 0 };

/** Absolute, as all changes are. */
export function apply(state: Map<string, string>, change: Change): void {
  if (change.c === "kept") state.set(change.key, change.id);
  if (change.c === "free") state.delete(change.key);
}

export function stateOf(verdict: Verdict): State | undefined {
  if (verdict.t === "partial") return undefined;
  const state = new Map<string, string>();
  if (verdict.t === "complete") for (const change of changesOf(verdict.records)) apply(state, change);
  return state;
}

export class History {
  /** In the order in which they were published. */
  queue: StateRecord[] = [];
  readonly acked: StateRecord[] = [];
  readonly late: StateRecord[] = [];
  readonly state = new Map<string, string>();
  #epoch = 0;
  #seq = 0;
  #writer = "";
  #serial = 0;
  #isLed = false;

  run(ops: readonly Op[]): this {
    for (const op of ops) this.#run(op);
    return this;
  }

  #run(op: Op): void {
    if (op.t === "elect") return this.#elect(op.slices, op.dies);
    if (!this.#isLed) return;
    if (op.t === "change") return this.#change(op.key, op.id);
    if (op.t === "compact") return this.#compact(op.slices, op.dies, op.key);
    if (op.t === "rival") return this.#rival();
    if (this.#epoch > 1) this.#late(op.key);
  }

  #elect(count: number, dies: number | undefined): void {
    const verdict = judge(this.queue);
    if (verdict.t === "partial") throw new Error(verdict.why);
    const older = this.queue.length;
    this.#epoch = verdict.highest + 1;
    this.#seq = 0;
    this.#writer = `w${++this.#serial}`;
    this.#isLed = this.#slices(1, verdict.base, count, dies, () => {});
    if (this.#isLed) this.acked.push(...this.queue.splice(0, older));
  }

  #change(key: string, id: string | undefined): void {
    const change = set(key, id);
    apply(this.state, change);
    this.#publish({ kind: "changes", changes: [change] });
  }

  #compact(count: number, dies: number | undefined, key: string): void {
    const from = this.#seq + 1;
    const between = () => this.#change(`${key}${this.#seq}`, `c${this.#seq}`);
    this.#isLed = this.#slices(from, NOTHING, count, dies, between);
    if (!this.#isLed) return;
    const isOld = (one: StateRecord) => one.epoch < this.#epoch || one.seq < from;
    this.acked.push(...this.queue.filter(isOld));
    this.queue = this.queue.filter((one) => !isOld(one));
  }

  /** False: it died before the last. */
  #slices(from: number, base: Base, count: number, dies = count, between: () => void): boolean {
    const size = Math.max(1, Math.ceil(this.state.size / count));
    for (let index = 0; index < count; index++) {
      if (index === dies) return false;
      const last = index === count - 1;
      const now = [...this.state].map(([key, id]) => set(key, id)); // as it is by then: not one moment's
      const changes = now.slice(index * size, last ? undefined : (index + 1) * size);
      this.#publish({ kind: "slice", from, last, base, changes });
      if (!last) between();
    }
    return true;
  }

  #late(key: string): void {
    const [epoch, writer] = [this.#epoch - 1, "late"];
    const seq = 1_000 + this.late.length;
    const record: StateRecord = { kind: "changes", epoch, writer, seq, changes: [set(key, "late")] };
    this.late.push(record);
    this.queue.push(record);
  }

  /** What it opened with is what the present one opened with. */
  #rival(): void {
    const opening = this.queue.filter(
      (one): one is SliceRecord => one.epoch === this.#epoch && one.kind === "slice" && one.from === 1,
    );
    if (!opening.at(-1)?.last || opening[0]?.seq !== 1) return;
    const copies = opening.map((one) => ({ ...one, writer: "rival" }));
    this.late.push(...copies);
    this.queue.push(...copies);
  }

  #publish(
    record:
      | Pick<SliceRecord, "kind" | "from" | "last" | "base" | "changes">
      | { kind: "changes"; changes: Change[] },
  ): void {
    const seq = ++this.#seq;
    this.queue.push({ ...record, epoch: this.#epoch, writer: this.#writer, seq } as StateRecord);
  }
}
