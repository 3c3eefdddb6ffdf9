/**
 * The scene: a broker, three nodes, two producers; the node that has the coordinator's seat is killed, and comes back.
 *
 * Owns all of them. What happened and when is kept here and in them; what the bodies did is in the journal. `clear` takes
 * everything away, whatever state it is in.
 */
import { setTimeout as wait } from "node:timers/promises";
import { brokerOf } from "./brokers.mjs";
import { Journal } from "./journal.mjs";
import { Nodes } from "./nodes.mjs";
import { planOf } from "./plan.mjs";
import { Producers } from "./producers.mjs";

const LOOK_MS = 20;
/** Between the kill and a new process of that name. */
const AWAY_MS = 3_000;
/** What the last body has ended is acknowledged, and what came again is known to have ended, well within this. */
const SETTLE_MS = 2_000;
/** Jobs that are enqueued and have not ended, until the kill. */
const MOST_AHEAD = 200;
/** Nothing has started or ended for so long: what is missing is lost. */
const PATIENCE_MS = 60_000;

export class Stage {
  /** The kill, once it has been: see `Nodes.kill`; `run` is what it cut off. */
  kill = undefined;
  left = undefined;
  #leaving = false;
  #clearing = undefined;

  constructor(options, screen, folder) {
    this.options = options;
    this.screen = screen;
    this.folder = folder;
    this.journal = new Journal(folder);
    this.plan = planOf(options);
    this.producers = new Producers();
  }

  async play() {
    const { options, screen, producers, plan, folder } = this;
    this.broker = await brokerOf(options);
    const { prefix } = options;
    screen.event("green", "broker", `RabbitMQ at ${new URL(this.broker.url).host}, names with ${prefix}`);
    this.nodes = new Nodes({ url: this.broker.url, prefix }, screen);
    await this.nodes.start();
    if (this.#leaving) return;
    await producers.start({ url: this.broker.url, prefix });
    const enqueued = producers.enqueue(plan, folder, (sent) => this.#mustWait(sent));
    const all = Promise.all([enqueued.then(() => this.#enqueued()), this.#interfere()]);
    await Promise.race([all, this.nodes.failed]);
    await Promise.race([this.#untilEnded(), this.nodes.failed]);
    await wait(SETTLE_MS);
    await this.nodes.stop();
    this.left = await producers.left();
    this.journal.look();
  }

  /** Until the kill, so that it falls in the middle of the enqueues on a slow machine too. */
  #mustWait(sent) {
    return this.kill === undefined && sent - this.journal.ended.size > MOST_AHEAD;
  }

  #enqueued() {
    const { confirmed, refused } = this.producers;
    this.screen.event("green", "enqueued", `${confirmed.size} jobs, ${refused.size} refused as duplicates`);
  }

  /** Kills the node that has the seat, while it runs a job under a key; some seconds later it is there again. */
  async #interfere() {
    const { screen, nodes } = this;
    const run = await this.#untilVictim();
    if (run === undefined) return;
    const { name } = nodes.seat;
    this.kill = { ...(await nodes.kill(name)), run };
    screen.event("red", "KILL", `${name}, which is the coordinator and runs job ${run.id} under ${run.key}`);
    await wait(AWAY_MS);
    if (!this.#leaving) await nodes.startOne(name);
  }

  /** A run under a key on the node that has the seat, one that lasts until it is killed; when none did, any. */
  async #untilVictim() {
    const { journal, nodes, plan } = this;
    const long = new Set(plan.filter(({ isLong }) => isLong).map(({ id }) => id));
    while (!this.#leaving && journal.look().ended.size < plan.length) {
      const isPast = [...long].every((id) => journal.ended.has(id));
      const isVictim = ({ id, key }) => long.has(id) || (isPast && key !== undefined);
      const run = journal.openOf(nodes.seat.pid).find(isVictim);
      if (run !== undefined) return run;
      await wait(LOOK_MS);
    }
    return undefined; // said by the ledger
  }

  async #untilEnded() {
    const { journal, producers } = this;
    let [seen, since] = [0, Date.now()];
    while (!this.#leaving) {
      const { runs, ended } = journal.look();
      const isDone = [...producers.confirmed.keys()].every((id) => ended.has(id));
      if (isDone && (await producers.waiting()) === 0) break;
      if (runs.length + ended.size !== seen) [seen, since] = [runs.length + ended.size, Date.now()];
      if (Date.now() - since > PATIENCE_MS) break;
      await wait(LOOK_MS * 10);
    }
    this.screen.event("green", "ended", `${journal.ended.size} jobs`);
  }

  /** How things stand, in a line. */
  status() {
    const { started, ended } = this.journal;
    const { confirmed, refused } = this.producers;
    return `${confirmed.size} enqueued, ${refused.size} refused, ${started.size} started, ${ended.size} ended`;
  }

  /** Once, also when a signal comes while it is under way. */
  clear() {
    this.#clearing ??= this.#clear();
    return this.#clearing;
  }

  async #clear() {
    this.#leaving = true;
    await this.nodes?.clear();
    await this.producers.stop();
    await this.broker?.take();
  }
}
