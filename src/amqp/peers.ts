/**
 * The other nodes: who is there, who is late, who is gone.
 *
 * Pure. A node is *late* after three missed heartbeats, for information and calls, and *gone* after `nodeTimeout` of
 * silence, or at once when it said farewell. Silence counts only while our own connection is up: whoever was cut off
 * heard nobody, and starts all clocks anew. Adoption rests on *gone*, so it must never come too early.
 */

/** What a node says of itself. */
export interface Announcement {
  readonly jobs: readonly string[];
  /** Names of queues on the broker that it has declared. */
  readonly queues: readonly string[];
  /** Exchanges of other systems that it makes jobs of: names of bindings. Nodes of an earlier version say nothing of that. */
  readonly bindings?: readonly string[];
  readonly queueType: string;
  readonly topology: number;
  readonly nodeTimeoutMs: number;
  /** Who else is there, as it knows. Nodes of an earlier version say nothing of that. */
  readonly peers?: readonly (readonly [name: string, boot: string])[];
}

export interface Peer {
  readonly name: string;
  /** Drawn anew by each process. */
  boot: string;
  silentMs: number;
  late: boolean;
  /** Of the announcement we have, and of the one it speaks of; they differ until it is told. */
  version: number;
  announcement: Announcement | undefined;
}

export interface PeersOut {
  /** `state` changed; `gone` also means that it is in the list no more, and without a farewell that it may have died. */
  peer(name: string, boot: string, state: "up" | "late" | "gone", farewell?: boolean): void;
}

export const BEAT_MS = 2_000;
const LATE_MS = 3 * BEAT_MS;
/** A stall of this process is not the others' silence. */
const LONGEST_STEP_MS = 2_000;
/** Who is there answers our hello within this. */
const HELLO_MS = 1_000;
/** Who has left is told from who has only been heard of by name. */
const MOST_DEPARTED = 1_000;

/** What another node says may be anything. */
const isIn = (list: unknown, text: string) => Array.isArray(list) && list.includes(text);

export class Peers {
  readonly #peers = new Map<string, Peer>();
  readonly #goneMs: number;
  readonly #departed = new Set<string>();
  /** For how long this node has been connected, all in all. */
  connectedMs = 0;
  /** The same since it was last cut off. */
  #sinceMs = 0;
  /** `connectedMs` when somebody was last gone without a farewell. */
  #crashedAtMs = Number.NEGATIVE_INFINITY;

  constructor(nodeTimeoutMs: number) {
    this.#goneMs = nodeTimeoutMs;
  }

  /** It has not been there long enough to know that somebody who is silent is gone. */
  get young(): boolean {
    return this.connectedMs < this.#goneMs;
  }

  /** It has only just come (back), and may not have heard of everybody who is there. */
  get unheard(): boolean {
    return this.#sinceMs < HELLO_MS;
  }

  /** Somebody was gone without a farewell within this time. */
  crashedWithin(ms: number): boolean {
    return this.connectedMs - this.#crashedAtMs < ms;
  }

  get alive(): readonly Peer[] {
    return [...this.#peers.values()];
  }

  get names(): readonly string[] {
    return [...this.#peers.keys()];
  }

  get size(): number {
    return this.#peers.size;
  }

  has(name: string): boolean {
    return this.#peers.has(name);
  }

  get(name: string): Peer | undefined {
    return this.#peers.get(name);
  }

  knows(job: string): boolean {
    for (const peer of this.#peers.values()) if (peer.announcement?.jobs.includes(job) === true) return true;
    return false;
  }

  /** Whether a live node makes jobs of what comes by this binding. */
  binds(binding: string): boolean {
    return this.alive.some(({ announcement }) => isIn(announcement?.bindings, binding));
  }

  /** Anything that came from it is a sign of life. */
  heard(name: string, boot: string, out: PeersOut): Peer {
    const known = this.#peers.get(name);
    if (known !== undefined && known.boot === boot) {
      known.silentMs = 0;
      if (known.late) {
        known.late = false;
        out.peer(name, boot, "up");
      }
      return known;
    }
    // its process is another one: it answers for itself, and has nothing of what the one before had in hand. Not gone
    // and up again: of two processes that share a name by mistake each would free what the other has, at every beat.
    if (known !== undefined) this.#crashedAtMs = this.connectedMs;
    if (known !== undefined)
      return Object.assign(known, { boot, silentMs: 0, version: 0, announcement: undefined });
    const peer: Peer = { name, boot, silentMs: 0, late: false, version: 0, announcement: undefined };
    this.#peers.set(name, peer);
    out.peer(name, boot, "up");
    return peer;
  }

  /**
   * Others say that these are there. Whoever is new to us may hold what comes to us next: it is a peer until it has been
   * silent for long enough. True when somebody was new.
   */
  heardOf(named: readonly (readonly [name: string, boot: string])[], out: PeersOut): boolean {
    let isNew = false;
    for (const [name, boot] of named) {
      if (this.#peers.has(name) || this.#departed.has(`${name} ${boot}`)) continue;
      isNew = true;
      this.heard(name, boot, out);
    }
    return isNew;
  }

  /** It said farewell. */
  left(name: string, boot: string, out: PeersOut): void {
    this.#gone(name, boot, true, out);
  }

  #gone(name: string, boot: string, farewell: boolean, out: PeersOut): void {
    if (this.#departed.size >= MOST_DEPARTED) this.#departed.clear();
    this.#departed.add(`${name} ${boot}`);
    if (this.#peers.get(name)?.boot !== boot) return;
    this.#peers.delete(name);
    if (!farewell) this.#crashedAtMs = this.connectedMs;
    out.peer(name, boot, "gone", farewell);
  }

  /** Our own connection is gone: whoever comes now is not heard. */
  disconnected(): void {
    this.#sinceMs = 0;
  }

  /** Our own connection is new: nobody could be heard before it. */
  connected(): void {
    this.#sinceMs = 0;
    for (const peer of this.#peers.values()) peer.silentMs = 0;
  }

  /** So much time has passed, with our connection up and not blocked. */
  elapsed(ms: number, out: PeersOut): void {
    const step = Math.min(ms, LONGEST_STEP_MS);
    this.connectedMs += step;
    this.#sinceMs += step;
    for (const peer of [...this.#peers.values()]) {
      peer.silentMs += step;
      if (peer.silentMs >= this.#goneMs) this.#gone(peer.name, peer.boot, false, out);
      else if (peer.silentMs >= LATE_MS && !peer.late) {
        peer.late = true;
        out.peer(peer.name, peer.boot, "late");
      }
    }
  }
}
