/**
 * One run: starts the runtime, enqueues what is not yet confirmed, waits until everything has ended.
 *
 * Owns the runtime. `stop` may come at any moment (Ctrl-C); the run then ends as interrupted, with the runtime stopped
 * in order. After `kill -9` the ledger and the broker hold all that another run needs. A broker that goes away meanwhile
 * is waited for.
 */
import { setTimeout as wait } from "node:timers/promises";
import { DuplicateJob, Runtime, RuntimeStopped } from "spillway";
import { brokerOf, emptied } from "./brokers.mjs";
import { killReport, noteOf } from "./notes.mjs";
import { Usage } from "./options.mjs";
import { JOBS, PARTITION, planOf, twins } from "./plan.mjs";

const GROUP = 250;
const LOOK_MS = 1_000;
/** Stored or not, nobody can tell, or surely not: enqueuing the same id again is right. */
const AGAIN = new Set(["EnqueueOutcomeUnknown", "BrokerUnreachable", "BrokerBlocked"]);
const NOTED = [
  "job.failed",
  "job.killed",
  "broker.lost",
  "broker.connected",
  "broker.blocked",
  "broker.unblocked",
];

export class Run {
  #stopping;
  #wake = () => undefined;
  #away = false;

  constructor(options, ledger, screen) {
    this.options = options;
    this.ledger = ledger;
    this.screen = screen;
    this.broker = brokerOf(options, ledger);
    this.ended = new Set();
    this.buried = [];
  }

  /** Resolves with whether it was interrupted. */
  async carryOut(files) {
    const plan = planOf(files, this.ledger);
    this.total = plan.length + 1;
    const startedAt = performance.now();
    this.runtime = await Runtime.start({
      broker: this.broker.factory,
      jobs: JOBS,
      partitions: { [PARTITION]: this.broker.closed },
      logger: this.#logger(),
    });
    try {
      if (this.#stopping !== undefined) this.#stopping = this.runtime.stop();
      if (this.broker.outlivesUs && this.ledger.confirmed.size === 0) await this.#makeWay();
      await this.#restore();
      if (this.broker.outlivesUs) this.#sayWhatWaits();
      this.#listen();
      this.screen.begin(this.ended.size, this.total);
      await this.#enqueueAll(plan);
      await this.#untilEnded();
    } catch (error) {
      if (!(error instanceof RuntimeStopped && this.#stopping)) throw error;
    } finally {
      this.seconds = Math.round(performance.now() - startedAt) / 1000;
      if (this.#stopping === undefined) this.buried = await this.#listBuried();
      this.screen.end();
      await this.runtime.stop();
    }
    return this.#stopping !== undefined;
  }

  /** In order: nothing new, what runs gets its time, the rest is handed back. */
  stop() {
    this.#stopping ??= this.runtime?.stop() ?? Promise.resolve();
    this.#wake();
  }

  /** At a fresh start the queues are emptied, unless somebody else is at work there. */
  async #makeWay() {
    const { runtime, screen } = this;
    const others = (await runtime.info.nodes()).filter(({ node }) => node !== runtime.name);
    if (others.length > 0)
      throw new Usage(
        `node ${others[0].node} is at work in these queues; stop it, or give another --prefix.`,
      );
    const { purged, dropped } = await emptied(runtime, Object.keys(this.broker.open));
    if (purged + dropped > 0)
      screen.print(`  The queues are empty now: ${purged} old jobs are gone, and ${dropped} buried ones.\n`);
  }

  /** What comes again is not started before it is known that no other node runs it; a new node knows that late. */
  #sayWhatWaits() {
    const { ledger, ended, broker } = this;
    if (ledger.killed) this.quietFrom = performance.now() + broker.doubtMs;
    if (ledger.killed || [...ledger.confirmed].some((id) => !ended.has(id)))
      this.screen.print("  What the run before had in hand waits 10 s: another node might run it.\n");
  }

  /** What ended in the run before this one, and had no time to be told. */
  async #restore() {
    for (const id of this.ledger.results().byId.keys()) this.ended.add(id);
    this.buried = [...(await this.#listBuried())];
    for (const job of this.buried) {
      this.ended.add(job.id);
      if (job.error.report !== undefined)
        this.screen.print(killReport(this.screen, job.job, job.error, "before"));
    }
    this.endedBefore = this.ended.size;
  }

  async #listBuried() {
    const buried = await this.runtime.buried.list(PARTITION, "beside");
    return buried.filter(({ id }) => this.ledger.owns(id));
  }

  #listen() {
    const { runtime, screen, ledger } = this;
    const end = ({ id }) => {
      if (!ledger.owns(id)) return;
      this.ended.add(id);
      screen.progress(this.ended.size);
      if (this.ended.size === this.total) this.#wake();
    };
    runtime.on("job.completed", end).on("job.buried", end);
    runtime.on("job.buried", ({ id, attempt, error }) => this.buried.push({ id, attempt, error }));
    runtime.on("broker.lost", () => {
      this.#away = true;
    });
    runtime.on("broker.connected", () => {
      this.#away = false;
    });
    for (const type of NOTED)
      runtime.on(type, (event) => {
        const note = noteOf(screen, event);
        if (note !== undefined && ledger.owns(event.id ?? ledger.run)) screen.print(note);
      });
  }

  async #enqueueAll(plan) {
    if (this.ledger.refused === 0) await this.#enqueueTwins();
    await this.runtime.partitions.reconfigure(PARTITION, this.broker.open);
    const open = plan.filter(({ id }) => !this.ledger.confirmed.has(id));
    for (let at = 0; at < open.length; at += GROUP) await this.#enqueueGroup(open.slice(at, at + GROUP));
  }

  /** One group of awaiting callers shares the broker's next commits. */
  async #enqueueGroup(group) {
    const settled = await Promise.allSettled(group.map((job) => this.#enqueue(job)));
    this.ledger.confirm(
      group.filter((_, index) => settled[index].status === "fulfilled").map(({ id }) => id),
    );
    const failed = settled.find(({ status }) => status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  /**
   * What was stored just before a kill is met again here: it has ended since, or its id is refused; without keys it runs
   * twice at the worst.
   */
  async #enqueue({ id, definition, args }) {
    while (!this.ended.has(id)) {
      try {
        return await this.runtime.enqueue(definition, args, { partition: PARTITION, id });
      } catch (error) {
        if (error instanceof DuplicateJob && error.by === "id") return;
        if (!AGAIN.has(error.code)) throw error;
        await wait(LOOK_MS);
      }
    }
  }

  async #enqueueTwins() {
    const [first, second] = twins(this.ledger);
    // An id that has ended may run again: without its first the second would not be refused.
    this.ended.delete(first.id);
    await this.#enqueueGroup([first]);
    try {
      await this.runtime.enqueue(second.definition, second.args, { partition: PARTITION, id: second.id });
    } catch (error) {
      if (!(error instanceof DuplicateJob && error.by === "queueKey")) throw error;
      this.ledger.refuse(second.id);
      this.screen.print(noteOf(this.screen, { type: "refused", job: second.definition.name, error }));
    }
  }

  /** Until all have ended and the broker is empty; one that stays empty before that has lost something. */
  async #untilEnded() {
    const { looks } = this.broker;
    for (let empty = 0; empty < looks && this.#stopping === undefined; ) {
      const all = this.ended.size === this.total;
      if (!all) await this.#moment(LOOK_MS);
      if (!(await this.#isEmpty())) {
        empty = 0;
        // One that ran again after a kill may still be at it.
        if (all) await this.#moment(LOOK_MS / 20);
      } else empty += all ? looks : 1;
    }
  }

  /** Until everything has ended, somebody wants a stop, or this time is over. */
  async #moment(ms) {
    let timer;
    await new Promise((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
  }

  async #isEmpty() {
    if (this.#away || performance.now() < (this.quietFrom ?? 0)) return false;
    const partitions = await this.runtime.node.partitions();
    const queues = Object.values(partitions[PARTITION] ?? {});
    return queues.every(
      (queue) => queue.ready + (queue.scheduled ?? 0) + queue.running + queue.waiting === 0,
    );
  }

  #logger() {
    const say = (...parts) => this.screen.print(`  ${parts.map(String).join(" ")}`);
    return { debug() {}, info() {}, warn: say, error: say };
  }
}
