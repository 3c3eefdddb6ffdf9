/**
 * The scene: a broker, two nodes, jobs; the broker fails in the middle, and is mended.
 *
 * Owns the broker, the node processes and a runtime of its own that only enqueues. What happened and when is kept here;
 * what the bodies did is in the journal. `clear` takes everything away, whatever state it is in.
 */
import { fork } from "node:child_process";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Runtime, rabbitmq } from "spillway";
import { GivenBroker, OwnBroker, OwnCluster } from "./brokers.mjs";
import long from "./jobs/long.mjs";
import { runsOf } from "./journal.mjs";
import { Usage } from "./options.mjs";

const PARTITION = "shop";
const NODE = fileURLToPath(new URL("./node.mjs", import.meta.url));
const LOOK_MS = 100;
/** What has come again is known to have ended, and is acknowledged, well within this. */
const SETTLE_MS = 8_000;
/** What has not happened so long after it should have: a job is lost, an enqueue has failed. */
const PATIENCE_MS = 60_000;
/** Stored or not, nobody can tell, or surely not: enqueuing the same id again is right. */
const AGAIN = new Set(["EnqueueOutcomeUnknown", "BrokerUnreachable", "BrokerBlocked"]);
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

export class Stage {
  /** By process id: what the journal calls them. */
  nodes = new Map();
  outage = undefined;
  #children = [];
  #leaving = false;

  constructor(options, screen, journal) {
    this.options = options;
    this.screen = screen;
    this.journal = journal;
  }

  async play() {
    const { options, screen } = this;
    await this.#raise();
    await this.#enqueue();
    await this.#until(() => this.count().started === options.jobs, PATIENCE_MS);
    screen.event("green", "running", this.#shares());
    const ended = this.#untilEnded();
    if (options.restart !== "none") {
      await wait((options.seconds * 1_000) / 2);
      await this.#fail();
    }
    await ended;
    await wait(SETTLE_MS);
    await this.#stopNodes();
    this.left = await this.runtime.queues.purge(PARTITION, "long");
  }

  /** Bodies that have started, and that have ended, each job once. */
  count() {
    const runs = [...runsOf(this.journal)].filter(([id]) => id !== "late").map(([, ofJob]) => ofJob);
    const ends = runs.flatMap((ofJob) => ofJob.find(({ endedAt }) => endedAt !== undefined)?.endedAt ?? []);
    return {
      started: runs.length,
      ended: ends.length,
      lastAt: ends.length === 0 ? undefined : Math.max(...ends),
    };
  }

  async #raise() {
    const { options, screen } = this;
    if (options.url === undefined) screen.event("dim", "broker", "one is started for this; it takes a while");
    this.broker = await brokerOf(options);
    const { host } = new URL(this.broker.url);
    screen.event("green", "broker", `RabbitMQ at ${host}${options.cluster ? ", three nodes behind it" : ""}`);
    const { prefix } = options;
    this.runtime = await Runtime.start({
      broker: rabbitmq({ url: this.broker.url, prefix }),
      // Declared here, and consumed by the nodes alone.
      partitions: { [PARTITION]: { long: 0, late: 0 } },
      logger: SILENT,
    });
    await this.#makeWay();
    await Promise.all(["a", "b"].map((name) => this.#startNode(`node-${name}`)));
  }

  /** Of a broker that was there before: nobody else may be at work in these queues, and they begin empty. */
  async #makeWay() {
    const { runtime } = this;
    const others = (await runtime.info.nodes()).filter(({ node }) => node !== runtime.name);
    if (others.length > 0)
      throw new Usage(`node ${others[0].node} is at work in these queues; give another --prefix.`);
    for (const queue of ["long", "late"]) await runtime.queues.purge(PARTITION, queue);
  }

  #startNode(name) {
    const { options, screen, broker } = this;
    const share = Math.ceil(options.jobs / 2);
    const child = fork(NODE, [JSON.stringify({ url: broker.url, prefix: options.prefix, name, share })]);
    this.#children.push(child);
    this.nodes.set(child.pid, name);
    return new Promise((resolve, reject) => {
      child.on("exit", (code, signal) => {
        if (this.#leaving) return;
        screen.event("red", name, `ended by itself (${signal ?? code})`);
        reject(new Error(`${name} ended by itself (${signal ?? code})`));
      });
      child.on("message", (message) => {
        if (message.type !== "ready") return this.#heard(name, message);
        screen.event("green", name, `process ${child.pid}, ${share} jobs at once`);
        resolve();
      });
    });
  }

  #heard(name, { type, text, other, at }) {
    if (this.#leaving) return; // one of them stops before the other
    if (type === "log") return this.screen.event("yellow", name, text);
    const { lost, back } = this.outage ?? { lost: new Map(), back: new Map() };
    if (type === "broker.lost") lost.set(name, at);
    if (type === "broker.connected") back.set(name, at);
    if (type === "broker.lost") this.screen.event("red", name, "has no broker; its bodies go on", at);
    if (type === "broker.connected") this.screen.event("green", name, "is connected again", at);
    if (type.startsWith("node.") && other !== this.runtime.name)
      this.screen.event("yellow", name, `says that ${other} is ${type.slice(5)}`, at);
  }

  async #enqueue() {
    const { jobs, seconds } = this.options;
    const ids = Array.from({ length: jobs }, (_, index) => String(index + 1).padStart(2, "0"));
    this.ids = ids;
    await Promise.all(ids.map((id) => this.#put(id, { seconds, journal: this.journal })));
    this.screen.event("green", "enqueued", `${jobs} jobs of ${seconds} s, each confirmed by the broker`);
  }

  async #put(id, args, queue) {
    const options = { partition: PARTITION, id, ...(queue === undefined ? {} : { queue }) };
    const until = Date.now() + PATIENCE_MS;
    while (!this.#leaving) {
      try {
        return await this.runtime.enqueue(long, args, options);
      } catch (error) {
        if (!AGAIN.has(error.code) || Date.now() > until) throw error;
        await wait(LOOK_MS);
      }
    }
  }

  /** The broker goes, and comes back; one more job is enqueued meanwhile, to see when work goes on. */
  async #fail() {
    const { screen, broker, options } = this;
    const one = options.restart === "one";
    const lost = new Promise((resolve) => this.runtime.once("broker.lost", resolve));
    this.outage = { lost: new Map(), back: new Map() };
    const what = one ? "one of the three brokers, in order" : "the broker, by SIGKILL";
    screen.event("red", one ? "STOP" : "KILL", what);
    const failed = broker.fail();
    const { at: failedAt } = await lost;
    this.outage.failedAt = failedAt;
    const late = this.#put("late", { seconds: 0, journal: this.journal }, "late");
    await failed;
    await broker.mend();
    this.outage.mendedAt = one ? failedAt : Date.now();
    if (!one) screen.event("green", "broker", "is there again, on its data");
    await late;
    await this.#until(() => runsOf(this.journal).has("late"), PATIENCE_MS);
    this.outage.resumedAt = runsOf(this.journal).get("late")?.[0]?.startedAt;
    if (this.outage.resumedAt !== undefined)
      screen.event(
        "green",
        "resumed",
        "a job that was enqueued meanwhile has started",
        this.outage.resumedAt,
      );
  }

  #shares() {
    const shares = [...this.nodes].map(([pid, name]) => {
      const own = [...runsOf(this.journal).values()].flat().filter((run) => run.pid === pid);
      return `${own.length} on ${name}`;
    });
    return shares.join(", ");
  }

  /** How things stand, in a line. */
  status() {
    const { started, ended } = this.count();
    const away =
      this.outage !== undefined && this.outage.mendedAt === undefined ? ", the broker is away" : "";
    return `${started - ended} bodies run, ${ended} of ${this.options.jobs} have ended${away}`;
  }

  async #untilEnded() {
    const { jobs, seconds } = this.options;
    await this.#until(() => this.count().ended === jobs, seconds * 1_000 + PATIENCE_MS);
    if (this.#leaving) return;
    const { ended, lastAt } = this.count();
    this.screen.event("green", "ended", `${ended} of ${jobs}`, lastAt);
  }

  async #until(done, patienceMs) {
    const until = Date.now() + patienceMs;
    while (!done() && Date.now() < until && !this.#leaving) await wait(LOOK_MS);
  }

  async #stopNodes() {
    this.#leaving = true;
    await Promise.all(
      this.#children.map((child) => {
        if (child.exitCode !== null || child.signalCode !== null) return undefined;
        const ended = new Promise((resolve) => child.once("exit", resolve));
        child.send("stop");
        return ended;
      }),
    );
  }

  async clear() {
    this.#leaving = true;
    for (const child of this.#children) child.kill("SIGKILL");
    await this.runtime?.stop();
    await this.broker?.take();
  }
}

function brokerOf({ url, cluster, version }) {
  if (url !== undefined) return new GivenBroker(url);
  return cluster ? OwnCluster.start(version) : OwnBroker.start(version);
}
