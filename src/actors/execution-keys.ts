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

interface Lease<W> {
  /** As it was granted; a later ask of the same job (adoption) leaves it as it is. */
  holder: Requester<W>;
  readonly waiters: Requester<W>[];
}

export class ExecutionKeys<W> {
  readonly #leases = new Map<string, Lease<W>>();

  /** True when the job holds the key now (again); else it waits for `grant`. */
  acquire(key: string, requester: Requester<W>): boolean {
    const lease = this.#leases.get(key);
    if (lease === undefined) {
      this.#leases.set(key, { holder: requester, waiters: [] });
      return true;
    }
    if (lease.holder.id === requester.id) return true;
    const at = lease.waiters.findIndex((w) => w.id === requester.id);
    if (at < 0) lease.waiters.push(requester);
    else lease.waiters[at] = requester;
    return false;
  }

  /** Whoever is next, when `id` held the key; `undefined` when it did not, or nobody waits. */
  release(key: string, id: string): Requester<W> | undefined {
    const lease = this.#leases.get(key);
    return lease === undefined || lease.holder.id !== id ? undefined : this.#pass(key, lease);
  }

  #pass(key: string, lease: Lease<W>): Requester<W> | undefined {
    const next = lease.waiters.shift();
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
    const at = lease.waiters.findIndex((w) => w.id === id);
    if (at >= 0) lease.waiters.splice(at, 1);
    return undefined;
  }

  /** Takes every waiter of a requester out of the line (it is gone). */
  withdrawAll(who: W): void {
    for (const lease of this.#leases.values()) {
      for (let i = lease.waiters.length - 1; i >= 0; i--)
        if (lease.waiters[i]?.who === who) lease.waiters.splice(i, 1);
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
      waiting: lease.waiters.length,
    }));
  }
}
