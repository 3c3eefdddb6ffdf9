/**
 * This node among the others: heartbeats, announcements, calls and casts, and the questions of adoption.
 *
 * Owns the list of peers and the beat. What it hears of a peer is told to whoever listens (`node.up`, `late`, `gone`);
 * what differs from us in a way that looks like two clusters under one prefix is told once, in words. A node whose
 * connection is away hears nobody, and judges nobody.
 */
import type { Cluster, NodeAnswer } from "../broker/contract.ts";
import type { Clock } from "../kernel/types.ts";
import { type CallBody, Calls } from "./calls.ts";
import type { Face } from "./coordinator/coordinators.ts";
import { TOPOLOGY_VERSION } from "./names.ts";
import { type Announcement, BEAT_MS, Peers, type PeersOut } from "./peers.ts";
import { ECHO, SystemChannel, type SystemParts, type Told } from "./system-channel.ts";

export interface ClusterListener {
  /** `farewell`: it is gone, and has said so. */
  node(name: string, boot: string, state: "up" | "late" | "gone", farewell: boolean): void;
  mixed(name: string, difference: string): void;
  /** A message of adoption. */
  question(kind: string, from: string, body: unknown): void;
  /** Peers or our own age have changed: what waits for that is looked at. */
  look(): void;
  /** The others can be heard (again). */
  connected(): void;
  /** Nobody has heard us for so long that they will take us for gone. */
  unheard(): void;
}

export interface ClusterParts
  extends Pick<SystemParts, "consumeLink" | "publishLink" | "names" | "prepare" | "warn"> {
  readonly clock: Clock;
  readonly node: string;
  readonly boot: string;
  readonly broker: string;
  readonly nodeTimeoutMs: number;
  readonly queueType: string;
  readonly listener: ClusterListener;
  readonly candidate: (partition: string, face: Face) => { withdraw(): Promise<void> };
}

/** Nothing wakes an idle process more often. */
const TICK_MS = 1_000;
const OPEN_AGAIN_MS = 50;
/** Before others take us for gone: two seconds, and what a tick and a kill take. */
const UNHEARD_MS = 3_000;

export class RabbitCluster implements Cluster, PeersOut {
  readonly peers: Peers;
  readonly #parts: ClusterParts;
  readonly #system: SystemChannel;
  readonly #calls: Calls;
  readonly #said = new Set<string>();
  #jobs: readonly string[] = [];
  #queues: readonly string[] = [];
  #bindings: readonly string[] = [];
  #version = 1;
  #heardAt = 0;
  #isUnheard = false;
  #beatAt = 0;
  #stopTick: () => void = () => {};

  constructor(parts: ClusterParts) {
    this.#parts = parts;
    this.peers = new Peers(parts.nodeTimeoutMs);
    this.#system = new SystemChannel({
      ...parts,
      hear: (told) => this.#hear(told),
      echo: () => this.#echoed(),
      opened: () => this.#opened(),
      closed: () => this.peers.disconnected(),
    });
    this.#calls = new Calls({
      clock: parts.clock,
      node: parts.node,
      broker: parts.broker,
      others: () => this.peers.names,
      send: (command, body) => this.#system.send(reachOf(command), "call", body),
    });
  }

  /** The others can be heard, and hear us. */
  get isOpen(): boolean {
    return this.#system.isOpen && this.#parts.publishLink.blockedBy === undefined;
  }

  get others(): readonly string[] {
    return this.peers.names;
  }

  get isNew(): boolean {
    return this.peers.young;
  }

  start(): void {
    this.#heardAt = this.#parts.clock.now();
    this.#tick();
  }

  linkUp(): Promise<void> {
    return this.#system.linkUp();
  }

  /** Resolves when the others can be heard, or the time is over. */
  async opened(withinMs: number): Promise<void> {
    const until = this.#parts.clock.now() + withinMs;
    while (!this.isOpen && this.#parts.clock.now() < until)
      await new Promise<void>((resolve) => this.#parts.clock.timer(OPEN_AGAIN_MS, resolve));
  }

  /** Says farewell, so that nobody waits for us. */
  async close(): Promise<void> {
    this.#stopTick();
    this.#system.send("control", "bye", null);
    await this.#system.close();
  }

  serve(_node: string, answer: (command: string, args: unknown) => Promise<unknown>): Promise<void> {
    this.#calls.serve(answer);
    return Promise.resolve();
  }

  call(command: string, args: unknown, timeoutMs: number): Promise<readonly NodeAnswer[]> {
    return this.#calls.call(command, args, timeoutMs);
  }

  cast(command: string, args: unknown, to?: string): void {
    const { node } = this.#parts;
    if (to === undefined || to === node) queueMicrotask(() => void this.#calls.run(command, args));
    if (to === node) return;
    this.#system.send(to === undefined ? reachOf(command) : { node: to }, "cast", { command, args });
  }

  announce(jobs: readonly string[]): void {
    this.#jobs = jobs;
    this.#changed();
  }

  declared(queues: readonly string[]): void {
    this.#queues = [...new Set([...this.#queues, ...queues])];
    this.#changed();
  }

  /** All bindings of this node, by name. */
  bound(bindings: readonly string[]): void {
    this.#bindings = bindings;
    this.#changed();
  }

  knows(job: string): boolean {
    return this.peers.knows(job);
  }

  /** A message of adoption, to all or to one. */
  say(kind: string, body: unknown, to?: string): void {
    this.#system.send(to === undefined ? "control" : { node: to }, kind, body);
  }

  candidate(partition: string, face: Face): Promise<{ withdraw(): Promise<void> }> {
    return Promise.resolve(this.#parts.candidate(partition, face));
  }

  /** Calls, to whoever has bound this key; may be lost. */
  put(key: string, bytes: Buffer): void {
    this.#system.put(key, bytes);
  }

  peer(name: string, boot: string, state: "up" | "late" | "gone", farewell = false): void {
    if (state === "gone") this.#calls.gone(name);
    this.#parts.listener.node(name, boot, state, farewell);
  }

  #opened(): void {
    this.peers.connected();
    this.#heardAt = this.#parts.clock.now();
    this.#system.send("control", "hello", this.#announcement());
    this.#parts.listener.connected();
  }

  #tick(): void {
    this.#stopTick = this.#parts.clock.timer(TICK_MS, () => this.#tick());
    const now = this.#parts.clock.now();
    if (now - this.#beatAt >= BEAT_MS) {
      this.#beatAt = now;
      this.#system.send("control", "beat", this.#version);
    }
    this.#lookAtSelf(now);
    if (!this.isOpen) return;
    this.#system.send({ node: this.#parts.node }, ECHO, null);
    this.#parts.listener.look();
  }

  /** The last beat that others heard is at most one older than the last that has come back. */
  #lookAtSelf(now: number): void {
    if (this.#isUnheard || now - this.#heardAt + BEAT_MS < this.#parts.nodeTimeoutMs - UNHEARD_MS) return;
    this.#isUnheard = true;
    this.#parts.listener.unheard();
  }

  /**
   * Others have been silent for so long: only now is that known. A connection that is dead and not noticed yet brings no
   * echo, and the silence on it is not theirs.
   */
  #echoed(): void {
    const now = this.#parts.clock.now();
    const passed = now - this.#heardAt;
    this.#heardAt = now;
    this.#isUnheard = false;
    this.peers.elapsed(passed, this);
    this.#parts.listener.look();
  }

  #changed(): void {
    this.#version += 1;
    if (this.#system.isOpen) this.#system.send("control", "announce", this.#announcement());
  }

  #announcement(): { readonly version: number; readonly says: Announcement } {
    const { queueType, nodeTimeoutMs } = this.#parts;
    return {
      version: this.#version,
      says: {
        jobs: this.#jobs,
        queues: this.#queues,
        bindings: this.#bindings,
        queueType,
        topology: TOPOLOGY_VERSION,
        nodeTimeoutMs,
        peers: this.peers.alive.map(({ name, boot }) => [name, boot]),
      },
    };
  }

  #hear({ kind, from, boot, body }: Told): void {
    if (from === this.#parts.node)
      return this.#mixed(from, "another process calls itself by this node's name; give each its own `node`");
    if (kind === "bye") return this.peers.left(from, boot, this);
    const peer = this.peers.heard(from, boot, this);
    switch (kind) {
      case "beat":
        if (peer.version !== body) this.#system.send({ node: from }, "tell", null);
        return;
      case "hello":
        this.#heardOf(from, body);
        this.#system.send({ node: from }, "announce", this.#announcement());
        return;
      case "tell":
        this.#system.send({ node: from }, "announce", this.#announcement());
        return;
      case "announce":
        return this.#heardOf(from, body);
      case "call":
        return this.#answer(from, callOf(body));
      case "answer":
        return this.#calls.heardAnswer(from, body);
      case "cast":
        return this.#run(callOf(body));
      default:
        return this.#parts.listener.question(kind, from, body);
    }
  }

  #answer(from: string, body: CallBody | undefined): void {
    if (body === undefined) return;
    void this.#calls
      .run(body.command, body.args, body.call)
      .then((answer) => this.#system.send({ node: from }, "answer", answer));
  }

  #run(body: CallBody | undefined): void {
    if (body !== undefined) void this.#calls.run(body.command, body.args);
  }

  #heardOf(from: string, body: unknown): void {
    const { version, says } = (body ?? {}) as { version?: unknown; says?: Announcement };
    const peer = this.peers.get(from);
    if (peer === undefined || typeof version !== "number" || !isAnnouncement(says)) return;
    peer.version = version;
    peer.announcement = says;
    if (this.peers.heardOf(this.#named(says), this)) this.#changed();
    for (const difference of this.#differences(says)) this.#mixed(from, difference);
    this.#parts.listener.look();
  }

  /** Whom that node knows, and we do not: one that came and was cut off while we were away, say. */
  #named(says: Announcement): readonly (readonly [name: string, boot: string])[] {
    const named = Array.isArray(says.peers) ? says.peers : [];
    return named.filter(
      ([name, boot]) => typeof name === "string" && typeof boot === "string" && name !== this.#parts.node,
    );
  }

  /** What two nodes of one cluster would not differ in. */
  #differences(says: Announcement): string[] {
    const { queueType, nodeTimeoutMs } = this.#parts;
    const found: string[] = [];
    if (says.topology !== TOPOLOGY_VERSION)
      found.push(`it lays out the broker by version ${says.topology}, this node by ${TOPOLOGY_VERSION}`);
    if (says.queueType !== queueType)
      found.push(`its queueType is ${says.queueType}, this node's is ${queueType}`);
    if (says.nodeTimeoutMs !== nodeTimeoutMs)
      found.push(`its nodeTimeout is ${says.nodeTimeoutMs} ms, this node's is ${nodeTimeoutMs} ms`);
    const shared = says.queues.find((queue) => this.#queues.includes(queue));
    const strangers =
      says.jobs.length > 0 && this.#jobs.length > 0 && !says.jobs.some((job) => this.#jobs.includes(job));
    if (shared !== undefined && strangers)
      found.push(
        `it consumes ${shared} too and knows none of this node's jobs; if these are two clusters, give each a prefix of its own`,
      );
    return found;
  }

  #mixed(name: string, difference: string): void {
    const key = `${name} ${difference}`;
    if (this.#said.has(key)) return;
    if (this.#said.size >= 1_000) this.#said.clear();
    this.#said.add(key);
    this.#parts.listener.mixed(name, difference);
  }
}

const reachOf = (command: string) => (command.startsWith("info.") ? "information" : "control");

/** A cast has no `call`: nobody waits for its answer. */
function callOf(body: unknown): CallBody | undefined {
  const { call = "", command, args } = (body ?? {}) as Partial<CallBody>;
  return typeof command === "string" && typeof call === "string" ? { call, command, args } : undefined;
}

function isAnnouncement(value: unknown): value is Announcement {
  const says = value as Partial<Announcement> | undefined;
  return isTexts(says?.jobs) && isTexts(says?.queues) && typeof says?.queueType === "string";
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}
