/**
 * nact, as its lessons have it: `dispatch` is a cast, `query` a call, `afterStop` an exit notice, `reset` a restart.
 *
 * Owns a system for each run. It is there when `bench/peers` is installed.
 */
import { loadPeer } from "../peers/packages.ts";
import { callers } from "../runner/bench.ts";
import { crowdOf } from "./crowd.ts";
import { type ActorSystem, byLives, type Rate, rateOf } from "./system.ts";

interface Ref {
  readonly path: unknown;
}

interface Context {
  readonly self: Ref;
  readonly reset: unknown;
}

interface Properties<S> {
  readonly initialState?: S;
  readonly initialStateFunc?: (context: Context) => S;
  readonly afterStop?: () => void;
  readonly onCrash?: (message: unknown, error: Error, context: Context) => unknown;
}

interface Nact {
  start(): Ref;
  stop(actor: Ref): void;
  dispatch(to: Ref, message: unknown): void;
  query<R>(to: Ref, message: (sender: Ref) => unknown, timeoutMs: number): Promise<R>;
  spawn<S, M>(
    parent: Ref,
    step: (state: S, message: M, context: Context) => S,
    name: string,
    properties: Properties<S>,
  ): Ref;
}

type Message =
  | { readonly t: "add"; readonly n: number }
  | { readonly t: "call"; readonly n: number; readonly sender: Ref }
  | { readonly t: "tell"; readonly to: Ref }
  | { readonly t: "get"; readonly sender: Ref };

/** A run longer than this is no run. */
const QUERY_MS = 600_000;

export async function nact(): Promise<ActorSystem> {
  const { default: api } = await loadPeer<{ readonly default: Nact }>("nact");
  return {
    name: "nact",
    casts: (count) =>
      withServer(api, count, async (server) => {
        for (let left = count; left > 0; left--) api.dispatch(server, { t: "add", n: 1 });
        await sumOf(api, server);
      }),
    calls: (count, many) =>
      withServer(api, count, (server) =>
        callers(many, count, async (take) => {
          while (take()) await api.query(server, (sender) => ({ t: "call", n: 1, sender }), QUERY_MS);
        }),
      ),
    spawns: (count) => spawns(api, count),
    crowd: (count) => crowd(api, count),
    restarts: (count) => restarts(api, count),
  };
}

const sumOf = (api: Nact, server: Ref) =>
  api.query<number>(server, (sender) => ({ t: "get", sender }), QUERY_MS);

function serverOf(api: Nact, parent: Ref, name: string): Ref {
  const step = (sum: number, message: Message): number => {
    if (message.t === "tell") api.dispatch(message.to, "got");
    const after = "n" in message ? sum + message.n : sum;
    if ("sender" in message) api.dispatch(message.sender, after);
    return after;
  };
  return api.spawn(parent, step, name, { initialState: 0 });
}

async function withServer(api: Nact, count: number, work: (server: Ref) => Promise<void>): Promise<Rate> {
  const system = api.start();
  const server = serverOf(api, system, "server");
  const { perSecond } = await rateOf(count, async () => {
    await work(server);
    return count;
  });
  const done = await sumOf(api, server);
  api.stop(system);
  return { perSecond, done };
}

async function spawns(api: Nact, count: number): Promise<Rate> {
  const system = api.start();
  const rate = await rateOf(
    count,
    () =>
      new Promise<number>((resolve) => {
        let exits = 0;
        const next = () => {
          if (exits === count) return resolve(exits);
          const afterStop = () => {
            exits++;
            next();
          };
          const step = (state: number) => state;
          const one = api.spawn(system, step, `child-${exits}`, { initialState: 0, afterStop });
          api.stop(one);
        };
        next();
      }),
  );
  api.stop(system);
  return rate;
}

async function crowd(api: Nact, count: number) {
  const system = api.start();
  const result = await crowdOf<Ref>(count, {
    start: async (all) => Array.from({ length: all }, (_, at) => serverOf(api, system, `member-${at}`)),
    tell: (members) =>
      new Promise((resolve) => {
        const step = (heard: number) => {
          if (heard + 1 === members.length) resolve(heard + 1);
          return heard + 1;
        };
        const to = api.spawn(system, step, "collector", { initialState: 0 });
        for (const member of members) api.dispatch(member, { t: "tell", to });
      }),
    end: async () => api.stop(system),
  });
  return result;
}

async function restarts(api: Nact, count: number): Promise<Rate> {
  const system = api.start();
  const rate = await rateOf(count, async () => {
    let lives = 0;
    let serial = 0;
    await byLives(
      count,
      (crashes) =>
        new Promise((resolve) => {
          let left = crashes;
          const up = ({ self }: Context) => {
            if (left < crashes) lives++;
            if (left-- > 0) api.dispatch(self, "crash");
            else resolve();
            return 0;
          };
          const step = (): number => {
            throw new Error("told to crash");
          };
          api.spawn(system, step, `mortal-${serial++}`, {
            initialStateFunc: up,
            onCrash: (_message, _error, { reset }) => reset,
          });
        }),
    );
    return lives;
  });
  api.stop(system);
  return rate;
}
