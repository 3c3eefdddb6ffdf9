/**
 * The waiting queue of a node: what was delivered and has no slot yet, in order within a queue, fair between
 * partitions and queues.
 *
 * Owns two rings: partitions take turns one job at a time; within a partition its queues take turns, each with as
 * many jobs a turn as its weight (its concurrency, at most 16). So a backlog of any size in one partition delays
 * the next partition's job by one job a slot. Pure data; admission.ts decides when something leaves.
 */

/** What waits knows its place in its queue, so that it can come back to it. */
export interface Placed {
  readonly place: number;
}

/** One queue of one partition. `weight` is its share within the partition. */
export class Lane<T extends Placed> {
  readonly id: number;
  readonly partition: string;
  readonly queue: string;
  weight: number;
  /** Jobs it may still send in this turn. */
  credit = 0;
  /** The place of the last one that stood here when it was looked at. */
  seen = 0;
  readonly #items: T[] = [];
  #head = 0;

  constructor(id: number, partition: string, queue: string, weight: number) {
    this.id = id;
    this.partition = partition;
    this.queue = queue;
    this.weight = weight;
  }

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Back to its old place: in front of what came after it. Looks at what has come back before it, no further. */
  putBack(item: T): void {
    let at = this.#head;
    for (let next = this.#items[at]; next !== undefined && next.place < item.place; next = this.#items[at])
      at++;
    if (at === this.#head && at > 0) this.#items[--this.#head] = item;
    else this.#items.splice(at, 0, item);
  }

  peek(): T | undefined {
    return this.#items[this.#head];
  }

  shift(): T | undefined {
    const item = this.#items[this.#head];
    // The slot is overwritten, so that a job's data goes with it; the array is cut when half of it is behind us.
    (this.#items as (T | undefined)[])[this.#head] = undefined;
    if (++this.#head > 64 && this.#head * 2 > this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Something that stood here when this was asked last stands here still. */
  isStuck(): boolean {
    const stuck = (this.peek()?.place ?? Number.POSITIVE_INFINITY) <= this.seen;
    this.seen = this.#items.at(-1)?.place ?? 0;
    return stuck;
  }

  remove(item: T): boolean {
    const at = this.#items.indexOf(item, this.#head);
    if (at < 0) return false;
    this.#items.splice(at, 1);
    return true;
  }
}

interface Turn<T extends Placed> {
  readonly partition: string;
  /** Lanes with something in them, the one whose turn it is first. */
  readonly lanes: Lane<T>[];
}

const MAX_WEIGHT = 16;

export class Lanes<T extends Placed> {
  readonly #lanes: (Lane<T> | undefined)[] = [];
  readonly #turns = new Map<string, Turn<T>>();
  readonly #ring: Turn<T>[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  lane(id: number): Lane<T> | undefined {
    return this.#lanes[id];
  }

  /** Makes a lane known, or gives it a new weight. Places may begin anew: those that were seen say nothing of what comes. */
  open(id: number, partition: string, queue: string, concurrency: number): void {
    const weight = Math.max(1, Math.min(MAX_WEIGHT, concurrency));
    const lane = this.#lanes[id];
    if (lane === undefined) this.#lanes[id] = new Lane(id, partition, queue, weight);
    else {
      lane.weight = weight;
      lane.seen = 0;
    }
  }

  push(id: number, item: T): void {
    this.#entered(id).push(item);
    this.#size++;
  }

  /** As `push`, for what has given its place up. */
  putBack(id: number, item: T): void {
    this.#entered(id).putBack(item);
    this.#size++;
  }

  #entered(id: number): Lane<T> {
    const lane = this.#lanes[id];
    if (lane === undefined) throw new Error(`lane ${id} is not open`);
    if (lane.size === 0) this.#enter(lane);
    return lane;
  }

  #enter(lane: Lane<T>): void {
    lane.credit = lane.weight;
    const turn = this.#turns.get(lane.partition) ?? { partition: lane.partition, lanes: [] };
    this.#turns.set(lane.partition, turn);
    if (turn.lanes.length === 0) this.#ring.push(turn);
    turn.lanes.push(lane);
  }

  /** What is next, without taking it. */
  peek(): T | undefined {
    return this.#ring[0]?.lanes[0]?.peek();
  }

  /** Takes what `peek` showed and passes the turn on. */
  shift(): T | undefined {
    const turn = this.#ring[0];
    const lane = turn?.lanes[0];
    if (turn === undefined || lane === undefined) return undefined;
    const item = lane.shift();
    this.#size--;
    lane.credit--;
    if (lane.size === 0) turn.lanes.shift();
    else if (lane.credit <= 0) {
      lane.credit = lane.weight;
      turn.lanes.push(...turn.lanes.splice(0, 1));
    }
    this.#ring.shift();
    if (turn.lanes.length > 0) this.#ring.push(turn);
    else this.#turns.delete(turn.partition);
    return item;
  }

  /** Lanes in which something has not moved on since this was asked last; at most so many, by turns. */
  stuck(most: number): readonly Lane<T>[] {
    const all = this.#ring.flatMap(({ lanes }) => lanes).filter((lane) => lane.isStuck());
    return all.slice(0, most);
  }

  /** Takes one item out of the middle. */
  remove(id: number, item: T): boolean {
    const lane = this.#lanes[id];
    if (lane === undefined || !lane.remove(item)) return false;
    this.#size--;
    if (lane.size === 0) this.#leave(lane);
    return true;
  }

  #leave(lane: Lane<T>): void {
    const turn = this.#turns.get(lane.partition);
    if (turn === undefined) return;
    turn.lanes.splice(turn.lanes.indexOf(lane), 1);
    if (turn.lanes.length > 0) return;
    this.#turns.delete(turn.partition);
    this.#ring.splice(this.#ring.indexOf(turn), 1);
  }
}
