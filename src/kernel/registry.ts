/**
 * Names of live actors.
 *
 * Owns the map of names that were given; a default name (`kind:pid`) is found by a walk through the tree
 * instead, since an actor a job must not pay for a name nobody asks for. A name is free again when its actor
 * has ended, after its `terminate`.
 */

import type { Cell } from "./actor.ts";
import { NameTaken } from "./errors.ts";

export class Registry {
  private readonly names = new Map<string, Cell>();

  /** Throws `NameTaken`. */
  add(name: string, cell: Cell): void {
    if (this.names.has(name)) throw new NameTaken(name);
    this.names.set(name, cell);
  }

  remove(name: string, cell: Cell): void {
    if (this.names.get(name) === cell) this.names.delete(name);
  }

  get(name: string): Cell | undefined {
    return this.names.get(name);
  }
}
