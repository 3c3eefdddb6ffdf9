/**
 * The partitions' coordinators, as one node has to do with them: its face to each, and its seat in each election.
 *
 * Owns one connection for all seats, made at the first of them. A partition has a coordinator from its first key, cancel
 * or pause on: until then there is nothing that it could know, and no queue for it on the broker. Whoever asks for the
 * first time stands; who runs the partition follows when it hears of an election. When the process dies, the next in line
 * of each election has its seat.
 */
import type { Clock } from "../../kernel/types.ts";
import type { Link } from "../link.ts";
import type { Names } from "../names.ts";
import { within } from "../patience.ts";
import { Chair, packCalls } from "./chair.ts";
import { type ClientOut, CoordinatorClient, type Said } from "./client.ts";
import type { NodeId } from "./requests.ts";
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
  readonly exists: (queue: string) => Promise<boolean>;
  /** Straight to a queue, by its name; may be lost. */
  readonly put: (queue: string, bytes: Buffer) => void;
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
  readonly seat: Seat;
  readonly faces: Set<Face>;
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

  /**
   * Before a partition is consumed: what was paused or cancelled is known by then. Where no coordinator ever was, nothing is.
   */
  async ready(partition: string): Promise<void> {
    const post = this.#post(partition);
    if (!post.stands) {
      if (!(await this.#parts.exists(this.#parts.names.journal(partition)))) return;
      this.#stand(post);
    }
    await post.client.synced();
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

  peer(id: NodeId, there: boolean): void {
    for (const { chair } of this.#posts.values()) chair.peer(id, there);
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
      [...this.#posts.values()].map(async ({ chair, seat }) => {
        await within(this.#parts.clock, LEAVE_MS, chair.leave()); // a broker that does not answer
        await seat.stop();
      }),
    );
    await this.#parts.link.close();
  }

  #post(partition: string): Post {
    const there = this.#posts.get(partition);
    if (there !== undefined) return there;
    const post = this.#made(partition);
    this.#posts.set(partition, post);
    return post;
  }

  #made(partition: string): Post {
    const { clock, names, self, put, out, link, broker, graceMs, warn } = this.#parts;
    const calls = names.coordinator(partition);
    const client = new CoordinatorClient({
      partition,
      self,
      clock,
      send: (batch) => put(calls, packCalls(self, batch)),
      out: out(partition),
    });
    const faces = new Set<Face>();
    const chair = this.#chairOf(partition, client, faces, () => seat);
    const seat: Seat = new Seat({ link, clock, names, partition, broker, graceMs, owner: chair, warn });
    return { client, chair, seat, faces, stands: false };
  }

  #chairOf(partition: string, client: CoordinatorClient, faces: Set<Face>, seat: () => Seat): Chair {
    const { clock, self, regrantMs, peers, young, warn } = this.#parts;
    return new Chair({
      clock,
      self,
      regrantMs,
      peers,
      young,
      warn,
      knownEpoch: () => client.epoch,
      append: (changes) => seat().append(changes),
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
