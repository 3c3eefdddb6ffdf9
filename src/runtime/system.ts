/**
 * `runtime.system`: commands between nodes, and this node's own state.
 *
 * Owns nothing; the table of commands is the node's.
 */
import type { Command } from "../actors/system.ts";
import type { NodeAnswer } from "../broker/contract.ts";
import { type Duration, toMs } from "../jobs/duration.ts";
import type { Node } from "./node.ts";

const CALL_MS = 5_000;

export class System {
  readonly #node: Node;
  readonly #active: () => boolean;

  constructor(node: Node, active: () => boolean) {
    this.#node = node;
    this.#active = active;
    this.register("ping", () => "pong");
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

  /** Whether this node takes work: it has started and not stopped. */
  isActive(): boolean {
    return this.#active();
  }
}
