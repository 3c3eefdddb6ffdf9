/**
 * A coordinator on a desk, for the tests of its rules: nodes ask, time goes by, it is elected again from what it wrote.
 *
 * Owns a clock that only the test moves, and the changes so far. Everything is durable at once; what is lost on the way is
 * the simulation's.
 */
import { applyChange } from "../../../src/amqp/coordinator/apply.ts";
import type {
  Answer,
  Change,
  Held,
  NodeId,
  Notice,
  Request,
} from "../../../src/amqp/coordinator/requests.ts";
import { CoordinatorState } from "../../../src/amqp/coordinator/state.ts";
import { type CoordinatorInput, nextTick, stepCoordinator } from "../../../src/amqp/coordinator/step.ts";

export const REGRANT_MS = 7_000;
export const a: NodeId = { node: "a", boot: "a1" };
export const b: NodeId = { node: "b", boot: "b1" };

/** Everything that is in the journal, as plain data without an order. */
export function durableOf(s: CoordinatorState): unknown {
  const { reserved, kept, attempts, ended, marks, paused, purged, suspects, crashedAt, nodes, closedUntil } =
    s;
  return { reserved, kept, attempts, ended, marks, paused, purged, suspects, crashedAt, nodes, closedUntil };
}

export function replayed(changes: Iterable<Change>): CoordinatorState {
  const state = new CoordinatorState(REGRANT_MS);
  for (const change of changes) applyChange(state, JSON.parse(JSON.stringify(change)) as Change);
  return state;
}

export class Desk {
  state = new CoordinatorState(REGRANT_MS);
  now = 1_000_000;
  readonly journal: Change[] = [];
  /** Since they were last looked at. */
  #notices: Notice[] = [];
  epoch = 0;
  #serials = 10;

  /** Elected, with these nodes in its list, which have nothing to announce. */
  constructor(...nodes: readonly NodeId[]) {
    this.elect();
    for (const node of nodes) this.comes(node);
    this.notices();
  }

  asks(from: NodeId, request: Request): Answer {
    const answers = this.#step({ t: "request", from, request });
    const [answer] = answers;
    if (answer === undefined || answers.length > 1) throw new Error(`${answers.length} answers`);
    return answer;
  }

  comes(node: NodeId): void {
    this.#step({ t: "node", ...node, there: true });
  }

  goes(node: NodeId): void {
    this.#step({ t: "node", ...node, there: false });
  }

  /** With a farewell. */
  leaves(node: NodeId): void {
    this.#step({ t: "node", ...node, there: false, farewell: true });
  }

  /** Another one, from the journal. */
  elect(): void {
    this.state = replayed(this.journal);
    this.#step({ t: "elected", epoch: ++this.epoch });
  }

  /** Time goes by, and it ticks whenever it wanted to. */
  passes(ms: number): void {
    const until = this.now + ms;
    for (let due = nextTick(this.state); due !== undefined && due <= until; due = nextTick(this.state)) {
      this.now = Math.max(this.now, due);
      this.#step({ t: "tick" });
    }
    this.now = until;
  }

  notices(): Notice[] {
    const notices = this.#notices;
    this.#notices = [];
    return notices;
  }

  /** Who was granted what, in short. */
  grants(): string[] {
    return this.notices().flatMap((one) =>
      one.t === "granted" ? [`${one.executionKey} to ${one.id} of ${one.to.boot} under ${one.token}`] : [],
    );
  }

  /** What the last request has changed. */
  changesOf(what: () => unknown): Change[] {
    const before = this.journal.length;
    what();
    return this.journal.slice(before);
  }

  // The requests that most tests need.

  reserves(from: NodeId, key: string, id: string, hop?: number): Answer {
    return this.asks(from, { t: "reserve", key, id, ...(hop === undefined ? {} : { hop }) });
  }

  publishes(from: NodeId, key: string, id: string, ok = true, hop = 0): Answer {
    return this.asks(from, { t: "published", key, id, ok, hop });
  }

  begins(from: NodeId, queueKey: string, id: string, { hop = 0, attempt = 0 } = {}): Answer {
    return this.asks(from, { t: "begin", id, hop, attempt, queueKey, token: 1 });
  }

  /** Whether it has the key; where it stands if not is what the grants show. */
  wants(from: NodeId, executionKey: string, id: string, token = 1): Answer {
    const answer = this.asks(from, { t: "begin", id, hop: 0, attempt: 0, executionKey, token });
    return "granted" in answer ? { granted: answer.granted } : answer;
  }

  announces(from: NodeId, holds: readonly Held[], awaits: readonly Held[]): Answer {
    return this.asks(from, { t: "announce", epoch: this.epoch, serial: ++this.#serials, holds, awaits });
  }

  ends(from: NodeId, id: string, fields: Partial<Request & { t: "end" }>): Answer {
    return this.asks(from, { t: "end", id, hop: 0, attempt: 0, ended: true, buried: false, ...fields });
  }

  #step(input: CoordinatorInput): Answer[] {
    const answers: Answer[] = [];
    stepCoordinator(this.state, input, this.now, {
      change: (change) => this.journal.push(change),
      answer: (answer) => answers.push(answer),
      notice: (notice) => this.#notices.push(notice),
    });
    return answers;
  }
}
