/**
 * Actors alone: casts, calls, spawns, a crowd and restarts, against Erlang's `gen_server`, which ours are named after, and
 * against plain Effect, nact and xstate, which stand where ours do.
 *
 * Owns the Erlang node for its time. Every system counts what it handled, which says that each message was handled once,
 * and each child was seen once.
 */
import { effect } from "../actors/effect.ts";
import { erlangActors } from "../actors/erlang.ts";
import { nact } from "../actors/nact.ts";
import { ours } from "../actors/ours.ts";
import type { ActorSystem, Crowd } from "../actors/system.ts";
import { xstate } from "../actors/xstate.ts";
import { Erlang, HOW_TO } from "../baselines/erlang.ts";
import { HOW_TO as HOW_TO_PEERS, installed } from "../peers/packages.ts";
import type { Bench, Sample } from "../runner/bench.ts";

interface Case {
  readonly name: string;
  readonly unit: string;
  readonly of: "casts" | "calls" | "spawns" | "restarts";
  readonly count: number;
  readonly callers?: number;
  /** Against Erlang. */
  readonly goal?: number;
}

const CASES: readonly Case[] = [
  { name: "cast, a burst", unit: "casts/s", of: "casts", count: 300_000, goal: 1.2 },
  { name: "call, 1 caller", unit: "calls/s", of: "calls", count: 200_000, goal: 1.2 },
  { name: "call, 64 callers", unit: "calls/s", of: "calls", count: 200_000, callers: 64, goal: 1.2 },
  { name: "spawn + exit notice", unit: "spawns/s", of: "spawns", count: 50_000, goal: 5 },
  { name: "crash → running again", unit: "restarts/s", of: "restarts", count: 20_000 },
];

/** Part of it that is enough beside the others, of which the slowest makes some 10,000 a second. */
const BESIDE_OTHERS = 0.2;

/**
 * All messages of a burst wait at once. In a process that is this young V8 moves each of them several times while its young
 * generation grows to what such bursts need: after some runs it has, and a burst costs a third.
 */
const WARM_UPS = 6;

const CROWD = 100_000;
/** Each takes some seconds, and its rows are of values that hardly vary. */
const CROWD_ROUNDS = 3;

export async function kernelSuite(bench: Bench): Promise<void> {
  const alone = bench.settings.ours;
  const node = alone ? undefined : await Erlang.start();
  try {
    const mine = await ours();
    const erlang = node === undefined ? undefined : erlangActors(node);
    const others = alone ? [] : [await effect(), ...(await fromPeers(bench))];
    for (const one of CASES) {
      await rates(bench, one, { mine, other: erlang, judged: true });
      for (const other of others)
        if (other[one.of] !== undefined) await rates(bench, one, { mine, other, judged: false });
    }
    await crowds(bench, mine, erlang);
    for (const other of others) await crowds(bench, mine, other);
  } finally {
    await node?.close();
  }
}

async function fromPeers(bench: Bench): Promise<readonly ActorSystem[]> {
  if (installed()) return [await nact(), await xstate()];
  bench.leaveOut("nact and xstate", HOW_TO_PEERS);
  return [];
}

interface Pair {
  readonly mine: ActorSystem;
  /** None where there is no Erlang: ours is shown alone. */
  readonly other: ActorSystem | undefined;
  readonly judged: boolean;
}

async function rates(bench: Bench, one: Case, { mine, other, judged }: Pair): Promise<void> {
  const count = Math.ceil(bench.settings.count(one.count) * (judged ? 1 : BESIDE_OTHERS));
  const sampled = (system: ActorSystem) => async (): Promise<Sample> => {
    const rate = await system[one.of]?.(count, one.callers ?? 1);
    bench.check(`${one.name}, ${system.name}`, count, rate?.done ?? 0);
    return { value: rate?.perSecond ?? Number.NaN, checked: count };
  };
  await bench.duel({
    case: one.name,
    metric: "rate",
    unit: one.unit,
    ours: sampled(mine),
    baseline: other === undefined ? undefined : { name: other.name, run: sampled(other) },
    warmUps: one.of === "casts" ? WARM_UPS : 1,
    ...(judged && one.goal !== undefined ? { goal: one.goal } : {}),
    ...(other === undefined && !bench.settings.ours ? { note: HOW_TO } : {}),
  });
}

async function crowds(bench: Bench, mine: ActorSystem, other: ActorSystem | undefined): Promise<void> {
  const count = bench.settings.count(CROWD);
  const title = `${count.toLocaleString("en-US")} actors`;
  bench.say(other === undefined ? title : `${title}, beside ${other.name}`);
  const crowd = async (system: ActorSystem): Promise<Crowd> => {
    const one = await system.crowd(count);
    bench.check(`actors heard of, ${system.name}`, count, one.heard);
    return one;
  };
  const my: Crowd[] = [];
  const their: Crowd[] = [];
  for (let round = 0; round < Math.min(bench.settings.rounds, CROWD_ROUNDS); round++) {
    my.push(await crowd(mine));
    if (other !== undefined) their.push(await crowd(other));
  }
  for (const { metric, unit, of } of OF_A_CROWD) {
    const row = { case: title, metric, unit, checked: count * my.length };
    if (other === undefined) bench.atMost({ ...row, values: my.map(of) });
    else bench.within({ ...row, ours: my.map(of), baseline: { name: other.name, values: their.map(of) } });
  }
}

const OF_A_CROWD: readonly { metric: string; unit: string; of: (crowd: Crowd) => number }[] = [
  { metric: "start", unit: "actors/s", of: ({ started }) => started },
  { metric: "memory an actor", unit: "bytes", of: ({ bytes }) => bytes },
  { metric: "a message to each", unit: "messages/s", of: ({ told }) => told },
  { metric: "memory an actor after it", unit: "bytes", of: ({ bytesAfter }) => bytesAfter },
];
