/**
 * One run: starts the runtime, enqueues what is not yet confirmed, waits until everything has ended.
 *
 * Owns the runtime. `stop` may come at any moment (Ctrl-C); the run then ends as interrupted, with the runtime stopped
 * in order. After `kill -9` the ledger and the broker's store hold all that another run needs.
 */
import { DuplicateJob, embedded, memory, Runtime, RuntimeStopped } from "spillway";
import { killReport, noteOf } from "./notes.mjs";
import { JOBS, PARTITION, planOf, twins } from "./plan.mjs";

const GROUP = 250;
const CONCURRENCY = 64;
const LOOK_MS = 1_000;
/** Reports wait until both of one key have been enqueued: so the second is always refused. */
const CLOSED = { files: CONCURRENCY, beside: CONCURRENCY, reports: 0 };
const OPEN = { ...CLOSED, reports: CONCURRENCY };

export class Run {
  #stopping;
  #wake = () => undefined;

  constructor(options, ledger, screen) {
    this.options = options;
    this.ledger = ledger;
    this.screen = screen;
    this.ended = new Set();
    this.buried = [];
  }

  /** Resolves with whether it was interrupted. */
  async carryOut(files) {
    const plan = planOf(files, this.ledger.folder);
    this.total = plan.length + 1;
    const startedAt = performance.now();
    this.runtime = await Runtime.start({
      broker: this.options.broker === "memory" ? memory() : embedded({ path: this.ledger.storePath }),
      jobs: JOBS,
      partitions: { [PARTITION]: CLOSED },
      logger: this.#logger(),
    });
    try {
      await this.#restore();
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

  #listBuried() {
    return this.runtime.buried.list(PARTITION, "beside");
  }

  #listen() {
    const { runtime, screen } = this;
    const end = ({ id }) => {
      this.ended.add(id);
      screen.progress(this.ended.size);
      if (this.ended.size === this.total) this.#wake();
    };
    runtime.on("job.completed", end).on("job.buried", end);
    runtime.on("job.buried", ({ id, attempt, error }) => this.buried.push({ id, attempt, error }));
    for (const type of ["job.failed", "job.killed", "broker.lost"])
      runtime.on(type, (event) => {
        const note = noteOf(screen, event);
        if (note !== undefined) screen.print(note);
      });
  }

  async #enqueueAll(plan) {
    if (this.ledger.refused === 0) await this.#enqueueTwins();
    await this.runtime.partitions.reconfigure(PARTITION, OPEN);
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

  /** What was stored just before a kill is met again here: it has ended since, or its id is refused. */
  async #enqueue({ id, definition, args }) {
    if (this.ended.has(id)) return;
    try {
      await this.runtime.enqueue(definition, args, { partition: PARTITION, id });
    } catch (error) {
      if (!(error instanceof DuplicateJob && error.by === "id")) throw error;
    }
  }

  async #enqueueTwins() {
    const [first, second] = twins(this.ledger.folder);
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
    for (let empty = 0; empty < 2 && this.#stopping === undefined; ) {
      const all = this.ended.size === this.total;
      if (!all) await this.#moment(LOOK_MS);
      if (!(await this.#isEmpty())) {
        empty = 0;
        // One that ran again after a kill may still be at it.
        if (all) await this.#moment(LOOK_MS / 20);
      } else empty += all ? 2 : 1;
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
    const partitions = await this.runtime.node.partitions();
    const queues = Object.values(partitions[PARTITION] ?? {});
    return queues.every((queue) => queue.ready + queue.scheduled + queue.running + queue.waiting === 0);
  }

  #logger() {
    const say = (...parts) => this.screen.print(`  ${parts.map(String).join(" ")}`);
    return { debug() {}, info() {}, warn: say, error: say };
  }
}
