/**
 * The coordinator as a whole: random stories of nodes, jobs with keys, crashes, elections and lost words.
 *
 * No execution key is held by two bodies, no queue key by two jobs, none is left when all jobs have ended, no waiter is
 * forgotten, the order of first arrival is kept without fail-over, on rounds too, no mark is lost. 5,000 stories, 40,000 with
 * SPILLWAY_LONG; SPILLWAY_SEED repeats a run.
 */
import fc from "fast-check";
import { test } from "vitest";
import { AWAY_KEPT_MS } from "../../../src/amqp/coordinator/leases.ts";
import { Random } from "../../jobs/generators.ts";
import { type Job, World } from "./world.ts";

const STORIES = process.env.SPILLWAY_LONG === undefined ? 5_000 : 40_000;
const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 2 ** 31);
const NODE_TIMEOUT_MS = 10_000;

type Event =
  | {
      readonly t: "enqueue";
      readonly node: number;
      readonly keys: number;
      readonly publish: "works" | "fails" | "lost";
    }
  | { readonly t: "takes" | "writes" | "passes" | "mark"; readonly count: number }
  | {
      readonly t:
        | "deliver"
        | "finish"
        | "round"
        | "requeue"
        | "back"
        | "kill"
        | "cut"
        | "join"
        | "again"
        | "giveUp";
      readonly node: number;
    }
  | { readonly t: "fail" | "slice" | "settle" };

class Story {
  readonly #world: World;
  readonly #random: Random;
  #jobs = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#world = new World(this.#random);
  }

  happens(event: Event): void {
    const world = this.#world;
    switch (event.t) {
      case "enqueue":
        return this.#node(event.node)?.enqueue(this.#job(event.keys), 0, event.publish);
      case "takes":
        return world.takes(event.count);
      case "writes":
        return world.writes(event.count);
      case "passes":
        return world.passes(event.count * 1_500);
      case "mark":
        return this.#node(event.count)?.marks(`m${event.count}`);
      case "fail":
        return world.fails();
      case "slice":
        return world.slices();
      case "settle":
        return world.settle();
      default:
        return this.#strikes(event.t, event.node);
    }
  }

  #strikes(t: (Event & { readonly node: number })["t"], at: number): void {
    const world = this.#world;
    const node = this.#node(at);
    if (t === "join") return world.comes(["a", "b", "c"][at % 3] ?? "a");
    if (t === "giveUp" || t === "back") {
      const away = world.nodes.filter(({ connected, gone }) => !connected && (t === "back" || !gone));
      const one = away[at % Math.max(1, away.length)];
      if (one === undefined) return;
      if (t === "back") return world.back(one);
      world.passes(NODE_TIMEOUT_MS);
      return world.givenUp(one);
    }
    if (node === undefined) return;
    if (t === "deliver") return this.#deliver(node);
    if (t === "finish") return this.#finish(node);
    if (t === "round") return this.#round(node);
    if (t === "requeue") {
      const [message] = world.buried.splice(0, 1);
      return message && node.enqueue(message.job, message.hop + 1, "works");
    }
    if (t === "kill") return node.killed();
    if (t === "again") return node.repeats();
    node.connected = false;
  }

  #node(at: number) {
    const there = this.#world.nodes.filter(({ canWork }) => canWork);
    return there[at % Math.max(1, there.length)];
  }

  #job(keys: number): Job {
    const id = `${++this.#jobs}`;
    const [queueKey, executionKey] = [`k${keys % 2}`, `x${keys % 3 === 0 ? 1 : 0}`];
    if (keys % 4 === 0) return { id, queueKey };
    return keys % 4 === 1 ? { id, queueKey, executionKey } : { id, executionKey };
  }

  /** One that it does not run itself. */
  #deliver(node: NonNullable<ReturnType<Story["node"]>>): void {
    const { messages } = this.#world;
    const at = messages.findIndex(({ job }) => !node.hands.has(job.id));
    const [message] = at < 0 ? [] : messages.splice(at, 1);
    if (message !== undefined) node.takes(message);
  }

  #round(node: NonNullable<ReturnType<Story["node"]>>): void {
    const waiting = [...node.hands.values()].filter(({ begun, granted }) => begun && !granted);
    if (waiting.length > 0) node.goesRound(this.#random.pick(waiting).message.job.id);
  }

  #finish(node: NonNullable<ReturnType<Story["node"]>>): void {
    const [id] = [...node.hands.keys()].slice(this.#random.below(2));
    if (id === undefined) return;
    node.ends();
    if (this.#random.chance(0.2)) node.handsBack(id);
    else node.finishes(id, this.#random.pick(["ended", "ended", "buried", "retry", "back"]));
  }

  get node(): (at: number) => World["nodes"][number] | undefined {
    return (at) => this.#node(at);
  }

  /** Everything is well again: everything must end. */
  ends(): void {
    const world = this.#world;
    for (const node of world.nodes) if (!node.dead) world.back(node);
    for (const node of [...world.nodes]) if (!node.connected) world.givenUp(node);
    for (const name of ["a", "b", "c"]) world.comes(name);
    for (let round = 0; round < 200; round++) {
      world.settle();
      for (const node of world.nodes) {
        if (!node.canWork) continue;
        this.#deliver(node);
        node.ends();
        for (const id of [...node.hands.keys()]) node.finishes(id, "ended");
      }
      if (
        world.messages.length === 0 &&
        !world.isAnybodyAway &&
        world.nodes.every(({ hands }) => hands.size === 0)
      )
        break;
      if (round % 10 === 9) world.passes(20_000);
    }
    world.passes(AWAY_KEPT_MS + 120_000);
    world.settle();
    this.#check();
  }

  #check(): void {
    const world = this.#world;
    for (const node of world.nodes) {
      if (node.hands.size > 0) throw new Error(`${node.boot} waits for ever: ${[...node.hands.keys()]}`);
      if (node.connected && node.busy) throw new Error(`${node.boot} has no answer`);
    }
    if (world.messages.length > 0 || world.isAnybodyAway)
      throw new Error("something stands on the broker for ever");
    const { kept, reserved, attempts, leases, marks } = world.state;
    if (kept.size + reserved.size + attempts.size > 0)
      throw new Error(`leaked: queue keys ${[...kept.keys(), ...reserved.keys()]}`);
    if (leases.size > 0) throw new Error("leaked: execution keys");
    for (const id of world.marks) if (!marks.has(id)) throw new Error(`lost: mark ${id}`);
  }
}

const node = fc.nat({ max: 5 });
const count = fc.integer({ min: 1, max: 6 });
const events: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      t: fc.constant("enqueue" as const),
      node,
      keys: fc.nat(11),
      publish: fc.constantFrom("works" as const, "works" as const, "fails" as const, "lost" as const),
    }),
  },
  { weight: 16, arbitrary: fc.record({ t: fc.constantFrom("takes" as const, "writes" as const), count }) },
  {
    weight: 3,
    arbitrary: fc.record({ t: fc.constantFrom("passes" as const, "mark" as const), count: fc.nat(30) }),
  },
  {
    weight: 16,
    arbitrary: fc.record({
      t: fc.constantFrom(
        "deliver" as const,
        "deliver" as const,
        "finish" as const,
        "finish" as const,
        "round" as const,
        "round" as const,
        "requeue" as const,
      ),
      node,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      t: fc.constantFrom(
        "back" as const,
        "kill" as const,
        "cut" as const,
        "join" as const,
        "again" as const,
        "giveUp" as const,
      ),
      node,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      t: fc.constantFrom(
        "fail" as const,
        "slice" as const,
        "slice" as const,
        "settle" as const,
        "settle" as const,
      ),
    }),
  },
);
const stories = fc.record({
  seed: fc.nat(),
  events: fc.array(events, { maxLength: 150, size: "max" }),
  /** Without any fail-over the order of first arrival is looked at. */
  calm: fc.boolean(),
});

const FAULTS = ["fail", "kill", "cut", "giveUp"];

test(`no key twice, none left, nobody forgotten (seed ${SEED})`, { timeout: 3_600_000 }, () => {
  const told = fc.property(stories, ({ seed, events, calm }) => {
    const story = new Story(seed);
    for (const event of events) if (!calm || !FAULTS.includes(event.t)) story.happens(event);
    story.ends();
  });
  fc.assert(told, { numRuns: STORIES, seed: SEED });
});
