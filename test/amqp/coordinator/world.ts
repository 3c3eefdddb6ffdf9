/**
 * A partition in which everything breaks: nodes that run jobs with keys, coordinators that die before their changes are
 * durable, and with all calls that they have not answered.
 *
 * The coordinator is the real one; the nodes do what `requests.ts` asks of them. A broken promise throws at the moment when
 * it is broken.
 */
import { applyChange } from "../../../src/amqp/coordinator/apply.ts";
import type { Answer, Change, Notice, Request } from "../../../src/amqp/coordinator/requests.ts";
import { snapshotOf } from "../../../src/amqp/coordinator/snapshot.ts";
import { CoordinatorState } from "../../../src/amqp/coordinator/state.ts";
import { type CoordinatorInput, nextTick, stepCoordinator } from "../../../src/amqp/coordinator/step.ts";
import type { Random } from "../../jobs/generators.ts";
import { REGRANT_MS } from "./desk.ts";
import { Lines } from "./lines.ts";
import { SimNode } from "./sim-node.ts";

export interface Job {
  readonly id: string;
  readonly queueKey?: string;
  readonly executionKey?: string;
}

/** A copy of a job on the broker. */
export interface Message {
  readonly job: Job;
  readonly hop: number;
  readonly attempt: number;
}

export interface Call {
  readonly serial: number;
  readonly from: SimNode;
  readonly request: Request;
}

/** What one step wants done, until it is. */
export interface Pending {
  readonly t: "step";
  readonly changes: Change[];
  readonly call: Call | undefined;
  readonly answers: Answer[];
  readonly notices: Notice[];
}

type Written =
  | Pending
  | { readonly t: "slice"; readonly changes: Change[]; readonly first: boolean; readonly last: boolean };

export class World {
  now = 1_000_000;
  state = new CoordinatorState(REGRANT_MS);
  nodes: SimNode[] = [];
  #unlisted: SimNode[] = [];
  /** Copies that nobody has in hand. */
  messages: Message[] = [];
  /** On a round. */
  #away: { readonly at: number; readonly message: Message }[] = [];
  readonly buried: Message[] = [];
  readonly running = new Set<{ readonly node: SimNode; readonly job: Job }>();
  /** Whose jobs began under which queue key, and have not ended. */
  readonly #begun = new Map<string, Set<string>>();
  /** Who was told that it has reserved, and that it has not failed. */
  readonly #reserved = new Map<string, { readonly id: string; readonly node: SimNode }>();
  /** Jobs with a queue key whose end was said, and whose end was answered: those do not run again. */
  readonly ending = new Set<string>();
  readonly ended = new Set<string>();
  readonly marks = new Set<string>();
  /** Until a fail-over: the order of first arrival. */
  #lines: Lines | undefined;
  #calls: Call[] = [];
  #written: Written[] = [];
  #durable: Change[] = [];
  #slices: Change[] = [];
  #since: Change[] | undefined;
  #snapshot: Iterator<Change[]> | undefined;
  epoch = 0;
  #boots = 0;
  #serials = 0;

  constructor(readonly random: Random) {
    this.#elected();
    for (const name of ["a", "b", "c"]) this.comes(name);
    this.settle();
    this.#lines = new Lines();
  }

  // What happens

  comes(name: string): void {
    if (this.nodes.some((one) => one.name === name && !one.dead && !one.gone)) return;
    this.#lines = undefined;
    const node = new SimNode(this, name, `${name}${++this.#boots}`);
    this.nodes.push(node);
    if (this.random.chance(0.5)) this.#unlisted.push(node);
    else this.#step({ t: "node", ...node.id, there: true });
    // its name has another process now: that is how the others learn of it
    for (const one of this.nodes) if (one !== node && one.name === name) this.givenUp(one);
  }

  /** The others have noticed that it is silent. Its deliveries are the broker's again. */
  givenUp(node: SimNode): void {
    if (node.gone) return;
    node.gone = true;
    this.#lines = undefined;
    this.messages.push(...node.lost());
    node.abortAt = this.now + this.random.below(REGRANT_MS);
    for (const [key, { node: by }] of this.#reserved) if (by === node) this.#reserved.delete(key);
    this.#step({ t: "node", ...node.id, there: false });
  }

  back(node: SimNode): void {
    if (node.dead || node.connected) return;
    if (node.gone && this.nodes.some((one) => one !== node && one.name === node.name && !one.gone)) return;
    this.#lines = undefined;
    if (node.gone) this.#step({ t: "node", ...node.id, there: true });
    node.reconnected();
    node.gone = false;
  }

  /** The others hear of who has come. */
  #list(): void {
    for (const node of this.#unlisted.splice(0))
      if (!node.gone) this.#step({ t: "node", ...node.id, there: true });
  }

  /** The coordinator takes so many calls. */
  takes(count: number): void {
    if (this.random.chance(0.3)) this.#list();
    for (const call of this.#calls.splice(0, count))
      this.#step({ t: "request", from: call.from.id, request: call.request }, call);
  }

  /** So many changes become durable, and what waited for them is said. */
  writes(count: number): void {
    let left = count;
    for (;;) {
      const [first] = this.#written;
      if (first === undefined) return;
      if (first.t === "slice") {
        this.#slice(first);
        this.#written.shift();
        continue;
      }
      for (let change = first.changes[0]; change !== undefined && left > 0; change = first.changes[0]) {
        first.changes.shift();
        this.#durable.push(change);
        this.#since?.push(change);
        left -= 1;
      }
      if (first.changes.length > 0) return;
      this.#written.shift();
      this.#say(first);
    }
  }

  /** It dies, with all that is not durable and all calls; the next one is asked again. */
  fails(): void {
    this.#lines = undefined;
    this.#calls = [];
    this.#written = [];
    this.#snapshot = undefined;
    this.#since = undefined;
    this.state = new CoordinatorState(REGRANT_MS);
    for (const change of this.#durable) applyChange(this.state, change);
    this.#elected();
    for (const node of this.nodes) {
      if (node.gone) this.#step({ t: "node", ...node.id, there: false });
      else this.#step({ t: "node", ...node.id, there: true });
    }
  }

  /** The next slice of a snapshot; after the last one the journal is that and what came since. */
  slices(): void {
    const isFirst = this.#snapshot === undefined;
    this.#snapshot ??= snapshotOf(this.state, 3);
    const { value, done } = this.#snapshot.next();
    if (done === true) this.#snapshot = undefined;
    this.#written.push({ t: "slice", changes: value ?? [], first: isFirst, last: done === true });
  }

  passes(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const aborts = this.nodes.filter(({ abortAt }) => abortAt <= until).map(({ abortAt }) => abortAt);
      const due = Math.min(...aborts, nextTick(this.state) ?? Number.POSITIVE_INFINITY);
      if (due > until) break;
      this.now = Math.max(this.now, due);
      this.#comeBack();
      for (const node of this.nodes) if (node.abortAt <= this.now) node.aborts();
      this.#step({ t: "tick" });
    }
    this.now = until;
    this.#comeBack();
  }

  /** It is published with a delay, which takes as long as it takes. */
  goesRound(message: Message): void {
    this.#away.push({ at: this.now + this.random.pick([1_000, 1_200, 4_000]), message });
  }

  get isAnybodyAway(): boolean {
    return this.#away.length > 0;
  }

  #comeBack(): void {
    this.messages.push(...this.#away.filter(({ at }) => at <= this.now).map(({ message }) => message));
    this.#away = this.#away.filter(({ at }) => at > this.now);
  }

  /** Everything that is under way arrives. */
  settle(): void {
    this.#list();
    while (this.#calls.length > 0 || this.#written.length > 0) {
      this.takes(this.#calls.length);
      this.writes(Number.POSITIVE_INFINITY);
    }
  }

  // What nodes do and see

  sends(from: SimNode, request: Request, serial = ++this.#serials): Call {
    const call = { serial, from, request };
    if (from.connected) this.#calls.push(call);
    return call;
  }

  starts(node: SimNode, job: Job): void {
    for (const other of this.running)
      if (job.executionKey !== undefined && other.job.executionKey === job.executionKey)
        throw new Error(`${node.boot} runs ${job.id} while ${other.node.boot} runs ${other.job.id}`);
    this.running.add({ node, job });
  }

  stops(node: SimNode, job: Job): void {
    for (const one of this.running) if (one.node === node && one.job === job) this.running.delete(one);
  }

  reservedBy(node: SimNode, { id, queueKey = "" }: Job): void {
    this.#alone(queueKey, id);
    // of a node that is not listed (any more) it lapses, or has lapsed before the answer came
    const known = this.state.reserved.get(queueKey);
    if (known?.id === id && known.lapsesAt === undefined) this.#reserved.set(queueKey, { id, node });
  }

  unreserved({ id, queueKey = "" }: Job): void {
    if (this.#reserved.get(queueKey)?.id === id) this.#reserved.delete(queueKey);
  }

  beginsUnder({ id, queueKey }: Job): void {
    if (this.ended.has(id)) throw new Error(`${id} begins after it has ended`);
    if (queueKey === undefined) return;
    this.#alone(queueKey, id);
    this.#reserved.delete(queueKey);
    this.#begun.set(queueKey, (this.#begun.get(queueKey) ?? new Set()).add(id));
  }

  endsUnder(job: Job): void {
    const { id, queueKey } = job;
    this.unreserved(job);
    this.ending.add(id);
    if (queueKey !== undefined) this.#begun.get(queueKey)?.delete(id);
  }

  hasEnded({ id, queueKey }: Job): void {
    if (queueKey !== undefined) this.ended.add(id);
  }

  #alone(key: string, id: string): void {
    for (const other of this.#begun.get(key) ?? [])
      if (other !== id) throw new Error(`${id} has the queue key ${key}, which is ${other}'s`);
    const reserved = this.#reserved.get(key);
    if (reserved !== undefined && reserved.id !== id)
      throw new Error(`${id} has the queue key ${key}, which ${reserved.id} has reserved`);
  }

  // The coordinator

  #elected(): void {
    this.#step({ t: "elected", epoch: ++this.epoch });
  }

  #step(input: CoordinatorInput, call?: Call): void {
    const step: Pending = { t: "step", changes: [], call, answers: [], notices: [] };
    stepCoordinator(this.state, input, this.now, {
      change: (change) => step.changes.push(JSON.parse(JSON.stringify(change)) as Change),
      answer: (answer) => step.answers.push(answer),
      notice: (notice) => step.notices.push(notice),
    });
    if (step.answers.length !== (call === undefined ? 0 : 1))
      throw new Error(`${step.answers.length} answers`);
    this.#lines?.stepped(step, this.now);
    this.#written.push(step);
  }

  #slice(slice: Written & { t: "slice" }): void {
    if (slice.first) {
      this.#slices = [];
      this.#since = [];
    }
    this.#slices.push(...slice.changes);
    if (!slice.last) return;
    this.#durable = [...this.#slices, ...(this.#since ?? [])];
    this.#since = undefined;
  }

  #say({ call, answers, notices }: Pending): void {
    for (const notice of notices)
      for (const node of [...this.nodes]) if (node.connected) node.noticed(notice);
    const [answer] = answers;
    if (call !== undefined && answer !== undefined && call.from.connected) call.from.answered(call, answer);
  }
}
