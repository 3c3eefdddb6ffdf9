/**
 * The three nodes as processes: started, one of them killed by SIGKILL, and started again under its name.
 *
 * Owns the processes. Knows from their events which of them has the coordinator's seat: the one that was elected last.
 */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { now } from "./journal.mjs";

const NODE = fileURLToPath(new URL("./node.mjs", import.meta.url));
const NAMES = ["node-a", "node-b", "node-c"];
const THREADS = 2;

export class Nodes {
  /** `{ node, epoch, at }`, in the order in which they were heard. */
  elections = [];
  /** Names by process id: what the journal calls them. */
  names = new Map();
  buried = 0;
  #children = new Map();
  #expected = new Set();
  #isClosed = false;
  #screen;
  #options;
  #failed = Promise.withResolvers?.() ?? withResolvers();

  constructor(options, screen) {
    this.#options = options;
    this.#screen = screen;
    this.#failed.promise.catch(() => {}); // heard by whoever waits
  }

  /** Rejects when one has ended that nobody has killed. */
  get failed() {
    return this.#failed.promise;
  }

  /** The first has the seat before the others, and those that only enqueue, come in behind it. */
  async start() {
    const [first, ...others] = NAMES;
    await this.startOne(first, true);
    await Promise.all(others.map((name) => this.startOne(name)));
  }

  async startOne(name, first = false) {
    if (this.#isClosed) return;
    const { url, prefix } = this.#options;
    const child = fork(NODE, [JSON.stringify({ url, prefix, name, threads: THREADS, first })]);
    this.#children.set(name, child);
    this.names.set(child.pid, name);
    const ready = new Promise((resolve) => {
      child.on("message", (message) => {
        if (message.type !== "ready") return this.#heard(name, child, message);
        this.#screen.event("green", name, `process ${child.pid}, ${THREADS} threads`);
        resolve();
      });
    });
    child.on("exit", (code, signal) => {
      if (this.#expected.has(child)) return;
      this.#failed.reject(new Error(`${name} ended by itself (${signal ?? code})`));
    });
    await Promise.race([ready, this.failed]);
  }

  /** Who rules: its name and its process. */
  get seat() {
    const node = this.elections.at(-1)?.node;
    return { name: node, pid: this.#children.get(node)?.pid };
  }

  /** SIGKILL. `at`: when it was sent; `goneAt`: when the process was no more. */
  async kill(name) {
    const child = this.#children.get(name);
    this.#expected.add(child);
    const gone = new Promise((resolve) => child.once("exit", resolve));
    const at = now();
    child.kill("SIGKILL");
    await gone;
    return { node: name, pid: child.pid, at, goneAt: now() };
  }

  #heard(name, child, { type, text, other, id, epoch }) {
    if (this.#expected.has(child)) return;
    if (type === "log") return this.#screen.event("yellow", name, text);
    if (type === "job.buried") this.buried += 1;
    if (type === "coordinator.elected") this.elections.push({ node: name, epoch, at: now() });
    const texts = {
      "coordinator.elected": ["cyan", `is the coordinator, election ${epoch}`],
      "coordinator.lost": ["yellow", "is the coordinator no more"],
      "node.gone": ["yellow", `says that ${other} is gone`],
      "job.buried": ["red", `buried job ${id}`],
      "broker.lost": ["red", "has no broker"],
    };
    this.#screen.event(texts[type][0], name, texts[type][1]);
  }

  /** In order: what they have in hand is handed back. */
  async stop() {
    await this.#end((child) => child.send("stop"));
  }

  /** Whatever they do. None is started any more. */
  async clear() {
    this.#isClosed = true;
    await this.#end((child) => child.kill("SIGKILL"));
  }

  async #end(how) {
    const ended = [...this.#children.values()].map((child) => {
      this.#expected.add(child);
      if (child.exitCode !== null || child.signalCode !== null) return undefined;
      const exit = new Promise((resolve) => child.once("exit", resolve));
      how(child);
      return exit;
    });
    await Promise.all(ended);
  }
}

/** Node 20 has no Promise.withResolvers. */
function withResolvers() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}
