/**
 * Who is whose child: an intrusive list through the actors themselves, in the order of their start.
 *
 * Owns nothing; linking and unlinking touch a few fields, so that an actor a job costs no set and no map. An
 * ended actor is unlinked and holds no sibling.
 */

import type { Cell } from "./actor.ts";

/** What has children: an actor, or the kernel for the roots. */
export interface Family {
  lastChild: Cell | undefined;
}

export function link(family: Family, child: Cell): void {
  const last = family.lastChild;
  child.previous = last;
  if (last !== undefined) last.next = child;
  family.lastChild = child;
}

export function unlink(family: Family, child: Cell): void {
  const { previous, next } = child;
  if (previous !== undefined) previous.next = next;
  if (next !== undefined) next.previous = previous;
  else if (family.lastChild === child) family.lastChild = previous;
  child.previous = undefined;
  child.next = undefined;
}

/** The children in the order of their start; a supervisor's in the order of its slots, newcomers last. */
export function childrenOf(family: Family): Cell[] {
  const cells: Cell[] = [];
  for (let cell = family.lastChild; cell !== undefined; cell = cell.previous) cells.push(cell);
  return cells.reverse();
}

/** As `childrenOf`, but a child that was restarted stands where its slot is. */
export function childrenInOrder(cell: Cell): Cell[] {
  const cells = childrenOf(cell);
  const slots = cell.hasState ? cell.behaviour.slots?.(cell.state) : undefined;
  if (slots === undefined) return cells;
  const places = new Map<unknown, number>();
  slots.forEach((slot, place) => {
    if (slot.ref !== undefined) places.set(slot.ref, place);
  });
  const place = (child: Cell): number => places.get(child) ?? slots.length;
  return cells.sort((a, b) => place(a) - place(b));
}
