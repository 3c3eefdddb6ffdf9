/**
 * Casts, calls and spawns of the kernel against Erlang's `gen_server`, which they are named after.
 *
 * Owns a kernel for each run. Both sides send a fresh message with a number, both servers add it up, and the sum
 * says that each message was handled exactly once.
 */
import type { Behaviour, From, Kernel, Out, Ref } from "../src/kernel/index.ts";
import { Erlang, HOW_TO } from "./erlang.ts";
import { loadKernel } from "./package.ts";
import { type Bench, callers, type Sample, timed } from "./runner.ts";

type Message =
  | { readonly t: "add"; readonly n: number }
  | { readonly t: "call"; readonly n: number; readonly from: From<number> }
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

interface Spawner {
  left: number;
  exits: number;
  from: From<number> | undefined;
}
type SpawnerMessage = { readonly t: "begin"; readonly from: From<number> } | { readonly t: "down" };
const down = (): SpawnerMessage => ({ t: "down" });

/** Starts and monitors one, tells it to stop, waits for its exit notice; then the next. */
const spawner: Behaviour<Spawner, SpawnerMessage, never, number> = {
  kind: "spawner",
  init: (left) => ({ left, exits: 0, from: undefined }),
  step(state, message, _now, out) {
    if (message.t === "begin") state.from = message.from;
    else state.exits++;
    if (state.left > 0) next(state, out);
    else if (state.from !== undefined) out.reply(state.from, state.exits);
  },
};

function next(state: Spawner, out: Out<SpawnerMessage, never>): void {
  state.left--;
  const ref = out.spawn(child, 0);
  out.monitor(ref, down);
  out.cast(ref, "stop");
}

/** A run longer than this is no run. */
const CALL_MS = 600_000;

export async function kernelSuite(bench: Bench): Promise<void> {
  const { Kernel } = await loadKernel();
  const erlang = await Erlang.start();
  const run = { bench, make: () => new Kernel({ exited: () => {} }) };
  const cases = [
    { case: "cast, a burst", unit: "casts/s", erl: "cast", count: 300_000, many: 1, goal: 1.2, ours: casts },
    { case: "call, 1 caller", unit: "calls/s", erl: "call", count: 200_000, many: 1, goal: 1.2, ours: calls },
    {
      case: "call, 64 callers",
      unit: "calls/s",
      erl: "call",
      count: 200_000,
      many: 64,
      goal: 1.2,
      ours: calls,
    },
    {
      case: "spawn + exit notice",
      unit: "spawns/s",
      erl: "spawn",
      count: 50_000,
      many: 1,
      goal: 5,
      ours: spawns,
    },
  ];
  try {
    for (const { case: name, unit, erl, count: full, many, goal, ours } of cases) {
      const count = bench.settings.count(full);
      const theirs = async (node: Erlang) => ({
        value: await node.perSecond(erl, count, many),
        checked: count,
      });
      await bench.duel({
        case: name,
        metric: "rate",
        unit,
        goal,
        ours: () => ours(run, count, many),
        baseline: erlang === undefined ? undefined : { name: erlang.name, run: () => theirs(erlang) },
        ...(erlang === undefined ? { note: HOW_TO } : {}),
      });
    }
  } finally {
    await erlang?.close();
  }
}

interface Run {
  readonly bench: Bench;
  make(): Kernel;
}

async function withServer(
  run: Run,
  count: number,
  work: (kernel: Kernel, ref: Ref<Message>) => Promise<void>,
): Promise<Sample> {
  const kernel = run.make();
  const ref = await kernel.start(server, undefined);
  const measured = await timed(count, () => work(kernel, ref));
  run.bench.check("messages handled", count, await kernel.call(ref, get));
  await kernel.stop(ref);
  return { ...measured, checked: count };
}

function casts(run: Run, count: number): Promise<Sample> {
  return withServer(run, count, async (kernel, ref) => {
    for (let left = count; left > 0; left--) ref.cast({ t: "add", n: 1 });
    await kernel.call(ref, get, CALL_MS);
  });
}

function calls(run: Run, count: number, many: number): Promise<Sample> {
  return withServer(run, count, (kernel, ref) =>
    callers(many, count, async (take) => {
      while (take()) await kernel.call(ref, add);
    }),
  );
}

async function spawns(run: Run, count: number): Promise<Sample> {
  const kernel = run.make();
  const ref = await kernel.start(spawner, count);
  let exits = 0;
  const measured = await timed(count, async () => {
    exits = await kernel.call<SpawnerMessage, number>(ref, (from) => ({ t: "begin", from }), CALL_MS);
  });
  run.bench.check("exit notices", count, exits);
  await kernel.stop(ref);
  return { ...measured, checked: count };
}
