/**
 * Execution keys of one partition: who runs under a key, who waits for it, in order of first arrival.
 *
 * Pure data, no storage: leases of what lives. A key that nobody holds or awaits costs nothing.
 */

/** Somebody who wants a key for a job; `token` comes back with the grant. */
export interface Requester<W> {
  readonly id: string;
  readonly who: W;
  readonly token: number;
}

class Lease<W> {
  /** By id, in the order of first arrival: whoever asks again keeps its place. */
  readonly waiters = new Map<string, Requester<W>>();
  /**
   * Stands before the first waiter: a new one would walk over the places of all who have left, at every grant. It never
   * comes to its end, since it is moved only where somebody waits, and whoever it gives out waits no more.
   */
  #line: Iterator<Requester<W>, unknown> | undefined;

  /** `holder`: as it was granted; a later ask of the same job (adoption) leaves it as it is. */
  constructor(public holder: Requester<W>) {}

  shift(): Requester<W> | undefined {
    if (this.waiters.size === 0) return undefined;
    this.#line ??= this.waiters.values();
    const first = this.#line.next();
    if (first.done === true) return undefined;
    this.waiters.delete(first.value.id);
    return first.value;
  }
}

export class ExecutionKeys<W> {
  readonly #leases = new Map<string, Lease<W>>();

  /** True when the job holds the key now (again); else it waits for `grant`. */
  acquire(key: string, requester: Requester<W>): boolean {
    const lease = this.#leases.get(key);
    if (lease === undefined) {
      this.#leases.set(key, new Lease(requester));
      return true;
    }
    if (lease.holder.id === requester.id) return true;
    lease.waiters.set(requester.id, requester);
    return false;
  }

  /** Whoever is next, when `id` held the key; `undefined` when it did not, or nobody waits. */
  release(key: string, id: string): Requester<W> | undefined {
    const lease = this.#leases.get(key);
    return lease === undefined || lease.holder.id !== id ? undefined : this.#pass(key, lease);
  }

  #pass(key: string, lease: Lease<W>): Requester<W> | undefined {
    const next = lease.shift();
    if (next === undefined) this.#leases.delete(key);
    else lease.holder = next;
    return next;
  }

  /**
   * Takes one ask back: out of the line, or with the grant that is under way to who no longer wants it; whoever is
   * next then. The key of a body that runs, under an older ask of the same job, stays where it is.
   */
  withdraw(key: string, { id, who, token }: Requester<W>): Requester<W> | undefined {
    const lease = this.#leases.get(key);
    if (lease === undefined) return undefined;
    const { holder } = lease;
    if (holder.id === id)
      return holder.who === who && holder.token === token ? this.#pass(key, lease) : undefined;
    lease.waiters.delete(id);
    return undefined;
  }

  /** Takes every waiter of a requester out of the line (it is gone). */
  withdrawAll(who: W): void {
    for (const lease of this.#leases.values()) {
      for (const waiter of lease.waiters.values()) if (waiter.who === who) lease.waiters.delete(waiter.id);
    }
  }

  isHeld(key: string): boolean {
    return this.#leases.has(key);
  }

  /** The job that has it. */
  holderOf(key: string): string | undefined {
    return this.#leases.get(key)?.holder.id;
  }

  holders(): readonly { readonly key: string; readonly id: string; readonly waiting: number }[] {
    return [...this.#leases].map(([key, lease]) => ({
      key,
      id: lease.holder.id,
      waiting: lease.waiters.size,
    }));
  }
}
