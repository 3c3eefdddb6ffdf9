/**
 * The partitions' coordinators, as one node has to do with them: its face to each, and its seat in each election.
 *
 * Owns one connection for all seats, made at the first of them. A partition has a coordinator from its first key, cancel
 * or pause on: until then there is nothing that it could know, and no queue for it on the broker. Whoever asks for the
 * first time stands; who runs the partition follows when it hears of an election. When the process dies, the next in line
 * of each election has its seat.
 */
import type { Persister } from "../../broker/persister.ts";
import type { Clock } from "../../kernel/types.ts";
import { closePersister } from "../../persist/close.ts";
import type { Link } from "../link.ts";
import type { Names } from "../names.ts";
import { within } from "../patience.ts";
import { Chair, packCalls } from "./chair.ts";
import { type ClientOut, CoordinatorClient, type Said } from "./client.ts";
import { Keeper } from "./keeper.ts";
import type { Change, NodeId } from "./requests.ts";
import { Seat } from "./seat.ts";

/** What whoever runs a partition hears of the seat that this node has. */
export interface Face {
  elected(epoch: number): void;
  deposed(): void;
}

export interface CoordinatorsParts {
  readonly link: Link;
  readonly clock: Clock;
  readonly names: Names;
  readonly self: NodeId;
  readonly broker: string;
  readonly graceMs: number;
  readonly regrantMs: number;
  /** Where marks, pauses and queue keys are kept; default: the journal. */
  readonly persister: Persister | "none" | undefined;
  readonly exists: (queue: string) => Promise<boolean>;
  /** Straight to a queue, by its name; may be lost. */
  readonly put: (key: string, bytes: Buffer) => void;
  /** To all other nodes, or to one. */
  readonly say: (body: unknown, to: string | undefined) => void;
  readonly peers: () => readonly NodeId[];
  readonly young: () => boolean;
  readonly out: (partition: string) => ClientOut;
  readonly warn: (text: string) => void;
}

const OPEN_AGAIN_MS = 1_000;
const LEAVE_MS = 2_000;

/** All that this node has to do with one partition's coordinator. */
interface Post {
  readonly client: CoordinatorClient;
  readonly chair: Chair;
  readonly keeper: Keeper;
  readonly seat: Seat;
  readonly faces: Set<Face>;
  /** Who waits to know what is marked and paused: told why this node could not take over. */
  readonly waiting: Set<(reason: Error) => void>;
  stands: boolean;
}

export class Coordinators {
  readonly #parts: CoordinatorsParts;
  readonly #posts = new Map<string, Post>();
  #opening = false;
  #closed = false;

  constructor(parts: CoordinatorsParts) {
    this.#parts = parts;
  }

  /** Who asks needs one: this node stands, unless it does already. */
  of(partition: string): CoordinatorClient {
    const post = this.#post(partition);
    this.#stand(post);
    return post.client;
  }

  /** The same, for a look at what is known here. */
  known(partition: string): CoordinatorClient | undefined {
    return this.#posts.get(partition)?.client;
  }

  /** The same, where there is a coordinator that this node stands for or follows. */
  standing(partition: string): CoordinatorClient | undefined {
    const post = this.#posts.get(partition);
    return post?.stands === true ? post.client : undefined;
  }

  /** For a question: where there never was a coordinator, whoever asks makes none, and nobody has anything. */
  async found(partition: string): Promise<CoordinatorClient | undefined> {
    await this.ready(partition);
    return this.standing(partition);
  }

  /**
   * Before a partition is consumed: what was paused or cancelled is known by then. Where no coordinator ever was, nothing is.
   * @throws PersisterFailed when this node was to take over, and could not
   */
  async ready(partition: string): Promise<void> {
    const { exists, names } = this.#parts;
    const post = this.#post(partition);
    if (!post.stands) {
      if (!(await exists(names.journal(partition))) && !(await post.keeper.isThere())) return;
      this.#stand(post);
    }
    await new Promise<void>((resolve, reject) => {
      post.waiting.add(reject);
      void post.client.synced().then(() => {
        post.waiting.delete(reject);
        resolve();
      });
    });
  }

  /** Who runs a partition is there for the elections of its coordinator, once it has one. */
  candidate(partition: string, face: Face): { withdraw(): Promise<void> } {
    const post = this.#post(partition);
    post.faces.add(face);
    return {
      withdraw: () => {
        post.faces.delete(face);
        return Promise.resolve();
      },
    };
  }

  /** A coordinator speaks; anything may come. */
  heard(body: unknown): void {
    const said = readSaid(body);
    if (said === undefined) return;
    const post = this.#posts.get(said.partition);
    if (post === undefined) return;
    if (post.faces.size > 0) this.#stand(post);
    post.client.heard(said);
  }

  /** `farewell`: it is gone, and has said so. */
  peer(id: NodeId, there: boolean, farewell: boolean): void {
    for (const { chair } of this.#posts.values()) chair.peer(id, there, farewell);
  }

  linkUp(): void {
    for (const { seat, stands } of this.#posts.values()) if (stands) seat.linkUp();
  }

  linkDown(error: Error): void {
    for (const { seat } of this.#posts.values()) seat.linkDown(error);
  }

  /** The nodes can be heard again. */
  reconnected(): void {
    for (const { client } of this.#posts.values()) client.reconnected();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { client } of this.#posts.values()) client.close();
    await Promise.all(
      [...this.#posts.values()].map(async ({ chair, seat, keeper }) => {
        await within(this.#parts.clock, LEAVE_MS, chair.leave()); // a broker that does not answer
        await seat.stop();
        await keeper.idle();
      }),
    );
    const { persister, link, clock } = this.#parts;
    await closePersister(persister, clock);
    await link.close();
  }

  #post(partition: string): Post {
    const there = this.#posts.get(partition);
    if (there !== undefined) return there;
    const post = this.#made(partition);
    this.#posts.set(partition, post);
    return post;
  }

  #made(partition: string): Post {
    const { clock, names, self, put, out, link, broker, graceMs, warn, persister } = this.#parts;
    const calls = names.coordinator(partition);
    const client = new CoordinatorClient({
      partition,
      self,
      clock,
      send: (batch) => put(calls, packCalls(self, batch)),
      trouble: () => keeper.trouble,
      out: out(partition),
    });
    const faces = new Set<Face>();
    const waiting = new Set<(reason: Error) => void>();
    const chair = this.#chairOf(partition, client, faces, (changes) => keeper.append(changes));
    const keeper: Keeper = new Keeper({
      partition,
      persister,
      clock,
      chair,
      append: (changes) => seat.append(changes),
      giveUp: (reason) => seat.giveUp(reason),
      failed: (reason) => {
        for (const refuse of waiting) refuse(reason);
        waiting.clear();
      },
    });
    const seat: Seat = new Seat({ link, clock, names, partition, broker, graceMs, owner: keeper, warn });
    return { client, chair, keeper, seat, faces, waiting, stands: false };
  }

  #chairOf(
    partition: string,
    client: CoordinatorClient,
    faces: Set<Face>,
    append: (changes: readonly Change[]) => Promise<void>,
  ): Chair {
    const { clock, self, regrantMs, peers, young, warn } = this.#parts;
    return new Chair({
      clock,
      self,
      regrantMs,
      peers,
      young,
      warn,
      knownEpoch: () => client.epoch,
      append,
      say: (said, to) => this.#say(partition, client, said, to),
      elected: (epoch) => {
        for (const face of faces) face.elected(epoch);
      },
      deposed: () => {
        for (const face of faces) face.deposed();
      },
    });
  }

  /** What is for this node does not travel. */
  #say(partition: string, client: CoordinatorClient, said: Said, to: string | undefined): void {
    const { say, self } = this.#parts;
    if (to !== self.node) say([partition, said.epoch, said.answers, said.notices], to);
    if (to === undefined || to === self.node) queueMicrotask(() => client.heard(said));
  }

  #stand(post: Post): void {
    if (post.stands || this.#closed) return;
    post.stands = true;
    if (this.#parts.link.isUp) post.seat.linkUp();
    else this.#open();
  }

  /** Made when it is needed first; from then on it is made again by itself. */
  #open(): void {
    if (this.#opening || this.#closed) return;
    this.#opening = true;
    this.#parts.link.open().catch((error: Error) => {
      this.#opening = false;
      this.#parts.warn(error.message);
      this.#parts.clock.timer(OPEN_AGAIN_MS, () => this.#open());
    });
  }
}

interface SaidOf extends Said {
  readonly partition: string;
}

function readSaid(body: unknown): SaidOf | undefined {
  if (!Array.isArray(body)) return undefined;
  const [partition, epoch, answers, notices] = body as unknown[];
  if (typeof partition !== "string" || typeof epoch !== "number") return undefined;
  if (!Array.isArray(answers) || !Array.isArray(notices)) return undefined;
  return { partition, epoch, answers, notices };
}
