/**
 * The two connections of a node, as one: there, or lost.
 *
 * Owns both links and the order in which things come up on a new one. Whoever opened the broker hears `connected` when
 * both are there and `lost` when the first of them goes. Longer than `nodeTimeout` without a connection, others may have
 * started what is in our hands: it is doubtful from then on.
 */
import type { BrokerEvents } from "../broker/contract.ts";
import { Addresses } from "./address.ts";
import { Link, type LinkListener } from "./link.ts";
import type { Parts } from "./parts.ts";
import { BEAT_MS } from "./peers.ts";
import type { Readers } from "./readers.ts";

export class Connections {
  readonly publish: Link;
  readonly consume: Link;
  /** For the seats of coordinators; made when the first of them is stood for, and no part of `isUp`. */
  readonly coordinate: Link;
  readonly #parts: () => Parts;
  #events: BrokerEvents | undefined;
  #readers: Readers | undefined;
  #told: "nothing" | "connected" | "lost" = "nothing";
  #blocked = false;
  #lostAt: number | undefined;
  #ending = false;

  constructor(parts: () => Parts, settings: Parts["settings"], clock: Parts["clock"], node: string) {
    this.#parts = parts;
    const addresses = new Addresses(clock);
    const made = (role: string, listener: LinkListener) =>
      new Link({ settings, clock, name: `${node} ${role}`, listener, addresses });
    this.publish = made(
      "publishes",
      this.#listener(() => this.#parts().publisher.linkUp()),
    );
    this.consume = made(
      "consumes",
      this.#listener(() => this.#consumeUp()),
    );
    this.coordinate = made("coordinates", {
      up: () => this.#parts().coordinators.linkUp(),
      down: (error) => this.#parts().coordinators.linkDown(error),
      notYet: () => {}, // the other two say so
      blocked: () => {},
      unblocked: () => {},
    });
  }

  get isUp(): boolean {
    return this.publish.isUp && this.consume.isUp;
  }

  get events(): BrokerEvents | undefined {
    return this.#events;
  }

  async open(events: BrokerEvents, readers: Readers): Promise<void> {
    this.#events = events;
    this.#readers = readers;
    const { topology, cluster } = this.#parts();
    try {
      await this.consume.open();
      // with one connection nothing is declared yet; with both, everything comes up by itself
      await topology.checkVersion();
      await this.publish.open();
      await topology.base();
      cluster.start();
      await cluster.linkUp();
    } catch (error) {
      this.#ending = true;
      await this.close();
      throw error;
    }
  }

  /** Closed, or on its way there. */
  get isEnding(): boolean {
    return this.#ending;
  }

  /** For longer than others wait for this node: they may have started what is in its hands. */
  get isCutOff(): boolean {
    const { clock, nodeTimeoutMs, settings } = this.#parts();
    if (this.#lostAt === undefined) return false;
    // a dead connection is noticed after two heartbeats, at most three; the last beat that others heard is older still
    const unnoticedMs = 3 * settings.heartbeatS * 1_000 + BEAT_MS;
    return clock.now() - this.#lostAt + unnoticedMs > nodeTimeoutMs;
  }

  /** True the first time. */
  ending(): boolean {
    if (this.#ending) return false;
    this.#ending = true;
    return true;
  }

  async close(): Promise<void> {
    await Promise.all([this.consume.close(), this.publish.close()]);
  }

  /** How long we could not be heard, when that is over. */
  heardAgain(): void {
    if (this.isCutOff) this.#parts().custody.hands.doubtAll();
    this.#lostAt = undefined;
  }

  #consumeUp(): void {
    this.#parts().topology.renew();
    this.#parts().bindings.linkUp();
    this.#readers?.linkUp();
  }

  #listener(up: () => void): LinkListener {
    return {
      up: () => {
        up();
        void this.#parts().cluster.linkUp();
        if (this.isUp) this.#tell("connected");
      },
      down: (error) => {
        this.#lostAt ??= this.#parts().clock.now();
        this.#setBlocked(undefined);
        this.#tell("lost", error);
      },
      notYet: (error) => this.#parts().logger.warn(error.message),
      blocked: (reason) => this.#setBlocked(reason),
      unblocked: () => {
        this.#setBlocked(undefined);
        this.#parts().publisher.unblocked();
      },
    };
  }

  #setBlocked(reason: string | undefined): void {
    if (this.#blocked === (reason !== undefined)) return;
    this.#blocked = reason !== undefined;
    if (reason !== undefined) this.#events?.blocked(reason);
    else this.#events?.unblocked();
  }

  #tell(what: "connected" | "lost", error?: Error): void {
    if (this.#told === what || this.#ending) return;
    if (what === "lost" && this.#told === "nothing") return; // it was never said to be there
    this.#told = what;
    // a turn later: never from within a call that opens it
    queueMicrotask(() => {
      if (what === "connected") this.#events?.connected();
      else if (error !== undefined) this.#events?.lost(error);
    });
  }
}
