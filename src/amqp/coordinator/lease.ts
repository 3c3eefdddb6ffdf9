/**
 * One execution key: the asks under which it is held, and the line of those who wait.
 *
 * Pure data. It is held under more than one ask when a job asked again on its node (its body may run under either), and
 * when two nodes say that they hold it; it is free when none is left. A grant costs the same with 10,000 waiters as with
 * one. Knows nothing of elections: `leases.ts` decides when somebody is next.
 */
import type { Held, NodeId } from "./requests.ts";

/** A listed node, with all that it holds and awaits. */
export interface Member extends NodeId {
  readonly asks: Set<Ask>;
  /** Of its last announcement. */
  serial: number;
}

export interface Ask {
  readonly lease: Lease;
  readonly id: string;
  readonly token: number;
  readonly who: Member;
}

/** A job that asks over and over: its last asks replace each other. */
const MOST_HOLDERS = 16;

const isSame = (a: NodeId, b: NodeId): boolean => a.node === b.node && a.boot === b.boot;
/** Two processes may await one job, when one of them was given up: the other one's withdrawal is not its own. */
const placeOf = ({ node, boot }: NodeId, id: string): string => `${node}\n${boot}\n${id}`;

export class Lease {
  readonly holders: Ask[] = [];
  /** In order of first arrival: whoever asks again keeps its place. */
  readonly #waiters = new Map<string, Ask>();
  /**
   * Stands before the first waiter: a new one would walk over the places of all who have left, at every grant. It never
   * comes to its end, since it is moved only where somebody waits, and whoever it gives out waits no more.
   */
  #line: Iterator<Ask, unknown> | undefined;

  constructor(readonly key: string) {}

  get holder(): Ask | undefined {
    return this.holders[0];
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  get isFree(): boolean {
    return this.holders.length === 0;
  }

  get isEmpty(): boolean {
    return this.isFree && this.#waiters.size === 0;
  }

  isHeldUnder(ask: Ask): boolean {
    return this.holders.includes(ask);
  }

  /** This process holds it for this job, whether it is listed still or again. */
  isRunOn(node: NodeId, id: string): boolean {
    return this.holders.some((one) => one.id === id && isSame(one.who, node));
  }

  asksOf(node: NodeId, id: string): readonly Ask[] {
    const asks = this.holders.filter((one) => one.id === id && isSame(one.who, node));
    const waiter = this.#waiters.get(placeOf(node, id));
    return waiter === undefined ? asks : [...asks, waiter];
  }

  held(who: Member, { id, token }: Held): Ask {
    const waiter = this.#waiters.get(placeOf(who, id));
    if (waiter !== undefined) this.remove(waiter);
    const known = this.holders.find((one) => one.id === id && one.token === token && isSame(one.who, who));
    if (known?.who === who) return known;
    // of a process that was gone and is back the hold is no orphan's any more
    const over = known ?? this.holders[MOST_HOLDERS - 1];
    if (over !== undefined) this.remove(over);
    const ask = { lease: this, id, token, who };
    this.holders.push(ask);
    who.asks.add(ask);
    return ask;
  }

  awaited(who: Member, { id, token }: Held): Ask {
    const place = placeOf(who, id);
    const known = this.#waiters.get(place);
    if (known?.token === token) return known;
    if (known !== undefined) who.asks.delete(known);
    const ask = { lease: this, id, token, who };
    this.#waiters.set(place, ask);
    who.asks.add(ask);
    return ask;
  }

  remove(ask: Ask): void {
    ask.who.asks.delete(ask);
    const at = this.holders.indexOf(ask);
    if (at >= 0) this.holders.splice(at, 1);
    else if (this.#waiters.get(placeOf(ask.who, ask.id)) === ask) this.#drop(ask);
  }

  /** Whoever holds it now, if it was free and somebody waits. `heir`: the job whose turn it is, if it waits. */
  next(heir: string | undefined): Ask | undefined {
    if (!this.isFree) return undefined;
    const ask = (heir === undefined ? undefined : this.#find(heir)) ?? this.#first();
    if (ask === undefined) return undefined;
    this.#drop(ask);
    this.holders.push(ask);
    return ask;
  }

  #drop(waiter: Ask): void {
    this.#waiters.delete(placeOf(waiter.who, waiter.id));
  }

  #find(id: string): Ask | undefined {
    for (const waiter of this.#waiters.values()) if (waiter.id === id) return waiter;
    return undefined;
  }

  #first(): Ask | undefined {
    if (this.#waiters.size === 0) return undefined;
    this.#line ??= this.#waiters.values();
    const first = this.#line.next();
    return first.done === true ? undefined : first.value;
  }
}
