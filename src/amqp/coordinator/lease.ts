/**
 * One execution key: the asks under which it is held, and the line of those who wait.
 *
 * Pure data. It is held under more than one ask when a job asked again on its node (its body may run under either), and
 * when two nodes say that they hold it; it is free when none is left. A grant costs the same with 10,000 waiters as with
 * one. A job on a round keeps its place by its id, and for a moment its turn. Knows nothing of elections: `leases.ts`
 * decides when somebody is next.
 */
import { Line } from "./line.ts";
import type { Held, NodeId } from "./requests.ts";

/** A listed node, with all that it holds and awaits. */
export interface Member extends NodeId {
  readonly asks: Set<Ask>;
  /** Of its last announcement. */
  serial: number;
}

/** In the order of arrival: the place in the line, for as long as the job waits, wherever it comes back from a round. */
interface Placed {
  readonly lease: Lease;
  readonly id: string;
  readonly arrival: number;
}

export interface Ask extends Placed {
  readonly token: number;
  readonly who: Member;
}

/** A job on a round. When its turn comes the key waits for it, until then and no longer. */
export interface Away extends Placed {
  readonly until: number;
}

/** A job that asks over and over: its last asks replace each other. */
const MOST_HOLDERS = 16;

const isSame = (a: NodeId, b: NodeId): boolean => a.node === b.node && a.boot === b.boot;
/** Two processes may await one job, when one of them was given up: the other one's withdrawal is not its own. */
const placeOf = ({ node, boot }: NodeId, id: string): string => `${node}\n${boot}\n${id}`;

export class Lease {
  readonly holders: Ask[] = [];
  readonly #waiters = new Map<string, Ask>();
  /** By id; also of those who were passed over, and may come yet. */
  readonly #away = new Map<string, Away>();
  /** Of both, those who have not been passed over. */
  readonly #line = new Line<Ask | Away>();

  constructor(readonly key: string) {}

  get holder(): Ask | undefined {
    return this.holders[0];
  }

  get waiting(): number {
    return this.#waiters.size + this.#away.size;
  }

  get isFree(): boolean {
    return this.holders.length === 0;
  }

  get isEmpty(): boolean {
    return this.isFree && this.waiting === 0;
  }

  isHeldUnder(ask: Ask): boolean {
    return this.holders.includes(ask);
  }

  /** This process holds it for this job, whether it is listed still or again. */
  isRunOn(node: NodeId, id: string): boolean {
    return this.holders.some((one) => one.id === id && isSame(one.who, node));
  }

  /** It is free, and nobody who is there or awaited came before this job. */
  isFor(id: string, now: number): boolean {
    if (!this.isFree) return false;
    const first = this.#first(now);
    return (
      first === undefined || first.id === id || (this.#away.get(id)?.arrival ?? first.arrival) < first.arrival
    );
  }

  asksOf(node: NodeId, id: string): readonly Ask[] {
    const asks = this.holders.filter((one) => one.id === id && isSame(one.who, node));
    const waiter = this.#waiters.get(placeOf(node, id));
    return waiter === undefined ? asks : [...asks, waiter];
  }

  held(who: Member, { id, token }: Held, arrival: number): Ask {
    const place = this.#comesBack(id) ?? arrival;
    const waiter = this.#waiters.get(placeOf(who, id));
    if (waiter !== undefined) this.remove(waiter);
    const known = this.holders.find((one) => one.id === id && one.token === token && isSame(one.who, who));
    if (known?.who === who) return known;
    // of a process that was gone and is back the hold is no orphan's any more
    const over = known ?? this.holders[MOST_HOLDERS - 1];
    if (over !== undefined) this.remove(over);
    const ask = { lease: this, id, token, who, arrival: waiter?.arrival ?? place };
    this.holders.push(ask);
    who.asks.add(ask);
    return ask;
  }

  /** Whoever asks again keeps its place. */
  awaited(who: Member, { id, token }: Held, arrival: number): Ask {
    const place = placeOf(who, id);
    const known = this.#waiters.get(place);
    if (known?.token === token) return known;
    if (known !== undefined) this.remove(known);
    const ask = { lease: this, id, token, who, arrival: known?.arrival ?? this.#comesBack(id) ?? arrival };
    this.#waiters.set(place, ask);
    this.#line.add(ask);
    who.asks.add(ask);
    return ask;
  }

  remove(ask: Ask): void {
    ask.who.asks.delete(ask);
    const at = this.holders.indexOf(ask);
    if (at >= 0) this.holders.splice(at, 1);
    else if (this.#waiters.get(placeOf(ask.who, ask.id)) === ask) this.#drop(ask);
  }

  /** It has left with this place. */
  leaves(id: string, arrival: number, until: number): Away {
    this.#comesBack(id);
    const away = { lease: this, id, arrival, until };
    this.#away.set(id, away);
    this.#line.add(away);
    return away;
  }

  /** Nobody waits for its return any more. */
  forget(away: Away): void {
    if (this.#away.get(away.id) === away) this.#comesBack(away.id);
  }

  /** The job of this id has ended, on its round or behind it. */
  hasEnded(id: string): void {
    this.#comesBack(id);
  }

  /** Whoever holds it now, if it was free and somebody's turn. `heir`: the job whose turn it is, if it waits. */
  next(heir: string | undefined, now: number): Ask | undefined {
    if (!this.isFree) return undefined;
    const ask = (heir === undefined ? undefined : this.#find(heir)) ?? this.#first(now);
    if (ask === undefined || isAway(ask)) return undefined;
    this.#drop(ask);
    this.holders.push(ask);
    return ask;
  }

  /** Whoever is late is passed over; its place is kept. */
  #first(now: number): Ask | Away | undefined {
    for (let first = this.#line.first; first !== undefined; first = this.#line.first) {
      if (!isAway(first) || first.until > now) return first;
      this.#line.delete(first);
    }
    return undefined;
  }

  /** Its place. */
  #comesBack(id: string): number | undefined {
    const away = this.#away.get(id);
    if (away === undefined) return undefined;
    this.#away.delete(id);
    this.#line.delete(away);
    return away.arrival;
  }

  #drop(waiter: Ask): void {
    this.#waiters.delete(placeOf(waiter.who, waiter.id));
    this.#line.delete(waiter);
  }

  #find(id: string): Ask | undefined {
    for (const waiter of this.#waiters.values()) if (waiter.id === id) return waiter;
    return undefined;
  }
}

function isAway(one: Ask | Away): one is Away {
  return "until" in one;
}
