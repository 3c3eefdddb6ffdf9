/**
 * For which jobs this node answers: those in its hands, those that ended here, those that it holds for others.
 *
 * Owns the hands and the decision of adoption, and speaks with the other nodes about them. A first delivery passes
 * through with two look-ups in maps and no message to anybody. When the process dies, so does all of it: the others
 * hear that it is gone, and start what it had.
 */
import type { Clock } from "../kernel/types.ts";
import { Adoption, type AdoptionOut, type Claim } from "./adoption.ts";
import type { Roll } from "./coordinator/requests.ts";
import type { Copy } from "./ended.ts";
import { Handed, Hands } from "./handed.ts";
import type { Peers } from "./peers.ts";
import type { QueueChannel } from "./queue-channel.ts";
import type { QueueReader } from "./queue-reader.ts";

export interface CustodyParts {
  readonly clock: Clock;
  readonly node: string;
  readonly boot: string;
  readonly peers: Peers;
  /** The others can be heard, and hear us. */
  readonly canAsk: () => boolean;
  /** The list of nodes that a partition's coordinator keeps; `undefined`: it has none, or has not said. */
  readonly roll: (partition: string) => Roll | undefined;
  /** To all nodes, or to one. */
  readonly say: (kind: string, body: unknown, to?: string) => void;
}

/** A copy and a claim as they travel. */
type Packed = readonly [id: string, attempt: number, hop: number, enqueuedAt: number, claim?: Claim];

const LOOK_MS = 300;
/** Ends that one message names. */
const MOST_TOLD = 500;
/** What a dead process had in hand comes again within this: it goes before all that waits. */
const SUSPECT_MS = 3_600_000;
/** Whether a job is still ours is asked no longer. */
const CONFIRM_MS = 5_000;

interface Confirmation {
  readonly handed: Handed;
  readonly heard: Set<string>;
  readonly answer: (ours: boolean) => void;
}

export class Custody implements AdoptionOut<Handed> {
  readonly hands = new Hands();
  readonly #parts: CustodyParts;
  readonly #adoption: Adoption<Handed>;
  readonly #confirmations = new Set<Confirmation>();
  #stopLook: (() => void) | undefined;
  #closed = false;

  constructor(parts: CustodyParts) {
    this.#parts = parts;
    this.#adoption = new Adoption({
      self: parts.node,
      peers: parts.peers,
      inHand: (id) => this.hands.get(id),
      accounted: ({ envelope }) => this.#isAccounted(envelope.partition),
      now: parts.clock.now(),
    });
  }

  /** `doubled`: it came through a queue that may make copies. */
  arrived(handed: Handed, doubled: boolean): void {
    handed.cameEarly = this.#parts.peers.young;
    this.#adoption.arrived(handed.copy, handed, handed.redelivered, doubled, this.#now, this);
    if (!this.#adoption.settled) this.#lookSoon();
  }

  /** Its end is durable: the message is acknowledged, by us or by who has it now. */
  ended(handed: Handed): void {
    const { attached, copy } = handed;
    this.#adoption.ended.add(copy, this.#now, !attached);
    this.hands.remove(handed);
    if (attached) handed.reader.settled(handed);
    else this.#parts.say("ended", [pack(copy)]);
    this.#adoption.left(copy.id, this.#now, this);
  }

  /** It is the broker's again: this node answers for it no more. */
  gaveBack(handed: Handed): void {
    this.hands.remove(handed);
    this.#adoption.gaveBack(handed.copy, this.#now, this);
  }

  /** It was looked at where it stands: it will come flagged, and nobody has had it. */
  looked(copy: Copy): void {
    this.#adoption.gaveBack(copy, this.#now, this);
  }

  /**
   * Another node has started it, or ended it: ours does not count. That it ended is not ours to say: a delivery that we
   * have of it is held for that node as any other.
   */
  superseded(handed: Handed): void {
    const { envelope, reader, source, tag, foreign } = handed;
    this.hands.remove(handed);
    this.#adoption.left(handed.copy.id, this.#now, this);
    if (source !== undefined) this.arrived(new Handed(envelope, true, reader, source, tag, foreign), true);
  }

  /** A channel is gone; what it brought and somebody has stays in hand. */
  channelGone(from: QueueChannel, reader: QueueReader): void {
    const forgotten = reader.lane.forget(from);
    for (const handed of forgotten) this.hands.remove(handed);
    this.hands.untie(from);
    this.#adoption.lost((item) => item.source === from, this);
    for (const { copy } of forgotten) this.#adoption.left(copy.id, this.#now, this);
  }

  /** What ended here and could not be acknowledged: whoever gets it must know, also when this node is gone. */
  get hasUntold(): boolean {
    return this.#adoption.ended.unacknowledged.length > 0;
  }

  tellEnds(): void {
    const copies = this.#adoption.ended.unacknowledged;
    for (let at = 0; at < copies.length; at += MOST_TOLD)
      this.#parts.say(
        "ended",
        copies.slice(at, at + MOST_TOLD).map((copy) => pack(copy)),
      );
  }

  look(): void {
    this.#adoption.look(this.#now, this);
    if (!this.#adoption.settled) this.#lookSoon();
  }

  peerGone(name: string): void {
    this.#adoption.peerGone(name, this.#now, this);
    for (const confirmation of this.#confirmations) this.#confirm(confirmation);
  }

  /** A message of adoption from another node; anything may come. */
  heard(kind: string, from: string, body: unknown): void {
    const packed = Array.isArray(body) ? body.filter(isPacked) : [];
    const copies = packed.map(unpack);
    // what is no claim is no answer: a silence is never a no
    const claims = packed.flatMap((one) => (isClaim(one[4]) ? [[unpack(one), one[4]] as const] : []));
    if (kind === "ask") this.#say("claims", copies, (copy) => this.#adoption.claimOf(copy, from), from);
    else if (kind === "mine")
      this.#say("counter-claims", copies, (copy) => this.#adoption.counterClaimOf(copy, from), from);
    else if (kind === "claims") this.#adoption.answered(from, claims, this);
    else if (kind === "counter-claims") {
      for (const confirmation of this.#confirmations) this.#heardClaims(confirmation, from, claims);
    } else if (kind === "ended") this.#adoption.toldEnded(copies, this.#now, this);
  }

  /**
   * Asks whether another node has started or ended what we were cut off from, as soon as anybody can be asked; a silence
   * of 5 s means no.
   */
  async stillOurs(handed: Handed): Promise<boolean> {
    while (!this.#parts.canAsk() && !this.#closed)
      await new Promise<void>((resolve) => this.#parts.clock.timer(LOOK_MS, resolve));
    handed.doubted = false;
    if (this.#closed || handed.attached) return true; // it came again meanwhile, to us
    return this.#confirmed(handed);
  }

  #confirmed(handed: Handed): Promise<boolean> {
    return new Promise((resolve) => {
      const confirmation: Confirmation = {
        handed,
        heard: new Set(),
        answer: (ours) => {
          stop();
          if (this.#confirmations.delete(confirmation)) resolve(ours);
        },
      };
      const stop = this.#parts.clock.timer(CONFIRM_MS, () => confirmation.answer(true));
      this.#confirmations.add(confirmation);
      this.#parts.say("mine", [pack(handed.copy)]);
      this.#confirm(confirmation);
    });
  }

  #say(kind: string, copies: readonly Copy[], claim: (copy: Copy) => Claim, to: string): void {
    if (copies.length > 0)
      this.#parts.say(
        kind,
        copies.map((copy) => pack(copy, claim(copy))),
        to,
      );
  }

  start(handed: Handed, unclaimed: boolean): void {
    if (unclaimed && this.#maySuspect(handed)) handed.suspect = { crashes: 0, alone: false };
    this.hands.add(handed);
    handed.reader.lane.push(handed);
  }

  /** Everybody on the list is heard, or has left: nobody silent can have it. */
  #isAccounted(partition: string): boolean {
    const { roll, peers, node, boot } = this.#parts;
    const nodes = roll(partition)?.nodes;
    return nodes?.every(([name, its]) => peers.has(name) || (name === node && its === boot)) === true;
  }

  /**
   * It may have run where a process died: one that this node, or the coordinator, has seen going without a farewell, or
   * that is on the list and silent; where there is no list, any that went before this node came.
   */
  #maySuspect({ envelope, cameEarly }: Handed): boolean {
    const { roll, peers, clock } = this.#parts;
    if (peers.crashedWithin(SUSPECT_MS)) return true;
    const known = roll(envelope.partition);
    if (known === undefined) return cameEarly;
    return clock.now() - known.crashedAt < SUSPECT_MS || !this.#isAccounted(envelope.partition);
  }

  over(handed: Handed): void {
    handed.reader.settled(handed);
  }

  adopt({ reader, source, tag }: Handed, id: string): void {
    const mine = this.hands.get(id);
    if (mine === undefined) return;
    mine.reader = reader;
    mine.source = source;
    mine.tag = tag;
    mine.doubted = false; // it is ours again: nobody else can have it
  }

  hold(handed: Handed, held: boolean): void {
    handed.reader.held += held ? 1 : -1;
    handed.reader.wantedChanged();
  }

  ask(copies: readonly Copy[]): void {
    this.#parts.say(
      "ask",
      copies.map((copy) => pack(copy)),
    );
  }

  get #now(): number {
    return this.#parts.clock.now();
  }

  #lookSoon(): void {
    this.#stopLook ??= this.#parts.clock.timer(LOOK_MS, () => {
      this.#stopLook = undefined;
      this.look();
    });
  }

  #heardClaims(of: Confirmation, from: string, claims: readonly (readonly [Copy, Claim])[]): void {
    const said = claims.find(([copy]) => copy.id === of.handed.copy.id);
    if (said === undefined) return;
    if (said[1] !== "no") return of.answer(false);
    of.heard.add(from);
    this.#confirm(of);
  }

  #confirm(of: Confirmation): void {
    if (this.#parts.peers.names.every((name) => of.heard.has(name))) of.answer(true);
  }

  close(): void {
    this.#closed = true;
    this.#stopLook?.();
    for (const confirmation of this.#confirmations) confirmation.answer(true);
  }
}

function pack({ id, attempt, hop, enqueuedAt }: Copy, claim?: Claim): Packed {
  return claim === undefined ? [id, attempt, hop, enqueuedAt] : [id, attempt, hop, enqueuedAt, claim];
}

function unpack([id, attempt, hop, enqueuedAt]: Packed): Copy {
  return { id, attempt, hop, enqueuedAt };
}

function isPacked(value: unknown): value is Packed {
  if (!Array.isArray(value)) return false;
  const [id, ...numbers] = value as unknown[];
  return (
    typeof id === "string" && numbers.length >= 3 && numbers.slice(0, 3).every((n) => typeof n === "number")
  );
}

function isClaim(value: unknown): value is Claim {
  return value === "running" || value === "ended" || value === "no";
}
