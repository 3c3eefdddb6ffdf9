/**
 * What happens, as events: the types, and the hub that hands them out.
 *
 * Owns the listeners. An event that nobody listens to is not even built (`wants`), since events stand on the hot
 * path. A listener that throws harms nobody: its error is reported and the others are still called. When the hub
 * closes, every async iterator ends.
 */
import type { KillReport } from "../jobs/failure.ts";
import type { ExitReason } from "../kernel/types.ts";

/** Which job an event is about. */
export interface JobFields {
  readonly partition: string;
  readonly queue: string;
  readonly id: string;
  readonly job: string;
  readonly attempt: number;
}

/** Every event type with its own fields; `docs/events.md` has a row for each. */
export interface EventFields {
  "job.enqueued": JobFields;
  "job.started": JobFields & { readonly threadId: number };
  /** ROH's "added in waiting list": `size` jobs now wait on this node. */
  "job.waiting": JobFields & { readonly size: number };
  "job.progress": JobFields & { readonly value: unknown };
  "job.log": JobFields & {
    readonly level: "debug" | "info" | "warn" | "error";
    readonly text: string;
    readonly data: unknown;
  };
  "job.completed": JobFields & { readonly result: unknown; readonly durationMs: number };
  "job.failed": JobFields & { readonly error: Error; readonly willRetry: boolean };
  "job.retried": JobFields & { readonly delayMs: number };
  "job.snoozed": JobFields & { readonly delayMs: number };
  "job.buried": JobFields & { readonly reason: string; readonly error: Error };
  "job.cancelled": JobFields & { readonly was: string };
  "job.killed": JobFields & {
    readonly reason: "timeout" | "cancel" | "shutdown" | "memory";
    readonly report: KillReport;
  };
  "job.wedged": JobFields & { readonly report: KillReport };
  "job.rescued": JobFields & { readonly reason: string };
  "job.purged": JobFields;
  "queue.paused": { readonly partition: string; readonly queue: string };
  "queue.resumed": { readonly partition: string; readonly queue: string };
  "partition.running": { readonly partition: string };
  "partition.waiting": { readonly partition: string; readonly error: Error };
  "partition.stopped": { readonly partition: string };
  "concurrency.unreachable": { readonly concurrency: number; readonly watermark: number };
  "node.up": { readonly name: string };
  "node.late": { readonly name: string };
  "node.gone": { readonly name: string };
  /** Another node on this broker differs in what nodes of one cluster share; in words. */
  "node.differs": { readonly name: string; readonly difference: string };
  "broker.connected": { readonly broker: string };
  "broker.lost": { readonly broker: string; readonly error: Error };
  "broker.blocked": { readonly broker: string; readonly reason: string };
  "broker.unblocked": { readonly broker: string };
  "coordinator.elected": { readonly partition: string; readonly epoch: number };
  "coordinator.lost": { readonly partition: string };
  "key.released": { readonly partition: string; readonly key: string; readonly kind: "queue" | "execution" };
  "job.superseded": JobFields;
  /** A worker behind a gateway; `serves` is its type. */
  "worker.joined": { readonly worker: string; readonly serves: string };
  "worker.left": { readonly worker: string; readonly serves: string; readonly reason: string };
  "worker.missing": { readonly serves: string; readonly waiting: number };
  "callback.failed": JobFields & { readonly callback: string; readonly error: Error };
  "buried.dropped": { readonly partition: string; readonly queue: string; readonly id: string };
  "actor.exited": { readonly actor: string; readonly reason: ExitReason };
}

export type EventType = keyof EventFields;

/** One event as a listener gets it. */
export type SpillwayEvent<T extends EventType = EventType> = {
  [K in T]: { readonly type: K; readonly at: number; readonly node: string } & EventFields[K];
}[T];

export type Listener<T extends EventType> = (event: SpillwayEvent<T>) => void;

/** Every event type, for checks and documentation tests. */
export const eventTypes: readonly EventType[] = [
  "job.enqueued", "job.started", "job.waiting", "job.progress", "job.log", "job.completed", "job.failed",
  "job.retried", "job.snoozed", "job.buried", "job.cancelled", "job.killed", "job.wedged", "job.rescued",
  "job.purged", "queue.paused", "queue.resumed", "partition.running", "partition.waiting", "partition.stopped",
  "concurrency.unreachable", "node.up", "node.late", "node.gone", "node.differs", "broker.connected", "broker.lost",
  "broker.blocked", "broker.unblocked", "coordinator.elected", "coordinator.lost", "key.released",
  "job.superseded", "worker.joined", "worker.left", "worker.missing", "callback.failed", "buried.dropped", "actor.exited",
]; // biome-ignore format: one glance shows them all

type AnyListener = (event: SpillwayEvent) => void;

export class EventHub {
  readonly #listeners = new Map<EventType | "*", Set<AnyListener>>();
  readonly #streams = new Set<EventStream>();
  /** How many want everything (streams and `*` listeners); kept as a number because `wants` is on the hot path. */
  #all = 0;
  readonly #node: string;
  readonly #now: () => number;
  readonly #report: (error: unknown) => void;
  /** What `once` was given, by what it listens with. */
  readonly #once = new WeakMap<AnyListener, AnyListener>();
  #closed = false;

  constructor(node: string, now: () => number, report: (error: unknown) => void) {
    this.#node = node;
    this.#now = now;
    this.#report = report;
  }

  /** Whether anybody would see this event; ask before building one on the hot path. */
  wants(type: EventType): boolean {
    return this.#all > 0 || this.#listeners.has(type);
  }

  emit<T extends EventType>(type: T, fields: EventFields[T]): void {
    if (!this.wants(type)) return;
    const event = { type, at: this.#now(), node: this.#node, ...fields } as unknown as SpillwayEvent;
    this.#call(this.#listeners.get(type), event);
    this.#call(this.#listeners.get("*"), event);
    for (const stream of this.#streams) stream.push(event);
  }

  #call(listeners: Set<AnyListener> | undefined, event: SpillwayEvent): void {
    if (listeners === undefined) return;
    for (const listener of [...listeners]) {
      try {
        listener(event);
      } catch (error) {
        this.#report(error);
      }
    }
  }

  on<T extends EventType>(type: T | "*", listener: Listener<T>): void {
    const set = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, set);
    if (type === "*" && !set.has(listener as unknown as AnyListener)) this.#all++;
    set.add(listener as unknown as AnyListener);
  }

  off<T extends EventType>(type: T | "*", listener: Listener<T>): void {
    const set = this.#listeners.get(type);
    if (set === undefined || !this.#remove(set, listener as unknown as AnyListener)) return;
    if (type === "*") this.#all--;
    if (set.size === 0) this.#listeners.delete(type);
  }

  /** A listener by itself, or as `once` has wrapped it. */
  #remove(set: Set<AnyListener>, listener: AnyListener): boolean {
    if (set.delete(listener)) return true;
    for (const wrapped of set) if (this.#once.get(wrapped) === listener) return set.delete(wrapped);
    return false;
  }

  once<T extends EventType>(type: T, listener: Listener<T>): void {
    const wrapped: Listener<T> = (event) => {
      this.off(type, wrapped);
      listener(event);
    };
    this.#once.set(wrapped as unknown as AnyListener, listener as unknown as AnyListener);
    this.on(type, wrapped);
  }

  /** All events from now on; a reader that falls 10,000 behind loses the oldest. Ends when the runtime has stopped. */
  stream(): AsyncIterableIterator<SpillwayEvent> {
    if (this.#closed) return new EventStream(() => {}, true);
    const stream = new EventStream(() => {
      if (this.#streams.delete(stream)) this.#all--;
    });
    this.#streams.add(stream);
    this.#all++;
    return stream;
  }

  close(): void {
    this.#closed = true;
    for (const stream of [...this.#streams]) void stream.return();
  }
}

const STREAM_LIMIT = 10_000;

class EventStream implements AsyncIterableIterator<SpillwayEvent> {
  readonly #buffer: SpillwayEvent[] = [];
  readonly #readers: ((result: IteratorResult<SpillwayEvent>) => void)[] = [];
  readonly #closed: () => void;
  #done: boolean;

  constructor(closed: () => void, done = false) {
    this.#closed = closed;
    this.#done = done;
  }

  push(event: SpillwayEvent): void {
    const reader = this.#readers.shift();
    if (reader !== undefined) reader({ done: false, value: event });
    else if (this.#buffer.push(event) > STREAM_LIMIT) this.#buffer.shift();
  }

  next(): Promise<IteratorResult<SpillwayEvent>> {
    const value = this.#buffer.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#done) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  return(): Promise<IteratorResult<SpillwayEvent>> {
    if (!this.#done) {
      this.#done = true;
      this.#closed();
      for (const reader of this.#readers.splice(0)) reader({ done: true, value: undefined });
    }
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
