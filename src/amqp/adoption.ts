/**
 * Whether a delivery may start: the one place where that is decided.
 *
 * Pure. *Redelivered* does not mean *started*: brokers give out again what was only on its way. So what came again, and
 * what came through a retry or delay queue (those can be doubled without a flag), is asked about before it starts; first
 * deliveries ask nobody. The body that runs adopts a redelivery of its own job; what another live node runs is held
 * unacknowledged until that node says that it ended; what ended a short while ago is acknowledged; only what nobody
 * claims is started. A silence is never taken for a no: a peer has answered, or it is gone.
 */
import { type Copy, Ended, isSame } from "./ended.ts";

/** A job in this node's hands, from its delivery to its settlement, whatever happens to the connection meanwhile. */
export interface InHand {
  readonly copy: Copy;
  /** It has a delivery of a channel that lives. */
  readonly attached: boolean;
}

/** A delivery as it came. */
interface Arrival<T> {
  readonly copy: Copy;
  readonly item: T;
  /** Redelivered. */
  readonly again: boolean;
  /** It came through a queue that may make copies. */
  readonly doubled: boolean;
}

/** A delivery that must not start before it is known whose it is. */
class Doubt<T> {
  /** Peers that have said no. */
  readonly heard = new Set<string>();
  /** The live node that has it in hand. */
  owner: string | undefined;
  askedAt = Number.NEGATIVE_INFINITY;
  /** It takes a place of the prefetch, and the broker may send another in its stead. */
  held = false;
  constructor(
    readonly arrival: Arrival<T>,
    /** Somebody who is silent may have started it. */
    readonly flagged: boolean,
    readonly since: number,
  ) {}

  get copy(): Copy {
    return this.arrival.copy;
  }

  get item(): T {
    return this.arrival.item;
  }
}

export interface Peerage {
  readonly names: readonly string[];
  /** It may not know yet that somebody who is silent is gone. */
  readonly young: boolean;
  /** It may not know yet who is there. */
  readonly unheard: boolean;
}

/** What adoption wants done; `T` is the delivery. */
export interface AdoptionOut<T> {
  /** `unclaimed`: it came again, and nobody has it: somebody who is gone may have run it. */
  start(item: T, unclaimed: boolean): void;
  /** It has ended: acknowledge it. */
  over(item: T): void;
  /** It is the redelivery of what is in hand: that one settles by this delivery from now on. */
  adopt(item: T, id: string): void;
  /**
   * It is held: for another node, behind a copy here, or since nobody can tell yet whose it is. It takes a place of the
   * prefetch meanwhile; `false`: no more.
   */
  hold(item: T, held: boolean): void;
  /** To all nodes: who has these in hand? */
  ask(copies: readonly Copy[]): void;
}

export type Claim = "running" | "ended" | "no";

const ASK_AGAIN_MS = 300;
const POLL_OWNER_MS = 1_000;
/** Most doubts are over sooner; the window is not made larger for those. */
const HELD_AFTER_MS = 1_000;
const MOST_RETURNED = 20_000;
/** One question names at most so many. */
const MOST_ASKED = 500;

export class Adoption<T> {
  readonly ended: Ended;
  readonly #self: string;
  readonly #peers: Peerage;
  readonly #inHand: (id: string) => InHand | undefined;
  readonly #accounted: (item: T) => boolean;
  readonly #doubts = new Map<string, Doubt<T>[]>();
  /** Some doubt has lasted for so long that all of them are held. */
  #slow = false;
  /** Deliveries of an id that is in hand as another copy: they wait for its end. */
  readonly #parked = new Map<string, Arrival<T>[]>();
  /** What this node has handed back without starting it: nobody has to be old to know that it did not run here. */
  readonly #returned = new Map<string, Copy>();

  constructor(parts: {
    readonly self: string;
    readonly peers: Peerage;
    readonly inHand: (id: string) => InHand | undefined;
    /** A list says who may be there, and all of those have been heard or have left: also a young node can judge. */
    readonly accounted: (item: T) => boolean;
    readonly now: number;
  }) {
    this.#self = parts.self;
    this.#peers = parts.peers;
    this.#inHand = parts.inHand;
    this.#accounted = parts.accounted;
    this.ended = new Ended(parts.now);
  }

  /** Nothing waits for an answer. */
  get settled(): boolean {
    return this.#doubts.size === 0;
  }

  /** `again`: redelivered; `doubled`: it came through a queue that may make copies. */
  arrived(copy: Copy, item: T, again: boolean, doubled: boolean, now: number, out: AdoptionOut<T>): void {
    const arrival = { copy, item, again, doubled };
    if (this.#isDecided(arrival, out)) return;
    if (!again && !doubled) return out.start(item, false);
    const returned = this.#returned.get(copy.id);
    const mine = returned !== undefined && isSame(returned, copy);
    const doubt = new Doubt(arrival, again && !mine, now);
    if (this.#nobodyElse(doubt)) return out.start(item, doubt.flagged);
    this.#add(doubt);
    if (this.#slow) this.#hold(doubt, out);
    this.#askAll(now, out);
  }

  /** Something left our hands: what waited for that is looked at anew. */
  left(id: string, now: number, out: AdoptionOut<T>): void {
    for (const doubt of this.#doubts.get(id) ?? []) if (this.ended.has(doubt.copy)) this.#end(doubt, out);
    const parked = this.#parked.get(id);
    if (parked === undefined) return;
    this.#parked.delete(id);
    for (const { copy, item, again, doubled } of parked) {
      out.hold(item, false);
      this.arrived(copy, item, again, doubled, now, out);
    }
  }

  /** As `left`, for what did not start here: it may come again, flagged for no other reason. */
  gaveBack(copy: Copy, now: number, out: AdoptionOut<T>): void {
    if (this.#returned.size >= MOST_RETURNED) this.#returned.clear();
    const { id, attempt, hop, enqueuedAt } = copy;
    this.#returned.set(id, { id, attempt, hop, enqueuedAt });
    this.left(id, now, out);
  }

  /** Another node says what it has in hand, of what it was asked. */
  answered(from: string, claims: readonly (readonly [Copy, Claim])[], out: AdoptionOut<T>): void {
    for (const [copy, claim] of claims) {
      for (const doubt of this.#doubtsOf(copy)) this.#claimed(doubt, from, claim, out);
    }
  }

  /** An owner says of its own accord that these have ended. */
  toldEnded(copies: readonly Copy[], now: number, out: AdoptionOut<T>): void {
    for (const copy of copies) {
      this.ended.add(copy, now, true);
      for (const doubt of this.#doubtsOf(copy)) this.#end(doubt, out);
    }
  }

  /** What this node says when it is asked. Of two that are in doubt about one copy, the smaller name has it. */
  claimOf(copy: Copy, asker: string): Claim {
    if (this.ended.has(copy)) return "ended";
    const mine = this.#inHand(copy.id);
    if (mine !== undefined && isSame(mine.copy, copy)) return "running";
    const doubts = this.#doubtsOf(copy);
    if (this.#self < asker && doubts.length > 0) return "running";
    // whoever asks has it in doubt too by now: a no that it said before is none any more
    for (const doubt of doubts) doubt.heard.delete(asker);
    return "no";
  }

  /**
   * What this node says to one that has it in hand, and was cut off: only what has started or ended here counts against
   * that. Of two that have it in hand the one with a delivery has it, else the smaller name.
   */
  counterClaimOf(copy: Copy, asker: string): Claim {
    if (this.ended.has(copy)) return "ended";
    const mine = this.#inHand(copy.id);
    if (mine === undefined || !isSame(mine.copy, copy)) return "no";
    return mine.attached || this.#self < asker ? "running" : "no";
  }

  /** What it held comes back to us: whether somebody else has it is asked anew. */
  peerGone(name: string, now: number, out: AdoptionOut<T>): void {
    for (const doubt of this.#all()) {
      if (doubt.owner !== name) continue;
      doubt.owner = undefined;
      doubt.heard.clear();
    }
    this.look(now, out);
  }

  /** Called every now and then, and whenever peers have changed: starts what nobody claims, asks for the rest. */
  look(now: number, out: AdoptionOut<T>): void {
    for (const doubt of this.#all()) if (this.#nobodyElse(doubt)) this.#start(doubt, out);
    this.#holdSlow(now, out);
    this.#askAll(now, out);
  }

  /**
   * Where one takes its time, somebody is silent, and the others will take as long: all of them are held, and those that
   * come, or they would pass two by two through a small window for as long as that takes.
   */
  #holdSlow(now: number, out: AdoptionOut<T>): void {
    const doubts = this.#all();
    this.#slow = doubts.some(({ since }) => now - since >= HELD_AFTER_MS);
    if (this.#slow) for (const doubt of doubts) this.#hold(doubt, out);
  }

  /** A channel is gone: the broker has all of it again. `mine`: which items it had brought. */
  lost(mine: (item: T) => boolean, out: AdoptionOut<T>): void {
    for (const doubt of this.#all()) if (mine(doubt.item)) this.#remove(doubt, out);
    for (const [id, parked] of [...this.#parked]) {
      const kept = parked.filter((one) => !mine(one.item));
      for (const { item } of parked) if (mine(item)) out.hold(item, false);
      if (kept.length === 0) this.#parked.delete(id);
      else this.#parked.set(id, kept);
    }
  }

  #claimed(doubt: Doubt<T>, from: string, claim: Claim, out: AdoptionOut<T>): void {
    if (claim === "ended") return this.#end(doubt, out);
    if (claim === "running") {
      this.#hold(doubt, out);
      doubt.owner = from;
      doubt.heard.delete(from);
      return;
    }
    if (claim !== "no") return; // of another version: what it means is not known, and no silence is a no
    if (doubt.owner === from) doubt.owner = undefined;
    doubt.heard.add(from);
    if (this.#nobodyElse(doubt)) this.#start(doubt, out);
  }

  /** Every peer that is alive has said no, and nobody can be there whom we have not heard of yet. */
  #nobodyElse(doubt: Doubt<T>): boolean {
    if (doubt.owner !== undefined || this.#peers.unheard) return false;
    if (doubt.flagged && this.#peers.young && !this.#accounted(doubt.item)) return false;
    return this.#peers.names.every((name) => doubt.heard.has(name));
  }

  #askAll(now: number, out: AdoptionOut<T>): void {
    if (this.#doubts.size === 0 || this.#peers.names.length === 0) return;
    let copies: Copy[] = [];
    for (const doubt of this.#all()) {
      const pause = doubt.owner === undefined ? ASK_AGAIN_MS : POLL_OWNER_MS;
      if (now - doubt.askedAt < pause) continue;
      doubt.askedAt = now;
      copies.push(doubt.copy);
      if (copies.length < MOST_ASKED) continue;
      out.ask(copies);
      copies = [];
    }
    if (copies.length > 0) out.ask(copies);
  }

  #park(arrival: Arrival<T>, out: AdoptionOut<T>): void {
    const { id } = arrival.copy;
    const parked = this.#parked.get(id) ?? [];
    this.#parked.set(id, parked);
    parked.push(arrival);
    out.hold(arrival.item, true);
  }

  #end(doubt: Doubt<T>, out: AdoptionOut<T>): void {
    this.#remove(doubt, out);
    out.over(doubt.item);
  }

  /** It may be in hand or over by now, as the other of two copies. */
  #start(doubt: Doubt<T>, out: AdoptionOut<T>): void {
    this.#remove(doubt, out);
    if (!this.#isDecided(doubt.arrival, out)) out.start(doubt.item, doubt.flagged);
  }

  /** By what this node knows itself. */
  #isDecided(arrival: Arrival<T>, out: AdoptionOut<T>): boolean {
    const { copy, item } = arrival;
    const mine = this.#inHand(copy.id);
    if (this.ended.has(copy)) out.over(item);
    else if (mine === undefined) return false;
    else if (isSame(mine.copy, copy) && !mine.attached) out.adopt(item, copy.id);
    else this.#park(arrival, out);
    return true;
  }

  #hold(doubt: Doubt<T>, out: AdoptionOut<T>): void {
    if (!doubt.held) out.hold(doubt.item, true);
    doubt.held = true;
  }

  #add(doubt: Doubt<T>): void {
    const of = this.#doubts.get(doubt.copy.id) ?? [];
    this.#doubts.set(doubt.copy.id, of);
    of.push(doubt);
  }

  #remove(doubt: Doubt<T>, out: AdoptionOut<T>): void {
    if (doubt.held) out.hold(doubt.item, false);
    const of = this.#doubts.get(doubt.copy.id) ?? [];
    const rest = of.filter((one) => one !== doubt);
    if (rest.length === 0) this.#doubts.delete(doubt.copy.id);
    else this.#doubts.set(doubt.copy.id, rest);
  }

  #doubtsOf(copy: Copy): Doubt<T>[] {
    return (this.#doubts.get(copy.id) ?? []).filter((doubt) => isSame(doubt.copy, copy));
  }

  #all(): Doubt<T>[] {
    return [...this.#doubts.values()].flat();
  }
}
