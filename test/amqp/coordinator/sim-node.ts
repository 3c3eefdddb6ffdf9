/**
 * A node of the simulated partition, as its client is meant to be: enqueues, asks, runs, tells how it ended, announces.
 *
 * Owns what it has in hand. Calls go out in order and are repeated in order until they are answered; what is known to be
 * needed no more is not repeated. When it is killed, all of that is gone; when it is cut off, its bodies run on until it
 * aborts them.
 */
import type { Answer, Held, NodeId, Notice, Request } from "../../../src/amqp/coordinator/requests.ts";
import type { Call, Job, Message, World } from "./world.ts";

interface Hand {
  readonly message: Message;
  readonly token: number;
  /** `begin` has been answered: it may run, once it is granted. */
  begun: boolean;
  granted: boolean;
  running: boolean;
  /** Its end was said and is not answered: the delivery is not acknowledged. */
  ending: boolean;
}

export class SimNode {
  connected = true;
  dead = false;
  /** To the others. */
  gone = false;
  abortAt = Number.POSITIVE_INFINITY;
  readonly id: NodeId;
  readonly hands = new Map<string, Hand>();
  readonly #asked = new Map<number, { readonly call: Call; readonly then: (answer: Answer) => void }>();
  readonly #late: (() => void)[] = [];
  #tokens = 0;
  #announced = 0;
  /** Of the coordinator that it has heard last. */
  #epoch = 0;

  constructor(
    readonly world: World,
    readonly name: string,
    readonly boot: string,
  ) {
    this.id = { node: name, boot };
  }

  get busy(): boolean {
    return this.#asked.size > 0;
  }

  get canWork(): boolean {
    return this.connected && !this.gone;
  }

  // What it does

  /** `lost`: its confirm, though the job is there. Also of a buried job, with its next hop. */
  enqueue(job: Job, hop: number, publish: "works" | "fails" | "lost"): void {
    const send = () => {
      if (publish !== "fails") this.world.messages.push({ job, hop, attempt: 0 });
      this.world.ended.delete(job.id);
    };
    if (job.queueKey === undefined) return send();
    const { id, queueKey: key } = job;
    this.#ask({ t: "reserve", key, id, hop }, (answer) => {
      const ok = "ok" in answer && publish === "works";
      if ("ok" in answer) {
        this.world.reservedBy(this, job);
        send();
      } else if (hop > 0) this.world.buried.push({ job, hop: hop - 1, attempt: 0 });
      if (!ok) this.world.unreserved(job);
      this.#ask({ t: "published", key, id, ok, hop }, () => {});
    });
  }

  takes(message: Message): void {
    const { job, hop, attempt } = message;
    const token = ++this.#tokens;
    const granted = job.executionKey === undefined;
    const hand: Hand = { message, token, begun: false, granted, running: false, ending: false };
    this.hands.set(job.id, hand);
    this.#ask({ t: "begin", ...job, hop, attempt, token }, (answer) => {
      if (this.hands.get(job.id) === hand) this.#begun(hand, answer);
    });
  }

  /** What waits goes back to the broker. */
  handsBack(id: string): void {
    const hand = this.hands.get(id);
    if (hand === undefined || hand.running || hand.ending) return;
    this.#forget(hand);
    this.world.messages.push(hand.message);
  }

  /** What waits goes round: it is published again, and its place is kept. */
  goesRound(id: string): void {
    const hand = this.hands.get(id);
    if (hand === undefined || !hand.begun || hand.granted || hand.ending) return;
    const { job, hop, attempt } = hand.message;
    this.hands.delete(id);
    this.world.goesRound({ job, hop: hop + 1, attempt });
    const fields = { ended: false, buried: false, token: hand.token, round: true } as const;
    const end = () => this.#ask({ t: "end", ...job, hop, attempt, ...fields }, () => {});
    if (this.world.random.chance(0.8)) end();
    else this.#late.push(end);
  }

  /** A body is over: it is published again, handed back, or ends. */
  finishes(id: string, how: "ended" | "buried" | "retry" | "back"): void {
    const hand = this.hands.get(id);
    if (hand?.running !== true || !this.canWork) return;
    this.world.stops(this, hand.message.job);
    const { job, hop, attempt } = hand.message;
    if (how === "ended" || how === "buried") return this.#ends(hand, how === "buried");
    const next = {
      job,
      hop: how === "back" ? hop + 1 : hop,
      attempt: how === "retry" ? attempt + 1 : attempt,
    };
    this.hands.delete(id);
    this.world.messages.push(next);
    const fields = { ended: false, buried: false, token: hand.token };
    const end = () => this.#ask({ t: "end", ...job, hop, attempt: next.attempt, ...fields }, () => {});
    if (this.world.random.chance(0.5)) end();
    else this.#late.push(end);
  }

  /** What replaces a job is published before the job's keys are free: it may ask for them first. */
  ends(): void {
    for (const end of this.#late.splice(0)) end();
  }

  marks(id: string): void {
    this.#ask({ t: "mark", id }, () => this.world.marks.add(id));
  }

  /** It says again what has not been answered; what it has and awaits as that is now, which is true only when it is sent. */
  repeats(): void {
    for (const { call } of [...this.#asked.values()])
      if (call.request.t === "announce") this.#announce();
      else this.world.sends(this, call.request, call.serial);
  }

  // What happens to it

  killed(): void {
    for (const { message } of this.hands.values()) this.world.stops(this, message.job);
    for (const hand of this.hands.values()) hand.running = false;
    this.dead = true;
    this.connected = false;
  }

  /** What it had in hand is the broker's, and its answers are no more. Its bodies run on. */
  lost(): Message[] {
    const messages = [...this.hands.values()].map(({ message }) => message);
    for (const hand of this.hands.values()) {
      if (hand.ending) this.hands.delete(hand.message.job.id);
      else if (!hand.running) this.#forget(hand);
    }
    return messages;
  }

  aborts(): void {
    this.abortAt = Number.POSITIVE_INFINITY;
    if (this.dead) return void this.hands.clear();
    for (const hand of this.hands.values()) {
      this.world.stops(this, hand.message.job);
      if (!hand.ending) this.#forget(hand);
    }
  }

  /** Everybody must be given up before its bodies' end is due: it says first what it has, then what was not answered. */
  reconnected(): void {
    this.connected = true;
    if (this.gone) this.aborts();
    this.#announce();
    this.repeats();
  }

  answered({ serial }: Call, answer: Answer): void {
    const asked = this.#asked.get(serial);
    this.#asked.delete(serial);
    this.#heard();
    asked?.then(answer);
  }

  noticed(notice: Notice): void {
    this.#heard();
    if (notice.t === "announce" && (notice.to === undefined || notice.to.boot === this.boot))
      this.#announce();
    if (notice.t !== "granted" || notice.to.boot !== this.boot) return;
    const hand = this.hands.get(notice.id);
    if (hand?.token === notice.token) this.#granted(hand);
    else this.#withdraw(notice);
  }

  /** Another coordinator knows nothing of what it holds, and nothing of what was asked. */
  #heard(): void {
    if (this.#epoch === this.world.epoch) return;
    this.#epoch = this.world.epoch;
    this.#announce();
    for (const { call } of [...this.#asked.values()])
      if (call.request.t !== "announce") this.world.sends(this, call.request, call.serial);
  }

  #begun(hand: Hand, answer: Answer): void {
    if ("duplicate" in answer) return this.#ends(hand, true);
    if ("ended" in answer) {
      if (!this.world.ending.has(hand.message.job.id))
        throw new Error(`${hand.message.job.id} has not ended`);
      return void this.hands.delete(hand.message.job.id);
    }
    hand.begun = true;
    this.world.beginsUnder(hand.message.job);
    if ("granted" in answer && answer.granted) hand.granted = true;
    this.#start(hand);
  }

  #granted(hand: Hand): void {
    hand.granted = true;
    this.#start(hand);
  }

  #start(hand: Hand): void {
    if (!hand.begun || !hand.granted || hand.running || hand.ending) return;
    hand.running = true;
    this.world.starts(this, hand.message.job);
  }

  #ends(hand: Hand, buried: boolean): void {
    const { message, token } = hand;
    const { job, hop, attempt } = message;
    hand.running = false;
    hand.ending = true;
    this.world.endsUnder(job);
    this.#ask({ t: "end", ...job, hop, attempt, token, ended: true, buried }, () => {
      if (this.hands.get(job.id) !== hand) return;
      this.hands.delete(job.id);
      this.world.hasEnded(job);
      if (buried) this.world.buried.push(message);
    });
  }

  #forget({ message, token }: Hand): void {
    const { executionKey, id } = message.job;
    this.hands.delete(id);
    for (const [serial, { call }] of this.#asked)
      if (call.request.t === "begin" && call.request.token === token) this.#asked.delete(serial);
    if (executionKey !== undefined) this.#withdraw({ executionKey, id, token });
  }

  #withdraw({ executionKey, id, token }: Held): void {
    this.#ask({ t: "withdraw", executionKey, id, token }, () => {});
  }

  /** An earlier one says nothing that is still true. */
  #announce(): void {
    for (const [serial, { call }] of this.#asked)
      if (call.request.t === "announce") this.#asked.delete(serial);
    const holds: Held[] = [];
    const awaits: Held[] = [];
    for (const { message, token, granted, ending } of this.hands.values()) {
      const { executionKey, id } = message.job;
      if (executionKey !== undefined && !ending) (granted ? holds : awaits).push({ executionKey, id, token });
    }
    this.#ask({ t: "announce", epoch: this.#epoch, serial: ++this.#announced, holds, awaits }, () => {});
  }

  #ask(request: Request, then: (answer: Answer) => void): void {
    const call = this.world.sends(this, request);
    this.#asked.set(call.serial, { call, then });
  }
}
