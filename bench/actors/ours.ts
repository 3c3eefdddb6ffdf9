/**
 * The kernel's own side of its suite: servers, children that come and go, a crowd, a supervised child that crashes.
 *
 * Owns a kernel for each run. Servers add up what they are sent, so a sum says that each message was handled once.
 */
import type { Behaviour, From, Kernel, Out, Ref } from "../../src/kernel/index.ts";
import { callers } from "../runner/bench.ts";
import { loadKernel } from "../runner/package.ts";
import { crowdOf } from "./crowd.ts";
import { type ActorSystem, byLives, LIVES, type Rate, rateOf } from "./system.ts";

type Message =
  | { readonly t: "add"; readonly n: number }
  | { readonly t: "call"; readonly n: number; readonly from: From<number> }
  | { readonly t: "tell"; readonly to: Ref<CollectorMessage> }
  | { readonly t: "get"; readonly from: From<number> };

const server: Behaviour<{ sum: number }, Message, never, void> = {
  kind: "server",
  init: () => ({ sum: 0 }),
  step(state, message, _now, out) {
    switch (message.t) {
      case "add":
        state.sum += message.n;
        return;
      case "call":
        state.sum += message.n;
        out.reply(message.from, state.sum);
        return;
      case "tell":
        out.cast(message.to, GOT);
        return;
      case "get":
        out.reply(message.from, state.sum);
        return;
    }
  },
};

const add = (from: From<number>): Message => ({ t: "call", n: 1, from });
const get = (from: From<number>): Message => ({ t: "get", from });

const child: Behaviour<number, "stop", never, number> = {
  kind: "child",
  init: (sum) => sum,
  step: (_state, _message, _now, out) => out.stop(),
};

interface Counting {
  left: number;
  heard: number;
  from: From<number> | undefined;
}
type SpawnerMessage = { readonly t: "begin"; readonly from: From<number> } | { readonly t: "down" };
const down = (): SpawnerMessage => ({ t: "down" });
const begin = (from: From<number>) => ({ t: "begin", from }) as const;

/** Starts and monitors one, tells it to stop, waits for its exit notice; then the next. */
const spawner: Behaviour<Counting, SpawnerMessage, never, number> = {
  kind: "spawner",
  init: (left) => ({ left, heard: 0, from: undefined }),
  step(state, message, _now, out) {
    if (message.t === "begin") state.from = message.from;
    else state.heard++;
    if (state.left > 0) next(state, out);
    else if (state.from !== undefined) out.reply(state.from, state.heard);
  },
};

function next(state: Counting, out: Out<SpawnerMessage, never>): void {
  state.left--;
  const ref = out.spawn(child, 0);
  out.monitor(ref, down);
  out.cast(ref, "stop");
}

type CollectorMessage = { readonly t: "begin"; readonly from: From<number> } | { readonly t: "got" };
const GOT: CollectorMessage = { t: "got" };

/** Answers when it has heard so often. */
const collector: Behaviour<Counting, CollectorMessage, never, number> = {
  kind: "collector",
  init: (left) => ({ left, heard: 0, from: undefined }),
  step(state, message, _now, out) {
    if (message.t === "begin") {
      state.from = message.from;
      return;
    }
    state.heard++;
    if (--state.left === 0 && state.from !== undefined) out.reply(state.from, state.heard);
  },
};

/** Says that it is there, and crashes when it is told to. */
const mortal: Behaviour<undefined, "crash", never, (self: Ref<"crash">) => void> = {
  kind: "mortal",
  init(up, self) {
    up(self.ref);
    return undefined;
  },
  step() {
    throw new Error("told to crash");
  },
};

/** A run longer than this is no run. */
const CALL_MS = 600_000;

export async function ours(): Promise<ActorSystem> {
  const { Kernel, supervisor } = await loadKernel();
  const make = () => new Kernel({ exited: () => {} });
  return {
    name: "Spillway",
    casts: (count) =>
      withServer(make(), count, async (kernel, ref) => {
        for (let left = count; left > 0; left--) ref.cast({ t: "add", n: 1 });
        await kernel.call(ref, get, CALL_MS);
      }),
    calls: (count, many) =>
      withServer(make(), count, (kernel, ref) =>
        callers(many, count, async (take) => {
          while (take()) await kernel.call(ref, add);
        }),
      ),
    spawns: (count) => spawns(make(), count),
    crowd: (count) => crowd(make(), count),
    restarts: (count) => restarts(make(), count, supervisor),
  };
}

async function withServer(
  kernel: Kernel,
  count: number,
  work: (kernel: Kernel, ref: Ref<Message>) => Promise<void>,
): Promise<Rate> {
  const ref = await kernel.start(server, undefined);
  const { perSecond } = await rateOf(count, async () => {
    await work(kernel, ref);
    return count;
  });
  const done = await kernel.call(ref, get);
  await kernel.stop(ref);
  return { perSecond, done };
}

async function spawns(kernel: Kernel, count: number): Promise<Rate> {
  const ref = await kernel.start(spawner, count);
  const rate = await rateOf(count, () => kernel.call<SpawnerMessage, number>(ref, begin, CALL_MS));
  await kernel.stop(ref);
  return rate;
}

const crowd = (kernel: Kernel, count: number) =>
  crowdOf<Ref<Message>>(count, {
    start: (all) => Promise.all(Array.from({ length: all }, () => kernel.start(server, undefined))),
    async tell(actors) {
      const to = await kernel.start(collector, actors.length);
      const heard = kernel.call<CollectorMessage, number>(to, begin, CALL_MS);
      for (const actor of actors) actor.cast({ t: "tell", to });
      const told = await heard;
      await kernel.stop(to);
      return told;
    },
    end: async (actors) => void (await Promise.all(actors.map((actor) => kernel.stop(actor)))),
  });

type SupervisorOf = Awaited<ReturnType<typeof loadKernel>>["supervisor"];

async function restarts(kernel: Kernel, count: number, supervisor: SupervisorOf): Promise<Rate> {
  return rateOf(count, async () => {
    let lives = 0;
    await byLives(count, async (crashes) => {
      let ended = () => {};
      const over = new Promise<void>((resolve) => {
        ended = resolve;
      });
      let left = crashes;
      const up = (self: Ref<"crash">) => {
        if (left-- > 0) self.cast("crash");
        else ended();
        if (left < crashes - 1) lives++; // the first life is a start, not a restart
      };
      const root = supervisor({
        strategy: "one_for_one",
        intensity: { restarts: 2 * LIVES, periodMs: 1_000 },
        children: [{ id: "mortal", behaviour: mortal, args: () => up }],
      });
      const ref = await kernel.start(root, undefined);
      await over;
      await kernel.stop(ref);
    });
    return lives;
  });
}
