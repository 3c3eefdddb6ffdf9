/**
 * A node's face to one partition's coordinator, wherever that sits.
 *
 * Owns what this node has asked and was not answered yet, its leases of execution keys and its waits for them, and its
 * replica of marks and pauses. Every request may come twice, so what is not answered is asked again: every few seconds, and
 * of each new coordinator. What an older coordinator says is not heard. When the process dies so does all of it: the
 * coordinator hears that the node is gone.
 */
import { CoordinatorUnavailable } from "../../broker/errors.ts";
import type { Clock } from "../../kernel/types.ts";
import type { Answer, Held, NodeId, Notice, Replica, Request, Roll } from "./requests.ts";

export type Call = readonly [serial: number, request: Request];

/** What a coordinator says, to one node or to all. `epoch` grows with each election. */
export interface Said {
  readonly epoch: number;
  readonly answers: readonly (readonly [serial: number, answer: Answer])[];
  readonly notices: readonly Notice[];
}

export interface ClientParts {
  readonly partition: string;
  readonly self: NodeId;
  readonly clock: Clock;
  /** Puts calls where the coordinator finds them. What is lost on the way is asked again. */
  readonly send: (calls: readonly Call[]) => void;
  /** Why this node could not be the coordinator, if it was to be and could not. */
  readonly trouble?: () => Error | undefined;
  readonly out: ClientOut;
}

/** What the rest of the node is told. */
export interface ClientOut {
  paused(queue: string, paused: boolean): void;
  /** The list of nodes has changed. */
  roll(): void;
  /** Somebody has freed a key by hand. */
  released(kind: "queue" | "execution", key: string): void;
}

/** Who waits for an execution key; both may be called from within `acquire`. */
export interface KeyListener {
  granted(): void;
  queued(place: number): void;
}

/** What this node holds and awaits is true at the moment it is sent, and not when it is sent again. */
type Question = Request | { readonly t: "announcement" };

interface Asked {
  readonly request: Question;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
  /** `undefined`: it is asked until it is answered. */
  readonly deadline: number | undefined;
  sentAt: number;
}

/** An execution key that this node has or awaits. */
interface Lease extends Held {
  granted: boolean;
  /** Where it stands in the line, once the coordinator has said that another job has it. */
  place: number | undefined;
  listener: KeyListener | undefined;
}

const DEADLINE_MS = 15_000;
const AGAIN_MS = 3_000;
const LOOK_MS = 500;
/** The next question may come before; a job's end, which also says that it was there, comes after. */
const SOON_MS = 20;
/** Calls of one message. */
const MOST_CALLS = 200;

export class CoordinatorClient {
  readonly #parts: ClientParts;
  readonly #asked = new Map<number, Asked>();
  /** Calls to begin that are not answered, by the job's id. */
  readonly #begins = new Map<string, number>();
  readonly #leases = new Map<string, Lease>();
  #marks = new Set<string>();
  #paused = new Set<string>();
  #purged = new Map<string, number>();
  #roll: Roll | undefined;
  #epoch = 0;
  #serials = 0;
  #announcements = 0;
  #outbox: number[] = [];
  #flushing = false;
  #stopSoon: (() => void) | undefined;
  #synced = false;
  #whenSynced: (() => void)[] = [];
  #stopLook: (() => void) | undefined;
  #closed = false;

  constructor(parts: ClientParts) {
    this.#parts = parts;
  }

  /** Of the coordinator that was heard last; 0: none was. */
  get epoch(): number {
    return this.#epoch;
  }

  isMarked(id: string): boolean {
    return this.#marks.has(id);
  }

  isPaused(queue: string): boolean {
    return this.#paused.has(queue);
  }

  /** Whether what was put off then has been purged with its queue. */
  isPurged(queue: string, putOffAt: number): boolean {
    return putOffAt < (this.#purged.get(queue) ?? 0);
  }

  /** Who is on the coordinator's list, as it said last. */
  get roll(): Roll | undefined {
    return this.#roll;
  }

  get pausedQueues(): readonly string[] {
    return [...this.#paused];
  }

  /** @throws CoordinatorUnavailable after 15 s without an answer; with `always` it is asked for as long as the node lives. */
  ask(request: Request, always = false): Promise<Answer> {
    return this.#ask(request, always);
  }

  /** Asked until it is answered; nobody waits for that. What a node that closes has not told, others find out. */
  tell(request: Question): void {
    this.#ask(request, true).catch(() => {});
  }

  /**
   * As `tell`, with whatever is asked next, or a little later: a change of its own would be a record of the journal, for
   * which the next question would have to wait.
   */
  tellSoon(request: Request): void {
    this.#ask(request, true, true).catch(() => {});
  }

  #ask(request: Question, always: boolean, soon = false): Promise<Answer> {
    if (this.#closed) return Promise.reject(new CoordinatorUnavailable(this.#parts.partition));
    return new Promise((resolve, reject) => {
      const now = this.#parts.clock.now();
      const serial = ++this.#serials;
      const deadline = always ? undefined : now + DEADLINE_MS;
      this.#asked.set(serial, { request, resolve, reject, deadline, sentAt: now });
      if (request.t === "begin") this.#begins.set(request.id, serial);
      this.#put(serial, soon);
    });
  }

  /** Resolves when the replica is there: before that nobody can tell what is cancelled or paused. */
  async synced(): Promise<void> {
    if (this.#synced || this.#closed) return;
    if (this.#whenSynced.length === 0) this.#sync();
    await new Promise<void>((resolve) => this.#whenSynced.push(resolve));
  }

  /** Mostly `begin` has asked for it already: then only the listener is new. */
  acquire(held: Held, listener: KeyListener): void {
    const name = nameOf(held);
    const there = this.#leases.get(name);
    if (there !== undefined) {
      there.listener = listener;
      if (there.granted) listener.granted();
      else if (there.place !== undefined) listener.queued(there.place);
      return;
    }
    this.#leases.set(name, { ...held, granted: false, place: undefined, listener });
    const { executionKey, id, token } = held;
    void this.ask({ t: "begin", id, hop: 0, attempt: 0, executionKey, token }, true).then(
      (answer) => "granted" in answer && this.#told(held, answer.granted, answer.place),
      () => {},
    );
  }

  /** A job's `begin`, with whichever keys it has. What it says of the execution key is remembered for `acquire`. */
  async begin(request: Request & { t: "begin" }): Promise<Answer> {
    const { executionKey, id, token } = request;
    const held = executionKey === undefined ? undefined : { executionKey, id, token };
    if (held !== undefined)
      this.#leases.set(nameOf(held), { ...held, granted: false, place: undefined, listener: undefined });
    const answer = await this.ask(request, true);
    if (held === undefined) return answer;
    if ("granted" in answer) this.#told(held, answer.granted, answer.place);
    else this.#leases.delete(nameOf(held));
    return answer;
  }

  /** Takes an ask back, also one whose grant is under way. */
  withdraw(held: Held): void {
    const lease = this.#leases.get(nameOf(held));
    if (lease === undefined) return;
    this.#leases.delete(nameOf(held));
    this.#giveUp(lease);
  }

  /** A `begin` that is not answered is asked no more: behind its own end it would be granted to nobody. */
  #giveUp({ executionKey, id, token }: Held): void {
    this.#forgetBegin(id);
    this.tell({ t: "withdraw", executionKey, id, token });
  }

  #forgetBegin(id: string): void {
    const serial = this.#begins.get(id);
    if (serial === undefined) return;
    this.#begins.delete(id);
    this.#asked.get(serial)?.resolve({ granted: false });
    this.#asked.delete(serial);
  }

  /** A job leaves: all its keys at once. Resolves when that is durable. */
  async end(request: Request & { t: "end" }): Promise<void> {
    const { executionKey, id } = request;
    if (executionKey !== undefined) this.#leases.delete(nameOf({ executionKey, id }));
    this.#forgetBegin(id);
    await this.ask(request, true);
  }

  heard({ epoch, answers, notices }: Said): void {
    if (this.#closed || epoch < this.#epoch) return;
    const isNew = epoch > this.#epoch;
    if (isNew) this.#elected(epoch);
    for (const notice of notices) if (!isNew || notice.t !== "announce") this.#noticed(notice);
    for (const [serial, answer] of answers) {
      const asked = this.#asked.get(serial);
      this.#asked.delete(serial);
      if (asked?.request.t === "begin") this.#begins.delete(asked.request.id);
      asked?.resolve(answer);
    }
  }

  /** The others can be heard again: what was said meanwhile was not. */
  reconnected(): void {
    if (this.#epoch === 0 && this.#asked.size === 0) return;
    this.#sync();
    for (const serial of this.#asked.keys()) this.#put(serial);
  }

  close(): void {
    if (this.#outbox.length > 0) this.#flush();
    this.#closed = true;
    this.#stopLook?.();
    for (const { reject } of this.#asked.values()) reject(new CoordinatorUnavailable(this.#parts.partition));
    this.#asked.clear();
    for (const resolve of this.#whenSynced.splice(0)) resolve();
  }

  /** It knows nothing of leases: what this node has and awaits is said first. */
  #elected(epoch: number): void {
    this.#epoch = epoch;
    this.#sync();
    const all = [...this.#asked].filter(
      ([, { request }]) => request.t !== "announcement" && request.t !== "replica",
    );
    for (const [serial] of all) this.#put(serial);
  }

  #sync(): void {
    for (const [serial, { request }] of this.#asked)
      if (request.t === "announcement" || request.t === "replica") this.#asked.delete(serial);
    this.tell({ t: "announcement" });
    void this.ask({ t: "replica" }, true).then(
      (answer) => "replica" in answer && this.#replicated(answer.replica),
      () => {},
    );
  }

  #announcement(): Request {
    const leases = [...this.#leases.values()];
    const plain = ({ executionKey, id, token }: Lease) => ({ executionKey, id, token });
    this.#announcements += 1;
    return {
      t: "announce",
      epoch: this.#epoch,
      serial: this.#announcements,
      holds: leases.filter((lease) => lease.granted).map(plain),
      awaits: leases.filter((lease) => !lease.granted).map(plain),
    };
  }

  #replicated({ marks, paused, purged, roll }: Replica): void {
    this.#roll = roll;
    this.#purged = new Map(purged);
    const before = this.#paused;
    this.#marks = new Set(marks);
    this.#paused = new Set(paused);
    this.#synced = true;
    for (const resolve of this.#whenSynced.splice(0)) resolve();
    for (const queue of before) if (!this.#paused.has(queue)) this.#parts.out.paused(queue, false);
    for (const queue of this.#paused) if (!before.has(queue)) this.#parts.out.paused(queue, true);
  }

  #noticed(notice: Notice): void {
    const { out } = this.#parts;
    if (notice.t === "granted") {
      if (this.#isMe(notice.to)) this.#grantedLater(notice);
    } else if (notice.t === "marked") {
      for (const id of notice.ids) this.#marks.add(id);
    } else if (notice.t === "announce") {
      if (notice.to === undefined || this.#isMe(notice.to)) this.#sync();
    } else if (notice.t === "purged") this.#purged.set(notice.queue, notice.at);
    else if (notice.t === "roll") {
      this.#roll = notice.roll;
      out.roll();
    } else if (notice.t === "paused") {
      if (notice.paused) this.#paused.add(notice.queue);
      else this.#paused.delete(notice.queue);
      out.paused(notice.queue, notice.paused);
    } else if (notice.t === "released")
      out.released(notice.kind === "queueKey" ? "queue" : "execution", notice.key);
    else if (notice.t === "unmarked") for (const id of notice.ids) this.#marks.delete(id);
  }

  #isMe({ node, boot }: NodeId): boolean {
    const { self } = this.#parts;
    return node === self.node && boot === self.boot;
  }

  /** Of what was withdrawn meanwhile nobody here wants the key any more. */
  #grantedLater({ executionKey, id, token }: Held): void {
    const held = { executionKey, id, token };
    const lease = this.#leases.get(nameOf(held));
    if (lease === undefined) this.#giveUp(held);
    else if (lease.token === token) this.#told(held, true);
  }

  #told(held: Held, granted: boolean, place = 0): void {
    const lease = this.#leases.get(nameOf(held));
    if (lease === undefined || lease.token !== held.token || lease.granted) return;
    if (granted) lease.granted = true;
    else lease.place = place;
    if (granted) lease.listener?.granted();
    else lease.listener?.queued(place);
  }

  /** All of one turn are one message. */
  #put(serial: number, soon = false): void {
    this.#outbox.push(serial);
    if (soon) this.#stopSoon ??= this.#parts.clock.timer(SOON_MS, () => this.#flush());
    else if (!this.#flushing) {
      this.#flushing = true;
      queueMicrotask(() => this.#flush());
    }
    this.#stopLook ??= this.#parts.clock.timer(LOOK_MS, () => this.#look());
  }

  #flush(): void {
    this.#flushing = false;
    this.#stopSoon?.();
    this.#stopSoon = undefined;
    const now = this.#parts.clock.now();
    const serials = this.#outbox.splice(0);
    const calls = serials.flatMap((serial): Call[] => {
      const asked = this.#asked.get(serial);
      if (asked === undefined) return [];
      asked.sentAt = now;
      const { request } = asked;
      return [[serial, request.t === "announcement" ? this.#announcement() : request]];
    });
    for (let at = 0; at < calls.length; at += MOST_CALLS) this.#parts.send(calls.slice(at, at + MOST_CALLS));
  }

  #unanswered(): CoordinatorUnavailable {
    const { partition, trouble } = this.#parts;
    const cause = trouble?.();
    return new CoordinatorUnavailable(partition, cause === undefined ? undefined : { cause });
  }

  #look(): void {
    this.#stopLook = undefined;
    const now = this.#parts.clock.now();
    for (const [serial, asked] of this.#asked) {
      if (asked.deadline !== undefined && now >= asked.deadline) {
        this.#asked.delete(serial);
        asked.reject(this.#unanswered());
      } else if (now - asked.sentAt >= AGAIN_MS) this.#put(serial);
    }
    if (this.#asked.size > 0) this.#stopLook ??= this.#parts.clock.timer(LOOK_MS, () => this.#look());
  }
}

/** A key has one lease a job. Neither holds a control character. */
const nameOf = ({ executionKey, id }: { readonly executionKey: string; readonly id: string }) =>
  `${executionKey}\n${id}`;
