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
  holder: string;
  readonly waiters: Requester<W>[];
}

export class ExecutionKeys<W> {
  readonly #leases = new Map<string, Lease<W>>();

  /** True when the job holds the key now (again); else it waits for `grant`. */
  acquire(key: string, requester: Requester<W>): boolean {
    const lease = this.#leases.get(key);
    if (lease === undefined) {
      this.#leases.set(key, { holder: requester.id, waiters: [] });
      return true;
    }
    if (lease.holder === requester.id) return true;
    const at = lease.waiters.findIndex((w) => w.id === requester.id);
    if (at < 0) lease.waiters.push(requester);
    else lease.waiters[at] = requester;
    return false;
  }

  /** Whoever is next, when `id` held the key; `undefined` when it did not, or nobody waits. */
  release(key: string, id: string): Requester<W> | undefined {
    const lease = this.#leases.get(key);
    if (lease === undefined || lease.holder !== id) return undefined;
    const next = lease.waiters.shift();
    if (next === undefined) this.#leases.delete(key);
    else lease.holder = next.id;
    return next;
  }

  /** Takes a waiter out of the line. */
  withdraw(key: string, id: string): void {
    const lease = this.#leases.get(key);
    const at = lease?.waiters.findIndex((w) => w.id === id) ?? -1;
    if (at >= 0) lease?.waiters.splice(at, 1);
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

  holders(): readonly { readonly key: string; readonly id: string; readonly waiting: number }[] {
    return [...this.#leases].map(([key, lease]) => ({
      key,
      id: lease.holder,
      waiting: lease.waiters.length,
    }));
  }
}
