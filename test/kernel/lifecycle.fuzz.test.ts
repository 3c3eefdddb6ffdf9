/**
 * Trees of actors with every habit an actor may have, and a script of everything that can happen to them.
 * Whatever the order: nothing hangs, every exit is told once, every call ends, and nothing is left behind.
 */

import fc from "fast-check";
import { expect, test } from "vitest";
import { type Behaviour, type From, Kernel, type KernelApi, type Ref } from "../../src/kernel/index.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";

interface Habits {
  readonly initMs: number;
  readonly initFails: boolean;
  readonly endMs: number;
  readonly endFails: boolean;
  readonly traps: boolean;
  readonly polite: boolean;
  readonly shutdownMs: number;
}

type Message =
  | { readonly type: "spawn"; readonly habits: Habits }
  | { readonly type: "crash" | "stop" | "asked" | "exited" | "killParent" }
  | { readonly type: "ask"; readonly from: From<string>; readonly answers: boolean };

type Effect = "killParent";

interface World {
  readonly clock: VirtualClock;
  readonly kernel: KernelApi;
  readonly refs: Ref<Message>[];
  readonly exits: Map<number, number>;
  /** Whose `terminate` has run. */
  readonly ended: number[];
}

function later(world: World, ms: number): Promise<void> {
  return new Promise((resolve) => void world.clock.timer(ms, () => resolve()));
}

function creature(
  world: World,
  habits: Habits,
  parent?: Ref<Message>,
): Behaviour<object, Message, Effect, void> {
  return {
    kind: "creature",
    init(_args, self) {
      world.refs.push(self.ref);
      world.kernel.onExit(self.ref, () => {
        world.exits.set(self.ref.pid, (world.exits.get(self.ref.pid) ?? 0) + 1);
      });
      const fail = (): object => {
        if (habits.initFails) throw new Error("init");
        return {};
      };
      return habits.initMs === 0 ? fail() : later(world, habits.initMs).then(fail);
    },
    step(_state, message, _now, out) {
      if (message.type === "spawn") {
        const child = out.spawn(creature(world, message.habits), undefined, {
          shutdownMs: message.habits.shutdownMs,
        });
        out.cast(child, { type: "exited" });
        out.timer("t", 50, { type: "exited" });
        out.idle(70, { type: "exited" });
      } else if (message.type === "ask" && message.answers) out.reply(message.from, "yes");
      else if (message.type === "stop" || message.type === "asked") out.stop();
      else if (message.type === "killParent") out.effect("killParent");
      else if (message.type === "crash") throw new Error("crash");
    },
    interpret: () => {
      if (parent !== undefined) void world.kernel.kill(parent);
    },
    terminate(_state, _reason, self) {
      world.ended.push(self.ref.pid);
      if (habits.endMs === 0 && habits.endFails) throw new Error("end");
      if (habits.endMs === 0) return undefined;
      return later(world, habits.endMs).then(() => {
        if (habits.endFails) throw new Error("end");
      });
    },
    ...(habits.traps ? { exited: (): Message => ({ type: "exited" }) } : {}),
    ...(habits.polite ? { shutdown: (): Message => ({ type: "asked" }) } : {}),
  };
}

const ms = fc.constantFrom(0, 0, 0, 10, 100, 1e7);
const rarely = fc.integer({ min: 0, max: 9 }).map((n) => n === 0);
const habits: fc.Arbitrary<Habits> = fc.record({
  initMs: ms,
  initFails: rarely,
  endMs: ms,
  endFails: rarely,
  traps: fc.boolean(),
  polite: fc.boolean(),
  shutdownMs: fc.constantFrom(0, 20, 5_000),
});
const event = fc.oneof(
  fc.record({
    what: fc.constantFrom("root" as const, "under" as const, "spawn" as const),
    habits,
    at: fc.nat(),
  }),
  fc.record({
    what: fc.constantFrom(
      "crash" as const,
      "stop" as const,
      "killParent" as const,
      "halt" as const,
      "kill" as const,
    ),
    at: fc.nat(),
  }),
  fc.record({ what: fc.constantFrom("ask" as const, "hold" as const), at: fc.nat() }),
  fc.record({ what: fc.constant("wait" as const), ms: fc.constantFrom(0, 5, 60, 6_000) }),
);
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;

/** Resolves when every start, stop and call of the script has ended one way or the other. */
async function play(world: World, script: readonly Event[]): Promise<void> {
  const { kernel, refs, clock } = world;
  const pending: Promise<unknown>[] = [];
  const keep = (promise: Promise<unknown>): void => {
    pending.push(promise);
    promise.catch(() => {});
  };
  for (const one of script) {
    if (one.what === "wait") {
      await clock.advance(one.ms);
      continue;
    }
    const ref = refs[one.at % Math.max(1, refs.length)];
    if (one.what === "root") {
      keep(kernel.start(creature(world, one.habits), undefined, { shutdownMs: one.habits.shutdownMs }));
    } else if (ref === undefined) continue;
    else if (one.what === "under") {
      keep(kernel.startUnder(ref, creature(world, one.habits, ref), undefined));
    } else if (one.what === "spawn") ref.cast({ type: "spawn", habits: one.habits });
    else if (one.what === "halt") keep(kernel.stop(ref));
    else if (one.what === "kill") keep(kernel.kill(ref));
    else if (one.what === "ask" || one.what === "hold") {
      const answers = one.what === "ask";
      keep(kernel.call<Message, string>(ref, (from) => ({ type: "ask", from, answers }), 1_000));
    } else ref.cast({ type: one.what });
  }
  const ends = Promise.allSettled(pending);
  for (const node of kernel.tree()) {
    const root = refs.find((ref) => ref.pid === node.pid);
    if (root !== undefined) void kernel.stop(root, 5_000);
  }
  await clock.advance(1e8);
  await ends;
}

test("whatever happens to a tree, it ends whole", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 40 }), async (script) => {
      const clock = new VirtualClock();
      const world: World = {
        clock,
        kernel: new Kernel({ clock, exited: () => {} }),
        refs: [],
        exits: new Map(),
        ended: [],
      };
      await play(world, script);
      await clock.settle();
      expect(world.kernel.tree()).toEqual([]);
      expect(world.refs.filter((ref) => world.kernel.isAlive(ref))).toEqual([]);
      expect(world.refs.map((ref) => world.exits.get(ref.pid))).toEqual(world.refs.map(() => 1));
      expect(new Set(world.ended).size).toBe(world.ended.length);
      expect(clock.pending).toBeLessThanOrEqual(1);
    }),
    { numRuns: 200, timeout: 20_000 },
  );
});
