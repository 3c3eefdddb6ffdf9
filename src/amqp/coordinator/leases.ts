/**
 * Execution keys: who runs under a key, who waits for it, in order of first arrival.
 *
 * Owns leases of listed nodes; nothing of it is stored. After an election all keys are closed until every listed node has
 * announced what it holds and awaits, or is gone. What a node that is gone held stays held until its bodies must have
 * ended. What an announcement says is held is held, even if two hold it then: the key is free when both have ended.
 */
import type { CoordinatorOut } from "./apply.ts";
import { DueLine } from "./due-line.ts";
import { type Ask, Lease, type Member } from "./lease.ts";
import type { Held, Holders, NodeId, Request } from "./requests.ts";

type Out = Pick<CoordinatorOut, "notice">;
type Announcement = Pick<Request & { t: "announce" }, "serial" | "holds" | "awaits">;

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

  /** Forgets all, and asks these. `closedUntil`: before, somebody who is gone may hold any key. */
  elect(nodes: Iterable<NodeId>, closedUntil: number, now: number, out: Out): void {
    this.#leases.clear();
    this.#members.clear();
    this.#silent.clear();
    this.#orphans.sorted([]);
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
      else this.#remove(ask, out);
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

  /** True when the job holds the key (again); else its grant is a notice. Who is not listed is asked once it is. */
  ask(from: NodeId, held: Held): boolean {
    const member = this.#memberOf(from);
    return member !== undefined && this.#ask(member, held).granted;
  }

  /** Takes one ask back. What the same job holds under another one stays where it is: its body may run. */
  withdraw(from: NodeId, { executionKey, id, token }: Held, out: Out): void {
    this.#removeAll(executionKey, from, id, (ask) => ask.token === token, out);
  }

  /** The asks of a job up to this one, or all of them. */
  end(from: NodeId, executionKey: string, id: string, token: number | undefined, out: Out): void {
    this.#removeAll(executionKey, from, id, (ask) => token === undefined || ask.token <= token, out);
  }

  /** Replaces what is known of a node. What it awaits and was granted already was lost on its way. */
  announce(from: NodeId, { serial, holds, awaits }: Announcement, now: number, out: Out): void {
    const member = this.#memberOf(from);
    if (member === undefined || serial <= member.serial) return;
    member.serial = serial;
    const stale = new Set(member.asks);
    for (const held of holds) stale.delete(this.#lease(held.executionKey).held(member, held));
    for (const held of awaits) {
      const { ask, granted } = this.#ask(member, held);
      stale.delete(ask);
      if (granted) tell(ask, out);
    }
    for (const ask of stale) this.#remove(ask, out);
    this.#silent.delete(member);
    this.#look(now, out);
  }

  /** By hand, whoever holds it. */
  release(key: string, out: Out): string | undefined {
    const lease = this.#leases.get(key);
    const id = lease?.holder?.id;
    for (const ask of [...(lease?.holders ?? [])]) ask.lease.remove(ask);
    if (lease !== undefined) this.#pass(lease, out);
    return id;
  }

  /** Whoever's job is held by a node that is gone is first in the line: it came first. */
  tick(now: number, out: Out): void {
    for (let ask = this.#orphans.take(now); ask !== undefined; ask = this.#orphans.take(now))
      if (ask.lease.isHeldUnder(ask)) this.#remove(ask, out, ask.id);
    this.#look(now, out);
  }

  /** When `tick` has something to do. */
  get due(): number | undefined {
    const orphan = this.#orphans.next;
    if (this.#isOpen || this.#silent.size > 0) return orphan;
    return Math.min(this.#closedUntil, orphan ?? Number.POSITIVE_INFINITY);
  }

  holderOf(key: string): string | undefined {
    return this.#leases.get(key)?.holder?.id;
  }

  holders(): Holders["executing"] {
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

  #ask(member: Member, held: Held): { readonly ask: Ask; readonly granted: boolean } {
    const lease = this.#lease(held.executionKey);
    if (lease.isRunOn(member, held.id) || (this.#isOpen && lease.isFree))
      return { ask: lease.held(member, held), granted: true };
    return { ask: lease.awaited(member, held), granted: false };
  }

  #removeAll(key: string, from: NodeId, id: string, which: (ask: Ask) => boolean, out: Out): void {
    const asks = this.#leases.get(key)?.asksOf(from, id) ?? [];
    for (const ask of asks) if (which(ask)) this.#remove(ask, out);
  }

  #remove(ask: Ask, out: Out, heir?: string): void {
    ask.lease.remove(ask);
    this.#pass(ask.lease, out, heir);
  }

  #pass(lease: Lease, out: Out, heir?: string): void {
    const next = this.#isOpen ? lease.next(heir) : undefined;
    if (next !== undefined) tell(next, out);
    else if (lease.isEmpty) this.#leases.delete(lease.key);
  }

  #look(now: number, out: Out): void {
    if (this.#isOpen || this.#silent.size > 0 || now < this.#closedUntil) return;
    this.#isOpen = true;
    for (const lease of this.#leases.values()) this.#pass(lease, out);
  }
}

function tell({ lease, id, token, who }: Ask, out: Out): void {
  const to = { node: who.node, boot: who.boot };
  out.notice({ t: "granted", to, executionKey: lease.key, id, token });
}
