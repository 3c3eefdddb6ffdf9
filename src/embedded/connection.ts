/**
 * The embedded broker's hold on its folder: opens the store, opens it again after a loss, lets go of it.
 *
 * Owns the store thread, the folder's claim and what the state is. A flush that failed or a thread that ended
 * is a loss: all deliveries are void, the file is opened anew with backoff. A folder that was taken away or a
 * damaged file is the end: everything that waits is answered with that error.
 */
import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import type { BrokerEvents } from "../broker/contract.ts";
import {
  BrokerInUse,
  BrokerUnreachable,
  StoreDamaged,
  StoreTaken,
  StoreUnreadable,
} from "../broker/errors.ts";
import type { Clock } from "../kernel/types.ts";
import { type Arriving, arrive, settleEnds } from "./arrivals.ts";
import { DueTimer } from "./due-timer.ts";
import type { EmbeddedLane } from "./embedded-lane.ts";
import { claimFolder, prepareFolder, troubled } from "./folder.ts";
import type { Batch } from "./gather.ts";
import { LaneBook } from "./lane-book.ts";
import { Marks } from "./marks.ts";
import { type Commits, outcomeUnknown, Pipeline } from "./pipeline.ts";
import { Shelf } from "./shelf.ts";
import type { Done, Opened, Trouble, Tuning } from "./store/protocol.ts";
import { StoreClient, type StoreListener } from "./store-client.ts";
import { Pump } from "./subscription.ts";
import { CLOSE_MS, REOPEN } from "./tuning.ts";

export interface ConnectionOptions {
  readonly path: string;
  readonly force: boolean;
  readonly node: string;
  readonly maxCrashes: number;
  readonly clock: Clock;
  readonly tuning: Tuning;
}

type State = "new" | "opening" | "up" | "lost" | "closed" | "failed";

export class Connection implements Commits, StoreListener {
  readonly path: string;
  readonly pump = new Pump();
  readonly marks = new Marks();
  readonly pipeline: Pipeline;
  readonly lanes: LaneBook;
  readonly shelf: Shelf;
  driver = "not open";
  /** The lanes have been read anew, after a loss. */
  reopened: () => void = () => {};
  readonly #options: ConnectionOptions;
  readonly #timer: DueTimer;
  readonly #arriving: Arriving;
  #state: State = "new";
  #failure: Error | undefined;
  #events: BrokerEvents | undefined;
  #client: StoreClient | undefined;
  #unclaim: () => void = () => undefined;
  #reopening: NodeJS.Timeout | undefined;
  #tries = 0;
  /** The last attempt to open, and the last thread's end. */
  #opening: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;
  #left: Promise<void> = Promise.resolve();

  constructor(options: ConnectionOptions) {
    this.path = resolve(options.path);
    this.#options = options;
    const { clock, tuning } = options;
    this.pipeline = new Pipeline(clock, this.path, tuning.journalJobs, this);
    this.lanes = new LaneBook(this.pump, this.pipeline);
    this.#timer = new DueTimer(clock, () => this.pipeline.commitSoon());
    this.#arriving = {
      lanes: this.lanes,
      pipeline: this.pipeline,
      tuning,
      now: () => clock.now(),
      troubled: (trouble) => troubled(this.path, trouble),
      buried: (lane, id, record) => this.#events?.buried(lane.ref.partition, lane.ref.queue, id, record),
    };
    this.shelf = new Shelf(this.#arriving);
  }

  /** Why nothing can be asked of it; `undefined` while it is open, or about to be again. */
  get refusal(): Error | undefined {
    if (this.#state === "up" || this.#state === "lost") return undefined;
    return this.#failure ?? new BrokerUnreachable(`${this.path} (${this.#state})`);
  }

  async open(events: BrokerEvents): Promise<void> {
    if (this.#state !== "new") throw new BrokerUnreachable(`${this.path} (opened before)`);
    const { force, node } = this.#options;
    this.#events = events;
    this.#state = "opening";
    this.#opening = this.#openFirst(events, force, node);
    await this.#opening;
  }

  async #openFirst(events: BrokerEvents, force: boolean, node: string): Promise<void> {
    try {
      prepareFolder(this.path, force);
      this.#unclaim = claimFolder(this.path, { pid: process.pid, node, since: Date.now() });
      const { poison } = await this.#connect(false);
      queueMicrotask(() => {
        events.connected();
        for (const { partition, queue, id, record } of poison) events.buried(partition, queue, id, record);
      });
    } catch (error) {
      this.#state = "new";
      this.#unclaim();
      this.#unclaim = () => undefined;
      throw error;
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#reopening);
    // whatever is being opened is closed when it is open
    await this.#opening.catch(() => undefined);
    if (this.#state === "closed") return;
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    this.pump.stop();
    this.#timer.stop();
    if (this.#state === "up") await this.pipeline.drain(CLOSE_MS);
    // it may have been lost meanwhile
    clearTimeout(this.#reopening);
    await this.#opening.catch(() => undefined);
    const wasUp = this.#state === "up";
    this.#state = "closed";
    const client = this.#client;
    this.#client = undefined;
    await this.#left;
    if (wasUp) await client?.close();
    else await client?.terminate();
    this.pipeline.fail(new BrokerUnreachable(`${this.path} (closed)`));
    for (const lane of this.lanes.all) lane.reset();
    this.#unclaim();
  }

  done(batch: Batch, done: Done): void {
    if (done.nextDue !== undefined) this.#timer.at(done.nextDue);
    arrive(this.#arriving, batch, done);
  }

  fetch(lane: EmbeddedLane): void {
    void this.shelf.fetch(lane);
  }

  answered(answer: Parameters<StoreListener["answered"]>[0]): void {
    this.pipeline.answered(answer);
  }

  broken(trouble: Trouble): void {
    const error = troubled(this.path, trouble);
    if (error instanceof StoreDamaged) this.#fail(error);
    else this.#lose(error);
  }

  gone(error: Error): void {
    this.#client = undefined;
    this.#lose(new BrokerUnreachable(this.path, { cause: error }));
  }

  taken(problem: string): void {
    this.#fail(new StoreTaken(this.path, problem));
  }

  space(low: boolean, freeBytes: number): void {
    if (low) this.#events?.blocked(`the disk of ${this.path} is nearly full: ${freeBytes} bytes are free`);
    else this.#events?.unblocked();
  }

  async #connect(reopened: boolean): Promise<Opened> {
    const { node, maxCrashes, clock } = this.#options;
    const { faults, ...limits } = this.#options.tuning;
    // a fault made on purpose is made once, not again after each loss
    const tuning = faults === undefined || reopened ? limits : { ...limits, faults };
    const config = {
      folder: this.path,
      node,
      maxCrashes,
      reopened,
      tuning,
      token: randomUUID(),
      now: clock.now(),
    };
    const client = new StoreClient(config);
    const opened = await client.opened(this);
    this.#client = client;
    this.driver = opened.driver;
    this.lanes.load(opened.lanes, reopened ? "lost" : opened.unclean ? "crashed" : "closed");
    this.marks.clear();
    for (const { partition, id, at } of opened.marks) this.marks.add(partition, id, at);
    if (reopened) this.reopened();
    for (const batch of this.pipeline.pending) settleEnds(this.lanes, batch, 1);
    if (opened.nextDue !== undefined) this.#timer.at(opened.nextDue);
    this.#state = "up";
    this.#tries = 0;
    this.pump.start();
    this.pipeline.connect(client, opened.maxRid);
    return opened;
  }

  /** Everything in memory is void; whatever was settled is told to the next thread. */
  #lose(error: Error): void {
    if (this.#state !== "up") return;
    this.#state = "lost";
    this.pipeline.disconnect(error);
    this.#letGo();
    this.#events?.lost(error);
    this.#reopenLater();
  }

  #fail(error: Error): void {
    if (this.#state !== "up" && this.#state !== "lost") return;
    this.#state = "failed";
    this.#failure = error;
    // a damaged page rolls the commit back; where the files went that another took, nobody can tell
    if (error instanceof StoreTaken) this.pipeline.fail(error, (batch) => outcomeUnknown(batch, error));
    else this.pipeline.fail(error);
    this.#letGo();
    this.#events?.lost(error);
  }

  #letGo(): void {
    this.pump.stop();
    this.#timer.stop();
    for (const lane of this.lanes.all) lane.reset();
    // its file must be closed before it is opened anew
    this.#left = this.#client?.terminate() ?? Promise.resolve();
    this.#client = undefined;
  }

  #reopenLater(): void {
    const waitMs = Math.min(REOPEN.maxMs, REOPEN.firstMs * REOPEN.factor ** this.#tries);
    this.#tries += 1;
    this.#reopening = setTimeout(() => {
      this.#opening = this.#reopen();
    }, waitMs);
  }

  async #reopen(): Promise<void> {
    try {
      await this.#left;
      await this.#connect(true);
    } catch (error) {
      if (this.#state !== "lost") return;
      if (error instanceof BrokerInUse) this.#fail(new StoreTaken(this.path, error.message));
      else if (error instanceof StoreUnreadable || error instanceof StoreDamaged) this.#fail(error);
      else this.#reopenLater();
      return;
    }
    this.#events?.connected();
    for (const lane of this.lanes.all) lane.outlet.wake();
  }
}
