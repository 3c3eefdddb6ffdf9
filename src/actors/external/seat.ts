/**
 * One worker's place among all: what it does, and what its gateway says of it.
 *
 * Owns which errand it has. Its gateway speaks to it; what follows is the pool's business. After `gone` it is nobody:
 * whatever a gateway still says there is not heard.
 */
import type { LogLevel } from "../../threads/types.ts";
import type { Errand } from "./errand.ts";
import type { ExternalFailure, ExternalWorker, WorkerSeat } from "./port.ts";
import type { Kept } from "./upkeep.ts";

export interface SeatOwner {
  onHeard(seat: Seat): void;
  onFree(seat: Seat): void;
  onTaken(seat: Seat): void;
  onCompleted(seat: Seat, errand: Errand, text: string): void;
  onFailed(seat: Seat, errand: Errand, failure: ExternalFailure): void;
  onSnoozed(seat: Seat, errand: Errand, delayMs: number): void;
  onGone(seat: Seat, why: string): void;
}

export class Seat implements WorkerSeat, Kept {
  /** Grows with each worker; never used twice. */
  readonly number: number;
  readonly worker: ExternalWorker;
  errand: Errand | undefined;
  over = false;
  readonly #owner: SeatOwner;

  constructor(number: number, worker: ExternalWorker, owner: SeatOwner) {
    this.number = number;
    this.worker = worker;
    this.#owner = owner;
  }

  get busy(): boolean {
    return this.errand !== undefined;
  }

  get hears(): boolean {
    return this.worker.hears;
  }

  get beatMs(): number {
    return this.worker.beatMs ?? Number.POSITIVE_INFINITY;
  }

  ping(): void {
    this.worker.ping();
  }

  end(why: string, body: boolean): void {
    this.worker.end(why, body);
  }

  free(): void {
    if (!this.over && !this.busy) this.#owner.onFree(this);
  }

  taken(): void {
    if (!this.over) this.#owner.onTaken(this);
  }

  completed(text: string): void {
    this.heard();
    const { errand } = this;
    if (errand === undefined) return;
    this.errand = undefined;
    this.#owner.onCompleted(this, errand, text);
  }

  failed(failure: ExternalFailure): void {
    this.heard();
    const { errand } = this;
    if (errand === undefined) return;
    this.errand = undefined;
    this.#owner.onFailed(this, errand, failure);
  }

  snoozed(delayMs: number): void {
    this.heard();
    const { errand } = this;
    if (errand === undefined) return;
    this.errand = undefined;
    this.#owner.onSnoozed(this, errand, delayMs);
  }

  progress(value: unknown): void {
    this.heard();
    this.errand?.task.progress?.(value);
  }

  log(level: LogLevel, text: string): void {
    this.heard();
    this.errand?.task.log?.(level, text, undefined);
  }

  heard(): void {
    this.#owner.onHeard(this);
  }

  gone(why: string): void {
    if (this.over) return;
    this.over = true;
    this.#owner.onGone(this, why);
  }
}
