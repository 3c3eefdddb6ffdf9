/**
 * The tree as it is read: one plain node an actor, and one for each slot of a supervisor that is between two
 * lives.
 *
 * Owns nothing and changes nothing; may be called at any time, also from inside an actor. A `describe` that
 * throws is shown as its error's text.
 */

import { type Cell, ENDING, RUNNING, STOPPING } from "./actor.ts";
import { toError } from "./exit.ts";
import { childrenInOrder } from "./links.ts";
import type { SlotView } from "./supervising.ts";
import type { TreeNode } from "./types.ts";

export function treeOf(cell: Cell, restarts = 0): TreeNode {
  const detail = describe(cell);
  return {
    name: cell.name,
    kind: cell.behaviour.kind,
    pid: cell.pid,
    state: stateOf(cell),
    mailbox: cell.box.size,
    handled: cell.handled,
    restarts,
    ...(detail === undefined ? {} : { detail }),
    children: childNodes(cell),
  };
}

function stateOf(cell: Cell): TreeNode["state"] {
  if (cell.status === RUNNING) return "running";
  return cell.status === STOPPING || cell.status >= ENDING ? "stopping" : "starting";
}

function describe(cell: Cell): Readonly<Record<string, unknown>> | undefined {
  if (!cell.hasState || cell.behaviour.describe === undefined) return undefined;
  try {
    return cell.behaviour.describe(cell.state);
  } catch (error) {
    return { error: toError(error).message };
  }
}

function childNodes(cell: Cell): readonly TreeNode[] {
  const children = childrenInOrder(cell);
  const slots = cell.hasState ? cell.behaviour.slots?.(cell.state) : undefined;
  if (slots === undefined) return children.map((child) => treeOf(child));
  const left = new Set<unknown>(children);
  const nodes: TreeNode[] = [];
  for (const slot of slots) {
    const child = children.find((one) => one === slot.ref);
    if (child !== undefined && left.delete(child)) nodes.push(treeOf(child, slot.restarts));
    else if (slot.state !== "stopped" && slot.ref === undefined && slot.state !== "starting") {
      nodes.push(emptySlot(slot, slot.state));
    }
  }
  for (const child of children) if (left.has(child)) nodes.push(treeOf(child));
  return nodes;
}

function emptySlot(slot: SlotView, state: TreeNode["state"]): TreeNode {
  const { name, kind, restarts } = slot;
  return { name, kind, pid: 0, state, mailbox: 0, handled: 0, restarts, children: [] };
}

/** The cell whose name is `name`, given or by default; a walk, for those who ask by a default name. */
export function findByName(cells: readonly Cell[], name: string): Cell | undefined {
  for (const cell of cells) {
    const found = cell.name === name ? cell : findByName(childrenInOrder(cell), name);
    if (found !== undefined) return found;
  }
  return undefined;
}
