/**
 * Execution keys: who runs under a key, who waits for it, in order of first arrival.
 *
 * Owns leases of listed nodes; nothing of it is stored. After an election all keys are closed until every listed node has
 * announced what it holds and awaits, or is gone. What a node that is gone held stays held until its bodies must have
 * ended. What an announcement says is held is held, even if two hold it then: the key is free when both have ended. Whoever
 * leaves for a round keeps its place by its id, within bounds; its turn passes if it is not back in time.
 */
import type { CoordinatorOut } from "./apply.ts";
import { DueLine } from "./due-line.ts";
import { type Ask, type Away, Lease, type Member } from "./lease.ts";
import type { Held, Holder, NodeId, Request } from "./requests.ts";

type Out = Pick<CoordinatorOut, "notice">;
type Leave = { readonly executionKey: string; readonly id: string; readonly token: number | undefined };
type Announcement = Pick<Request & { t: "announce" }, "serial" | "holds" | "awaits">;

/** A round takes a second, and what stands before it in its queue. */
export const ROUND_MS = 1_500;
/** Who comes back later than this stands at the end of the line. */
export const AWAY_KEPT_MS = 30 * 60_000;
export const MOST_AWAY = 100_000;

export class Leases {
  readonly #leases = new Map<string, Lease>();
  /** The listed nodes, by name. */
  readonly #members = new Map<string, Member>();
  /** Whose word is awaited. */
  readonly #silent = new Set<Member>();
  #closedUntil = 0;
  #isOpen = false;
  /** Held by nodes that are gone. */
  readonly #orphans = new DueLine<Ask>();
  /** Whose turn passes then, if it has come. */
  readonly #rounds = new DueLine<Away>();
  /** Whose place is forgotten then. */
  readonly #places = new DueLine<Away>();
  #arrivals = 0;

  /** Forgets all, and asks these. `closedUntil`: before, somebody who is gone may hold any key. */
  elect(nodes: Iterable<NodeId>, closedUntil: number, now: number, out: Out): void {
    this.#leases.clear();
    this.#members.clear();
    this.#silent.clear();
    for (const line of [this.#orphans, this.#rounds, this.#places]) line.sorted([]);
    this.#isOpen = false;
    this.#closedUntil = closedUntil;
    for (const node of nodes) this.#silent.add(this.join(node));
    this.#look(now, out);
  }

  join({ node, boot }: NodeId): Member {
    const member = { node, boot, asks: new Set<Ask>(), serial: -1 };
    this.#members.set(node, member);
    return member;
  }

  /** What it holds is granted again at `regrantAt`; if it has not said what that is, no key is until then. */
  leave(node: NodeId, regrantAt: number, now: number, out: Out): void {
    const member = this.#memberOf(node);
    if (member === undefined) return;
    this.#members.delete(node.node);
    if (this.#silent.delete(member)) this.#closedUntil = Math.max(this.#closedUntil, regrantAt);
    for (const ask of member.asks) {
      if (ask.lease.isHeldUnder(ask)) this.#orphans.push(regrantAt, ask);
      else this.#remove(ask, now, out);
    }
    this.#look(now, out);
  }

  /** Whether a listed node may run something under a key. */
  mayHold(node: NodeId): boolean {
    const member = this.#memberOf(node);
    if (member === undefined) return false;
    if (this.#silent.has(member)) return true;
    for (const ask of member.asks) if (ask.lease.isHeldUnder(ask)) return true;
    return false;
  }

  /**
   * Granted when the job holds the key (again); else its grant is a notice, and `place` grows along the line. Who is not
   * listed is asked once it is.
   */
  ask(from: NodeId, held: Held, now: number): { readonly granted: boolean; readonly place?: number } {
    const member = this.#memberOf(from);
    if (member === undefined) return { granted: false };
    const { ask, granted } = this.#ask(member, held, now);
    return granted ? { granted } : { granted, place: ask.arrival };
  }

  /** Takes one ask back. What the same job holds under another one stays where it is: its body may run. */
  withdraw(from: NodeId, { executionKey, id, token }: Held, now: number, out: Out): void {
    const asks = this.#asksOf(from, executionKey, id).filter((ask) => ask.token === token);
    for (const ask of asks) this.#remove(ask, now, out);
  }

  /** The asks of a job up to this one, or all of them. `over`: it has come to its end, so nobody waits for its return. */
  end(from: NodeId, { executionKey, id, token }: Leave, over: boolean, now: number, out: Out): void {
    const lease = this.#leases.get(executionKey);
    if (over) lease?.hasEnded(id);
    for (const ask of this.#asksOf(from, executionKey, id)) {
      if (token === undefined || ask.token <= token) this.#remove(ask, now, out);
    }
    if (lease !== undefined) this.#pass(lease, now, out);
  }

  /** As `end`; it comes back, and has its old place then. The key waits for it for a moment, if it is its turn. */
  goesRound(from: NodeId, { executionKey, id, token }: Leave, now: number, out: Out): void {
    const asks = this.#asksOf(from, executionKey, id).filter(
      (ask) => token === undefined || ask.token <= token,
    );
    const [first] = asks;
    if (first === undefined) return;
    for (const ask of asks) ask.lease.remove(ask);
    const away = first.lease.leaves(id, first.arrival, now + ROUND_MS);
    this.#rounds.push(away.until, away);
    this.#places.push(now + AWAY_KEPT_MS, away);
    if (this.#places.size > MOST_AWAY) this.#forget(this.#places.take(Number.POSITIVE_INFINITY), now, out);
    this.#pass(first.lease, now, out);
  }

  /** Replaces what is known of a node. What it awaits and was granted already was lost on its way. */
  announce(from: NodeId, { serial, holds, awaits }: Announcement, now: number, out: Out): void {
    const member = this.#memberOf(from);
    if (member === undefined || serial <= member.serial) return;
    member.serial = serial;
    const stale = new Set(member.asks);
    for (const held of holds) stale.delete(this.#held(this.#lease(held.executionKey), member, held));
    for (const held of awaits) {
      const { ask, granted } = this.#ask(member, held, now);
      stale.delete(ask);
      if (granted) tell(ask, out);
    }
    for (const ask of stale) this.#remove(ask, now, out);
    this.#silent.delete(member);
    this.#look(now, out);
  }

  /** By hand, whoever holds it. */
  release(key: string, now: number, out: Out): string | undefined {
    const lease = this.#leases.get(key);
    const id = lease?.holder?.id;
    for (const ask of [...(lease?.holders ?? [])]) ask.lease.remove(ask);
    if (lease !== undefined) this.#pass(lease, now, out);
    return id;
  }

  /** Whoever's job is held by a node that is gone is first in the line: it came first. */
  tick(now: number, out: Out): void {
    for (let ask = this.#orphans.take(now); ask !== undefined; ask = this.#orphans.take(now))
      if (ask.lease.isHeldUnder(ask)) this.#remove(ask, now, out, ask.id);
    for (let away = this.#rounds.take(now); away !== undefined; away = this.#rounds.take(now))
      if (this.#isKnown(away.lease)) this.#pass(away.lease, now, out);
    for (let away = this.#places.take(now); away !== undefined; away = this.#places.take(now))
      this.#forget(away, now, out);
    this.#look(now, out);
  }

  /** When `tick` has something to do. */
  get due(): number | undefined {
    const opens = this.#isOpen || this.#silent.size > 0 ? undefined : this.#closedUntil;
    const all = [opens, this.#orphans.next, this.#rounds.next, this.#places.next];
    const due = Math.min(...all.filter((at) => at !== undefined));
    return Number.isFinite(due) ? due : undefined;
  }

  holderOf(key: string): string | undefined {
    return this.#leases.get(key)?.holder?.id;
  }

  holders(): readonly Holder[] {
    return [...this.#leases.values()].flatMap(({ key, holder, waiting }) =>
      holder === undefined ? [] : [{ key, id: holder.id, node: holder.who.node, waiting }],
    );
  }

  /** Keys that somebody holds or awaits. */
  get size(): number {
    return this.#leases.size;
  }

  #memberOf({ node, boot }: NodeId): Member | undefined {
    const member = this.#members.get(node);
    return member?.boot === boot ? member : undefined;
  }

  #lease(key: string): Lease {
    const known = this.#leases.get(key);
    if (known !== undefined) return known;
    const lease = new Lease(key);
    this.#leases.set(key, lease);
    return lease;
  }

  #ask(member: Member, held: Held, now: number): { readonly ask: Ask; readonly granted: boolean } {
    const lease = this.#lease(held.executionKey);
    if (lease.isRunOn(member, held.id) || (this.#isOpen && lease.isFor(held.id, now)))
      return { ask: this.#held(lease, member, held), granted: true };
    return { ask: lease.awaited(member, held, ++this.#arrivals), granted: false };
  }

  #held(lease: Lease, member: Member, held: Held): Ask {
    return lease.held(member, held, ++this.#arrivals);
  }

  #asksOf(from: NodeId, key: string, id: string): readonly Ask[] {
    return this.#leases.get(key)?.asksOf(from, id) ?? [];
  }

  #remove(ask: Ask, now: number, out: Out, heir?: string): void {
    ask.lease.remove(ask);
    this.#pass(ask.lease, now, out, heir);
  }

  #pass(lease: Lease, now: number, out: Out, heir?: string): void {
    const next = this.#isOpen ? lease.next(heir, now) : undefined;
    if (next !== undefined) tell(next, out);
    else if (lease.isEmpty && this.#isKnown(lease)) this.#leases.delete(lease.key);
  }

  #isKnown(lease: Lease): boolean {
    return this.#leases.get(lease.key) === lease;
  }

  #forget(away: Away | undefined, now: number, out: Out): void {
    if (away === undefined || !this.#isKnown(away.lease)) return;
    away.lease.forget(away);
    this.#pass(away.lease, now, out);
  }

  #look(now: number, out: Out): void {
    if (this.#isOpen || this.#silent.size > 0 || now < this.#closedUntil) return;
    this.#isOpen = true;
    for (const lease of this.#leases.values()) this.#pass(lease, now, out);
  }
}

function tell({ lease, id, token, who }: Ask, out: Out): void {
  const to = { node: who.node, boot: who.boot };
  out.notice({ t: "granted", to, executionKey: lease.key, id, token });
}
