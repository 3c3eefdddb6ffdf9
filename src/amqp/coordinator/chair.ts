/**
 * The elected coordinator of one partition, carried out: what its steps want is made durable, then said.
 *
 * Owns the state and the order of what is said: an answer leaves when its own changes and all before them are durable,
 * since it may rest on them. Deposed, it says nothing more: what it has not answered is asked again of the next coordinator.
 */
import type { Clock } from "../../kernel/types.ts";
import { applyChange, type CoordinatorOut } from "./apply.ts";
import type { Call, Said } from "./client.ts";
import { readRequest } from "./read-request.ts";
import type { Answer, Change, NodeId, Notice, Request } from "./requests.ts";
import type { SeatOwner } from "./seat.ts";
import { type Part, snapshotOf } from "./snapshot.ts";
import { CoordinatorState } from "./state.ts";
import { type CoordinatorInput, nextTick, stepCoordinator } from "./step.ts";

export interface ChairParts {
  readonly clock: Clock;
  readonly self: NodeId;
  readonly regrantMs: number;
  readonly knownEpoch: () => number;
  readonly append: (changes: readonly Change[]) => Promise<void>;
  /** To one node, or to all, this one included. */
  readonly say: (said: Said, to: string | undefined) => void;
  /** The other nodes that are there now. */
  readonly peers: () => readonly NodeId[];
  /** Not long enough here to know that somebody who is silent is gone. */
  readonly young: () => boolean;
  readonly elected: (epoch: number) => void;
  readonly deposed: () => void;
  readonly warn: (text: string) => void;
}

/** What the steps of one message, or of one event, want. */
class Round implements CoordinatorOut {
  readonly changes: Change[] = [];
  readonly notices: Notice[] = [];
  last: Answer | undefined;
  change(change: Change): void {
    this.changes.push(change);
  }
  answer(answer: Answer): void {
    this.last = answer;
  }
  notice(notice: Notice): void {
    this.notices.push(notice);
  }
}

const LOOK_MS = 1_000;

export class Chair implements SeatOwner {
  readonly #parts: ChairParts;
  #state: CoordinatorState;
  /** Grows with each election and each end of one: what belongs to an earlier reign is over. */
  #reign = 0;
  #rules = false;
  /** Rounds that wait for the journal. */
  #unstored = 0;
  #stored: Promise<void> = Promise.resolve();
  #stopTick: () => void = () => {};
  #stopLook: () => void = () => {};

  constructor(parts: ChairParts) {
    this.#parts = parts;
    this.#state = new CoordinatorState(parts.regrantMs);
  }

  knownEpoch(): number {
    return this.#parts.knownEpoch();
  }

  rebuild(changes: Iterable<Change>): void {
    this.#state = new CoordinatorState(this.#parts.regrantMs);
    for (const change of changes) applyChange(this.#state, change);
  }

  /** What is not in the journal, into what is. */
  restore(change: Change): void {
    applyChange(this.#state, change);
  }

  snapshot(part: Part = "all"): Iterable<readonly Change[]> {
    return snapshotOf(this.#state, undefined, part);
  }

  elected(epoch: number): void {
    this.#reign += 1;
    this.#rules = true;
    this.#unstored = 0;
    this.#stored = Promise.resolve();
    this.#input({ t: "elected", epoch });
    this.#look();
    this.#parts.elected(epoch);
  }

  deposed(): void {
    this.#reign += 1;
    this.#rules = false;
    this.#stopTick();
    this.#stopLook();
    this.#parts.deposed();
  }

  /** A message of calls; what cannot be read is nobody's. */
  call(body: unknown, done: () => void): void {
    const message = readCalls(body);
    if (message === undefined) return done();
    const { from, calls } = message;
    const round = new Round();
    const answers: [number, Answer][] = [];
    for (const [serial, request] of lastReplica(calls)) {
      round.last = undefined;
      this.#step({ t: "request", from, request }, round);
      if (round.last !== undefined) answers.push([serial, round.last]);
    }
    this.#carryOut(round, () => {
      this.#say(round.notices, from.node, answers);
      done();
    });
  }

  /** A node that has come, or is gone: without a farewell it may have died. */
  peer(id: NodeId, there: boolean, farewell = false): void {
    if (this.#rules) this.#input({ t: "node", ...id, there, farewell });
  }

  /** This node stops: whoever is elected next must not wait for its word. */
  async leave(): Promise<void> {
    this.peer(this.#parts.self, false, true);
    await this.#stored.catch(() => {});
  }

  /** Nodes that it has not heard of since it rules, and that the journal lists, may be gone. */
  #look(): void {
    const { peers, self, young, clock } = this.#parts;
    const there = [self, ...peers()];
    for (const id of there) if (!this.#state.isListed(id)) this.peer(id, true);
    if (!young()) {
      const names = new Set(there.map(({ node, boot }) => `${node} ${boot}`));
      for (const [node, boot] of [...this.#state.nodes])
        if (!names.has(`${node} ${boot}`)) this.peer({ node, boot }, false);
    }
    this.#stopLook = clock.timer(LOOK_MS, () => this.#rules && this.#look());
  }

  #input(input: CoordinatorInput): void {
    const round = new Round();
    this.#step(input, round);
    this.#carryOut(round, () => this.#say(round.notices, undefined, []));
  }

  /** One that throws has done nothing: a message that this version does not understand stops nobody. */
  #step(input: CoordinatorInput, round: Round): void {
    try {
      stepCoordinator(this.#state, input, this.#parts.clock.now(), round);
    } catch (error) {
      this.#parts.warn(`the coordinator could not carry out ${input.t}: ${(error as Error).message}`);
    }
  }

  #carryOut(round: Round, say: () => void): void {
    this.#tickLater();
    if (round.changes.length === 0 && this.#unstored === 0) return say();
    const reign = this.#reign;
    const own = round.changes.length === 0 ? undefined : this.#parts.append(round.changes);
    this.#unstored += 1;
    this.#stored = Promise.all([this.#stored, own]).then(() => {
      if (reign !== this.#reign) return;
      this.#unstored -= 1;
      say();
    });
    this.#stored.catch(() => {}); // deposed: nothing of it is said
  }

  /** Of the notices each goes to whom it is for. */
  #say(notices: readonly Notice[], from: string | undefined, answers: readonly [number, Answer][]): void {
    const { epoch } = this.#state;
    const { say } = this.#parts;
    const byNode = new Map<string, Notice[]>();
    const all: Notice[] = [];
    for (const notice of notices) {
      const to = notice.t === "granted" || notice.t === "announce" ? notice.to?.node : undefined;
      if (to === undefined) all.push(notice);
      else byNode.set(to, [...(byNode.get(to) ?? []), notice]);
    }
    if (all.length > 0) say({ epoch, answers: [], notices: all }, undefined);
    if (from !== undefined) {
      say({ epoch, answers, notices: byNode.get(from) ?? [] }, from);
      byNode.delete(from);
    }
    for (const [node, theirs] of byNode) say({ epoch, answers: [], notices: theirs }, node);
  }

  #tickLater(): void {
    this.#stopTick();
    const at = nextTick(this.#state);
    if (at === undefined || !this.#rules) return;
    const { clock } = this.#parts;
    this.#stopTick = clock.timer(
      Math.max(0, at - clock.now()),
      () => this.#rules && this.#input({ t: "tick" }),
    );
  }
}

/**
 * What can be read of a message, questions for the replica last: notices of the same message are told before its answers,
 * and a replica from between two of them would undo the later one.
 */
function lastReplica(calls: readonly (readonly [number, unknown])[]): [number, Request][] {
  const all = calls.flatMap(([serial, raw]): [number, Request][] => {
    const request = readRequest(raw);
    return request === undefined ? [] : [[serial, request]];
  });
  return [...all.filter(([, { t }]) => t !== "replica"), ...all.filter(([, { t }]) => t === "replica")];
}

/** Calls as they travel: who asks, then what. */
export function packCalls({ node, boot }: NodeId, calls: readonly Call[]): Buffer {
  return Buffer.from(JSON.stringify([node, boot, calls]));
}

function readCalls(
  body: unknown,
): { readonly from: NodeId; readonly calls: readonly (readonly [number, unknown])[] } | undefined {
  if (!Array.isArray(body)) return undefined;
  const [node, boot, calls] = body as unknown[];
  if (typeof node !== "string" || typeof boot !== "string" || !Array.isArray(calls)) return undefined;
  const isCall = (call: unknown): call is [number, unknown] =>
    Array.isArray(call) && typeof call[0] === "number";
  return { from: { node, boot }, calls: calls.filter(isCall) };
}
