/**
 * Gloom by itself, as its authors had it: a daemon that distributes jobs to slaves and keeps nothing.
 *
 * Owns one server, and the heartbeats and ages of its slaves. For jobs that must not be lost there is the runtime, whose
 * gateway this is too (`gloom`).
 */
import { type Kept, Upkeep } from "../../actors/external/upkeep.ts";
import { systemClock } from "../../kernel/clock.ts";
import type { Peer } from "./board.ts";
import type { Connection } from "./connection.ts";
import { type CheckedGloomDaemon, checkGloomDaemonOptions, type GloomDaemonOptions } from "./options.ts";
import type { Request } from "./requests.ts";
import { type GloomAddress, GloomServer, type SlaveWatch } from "./server.ts";

/** A daemon that listens. */
export interface GloomDaemon {
  readonly address: GloomAddress;
  /** How many are connected, and how many jobs wait or run. */
  readonly counts: { readonly masters: number; readonly slaves: number; readonly jobs: number };
  /** Ends all connections; may be called twice. */
  stop(): Promise<void>;
}

/** @throws InvalidOptions, GatewayUnavailable. */
export async function startGloom(options: GloomDaemonOptions = {}): Promise<GloomDaemon> {
  const checked = checkGloomDaemonOptions(options);
  const slaves = new Slaves(checked);
  const server = new GloomServer(checked, slaves);
  slaves.server = server;
  const address = await server.start();
  return {
    address,
    get counts() {
      return server.counts;
    },
    stop: () => server.stop(),
  };
}

/** Heartbeats and ages of slaves that have joined, by the same rules as a runtime's workers. */
class Slaves implements SlaveWatch {
  server: GloomServer | undefined;
  readonly #upkeep: Upkeep;
  readonly #kept = new Map<Peer, Kept>();

  constructor(options: CheckedGloomDaemon) {
    this.#upkeep = new Upkeep({ ...options, clock: systemClock });
  }

  joined({ number: peer }: Connection, { extended }: Request & { readonly t: "join" }): void {
    if (this.#kept.has(peer)) return;
    const kept: Kept = {
      // Whether it has a job is the board's to know, which lets it finish.
      busy: false,
      hears: extended,
      ping: () => this.server?.send(peer, '{"action":"ping"}'),
      end: (_why, body) => (body ? this.server?.end(peer) : this.server?.dismiss(peer)),
    };
    this.#kept.set(peer, kept);
    this.#upkeep.admit(kept);
  }

  free(peer: Peer): void {
    this.note(peer);
  }

  taken(peer: Peer): void {
    this.note(peer);
  }

  ended(peer: Peer): void {
    this.note(peer);
  }

  note(peer: Peer): void {
    const kept = this.#kept.get(peer);
    if (kept !== undefined) this.#upkeep.heard(kept);
  }

  left(peer: Peer): void {
    const kept = this.#kept.get(peer);
    this.#kept.delete(peer);
    if (kept !== undefined) this.#upkeep.forget(kept);
  }
}
