/**
 * `runtime.system`: commands between nodes, and this node's own state.
 *
 * Owns nothing; the table of commands is the node's.
 */
import { stopConsuming } from "../actors/shutdown-handler.ts";
import type { Command } from "../actors/system.ts";
import type { NodeAnswer } from "../broker/contract.ts";
import { type Duration, toMs } from "../jobs/duration.ts";
import type { Node } from "./node.ts";

const CALL_MS = 5_000;

export class System {
  readonly #node: Node;
  readonly #active: () => boolean;
  #connected = false;

  constructor(node: Node, active: () => boolean) {
    this.#node = node;
    this.#active = active;
    this.register("ping", () => "pong");
    node.services.events.on("broker.connected", () => {
      this.#connected = true;
    });
    node.services.events.on("broker.lost", () => {
      this.#connected = false;
    });
  }

  /** Runs a command on every live node: one entry a node, a late one an error in its place. Default 5 s. */
  call(
    command: string,
    args?: unknown,
    options: { readonly timeout?: Duration } = {},
  ): Promise<readonly NodeAnswer[]> {
    const timeoutMs = options.timeout === undefined ? CALL_MS : toMs(options.timeout, { name: "timeout" });
    return this.#node.services.broker.cluster.call(command, args, timeoutMs);
  }

  /** The same without waiting for answers. */
  cast(command: string, args?: unknown): void {
    this.#node.services.broker.cluster.cast(command, args);
  }

  /** Makes a command known on this node; the last one of a name wins. */
  register(command: string, handler: Command): void {
    this.#node.commands.set(command, handler);
  }

  /** Whether this node takes work: it has started, and neither stopped nor been set inactive. */
  isActive(): boolean {
    return this.#active() && this.#node.services.phase !== "inactive";
  }

  /** Whether the broker can be reached, as far as this node knows. */
  isConnected(): boolean {
    return this.#connected && this.#active();
  }

  /** For good: this node starts no new partition (one that is asked for waits); those that run go on. */
  setInactive(): void {
    const { services } = this.#node;
    if (services.phase === "running") services.phase = "inactive";
  }

  /** For good: this node takes no more jobs. What has not started goes back; bodies that run end in their own time. */
  async unsubscribeAll(): Promise<void> {
    const { services, kernel, wanted } = this.#node;
    services.takesJobs = false;
    await Promise.all([...wanted.keys()].map((partition) => stopConsuming(kernel, partition)));
  }
}
