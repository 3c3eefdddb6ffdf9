/**
 * xstate's transition actors. `send` to one that is idle runs the transition before it returns: there is no mailbox to
 * wait in, no call, and no supervisor, so those rows are left out.
 *
 * Owns its actors until each run ends. It is there when `bench/peers` is installed.
 */
import { loadPeer } from "../peers/packages.ts";
import { crowdOf } from "./crowd.ts";
import { type ActorSystem, rateOf } from "./system.ts";

type Event =
  | { readonly type: "add"; readonly n: number }
  | { readonly type: "tell"; readonly to: Actor }
  | { readonly type: "got" };

interface State {
  readonly sum: number;
}

interface Actor {
  start(): Actor;
  stop(): void;
  send(event: Event): void;
  subscribe(observer: { readonly complete: () => void }): void;
  getSnapshot(): { readonly context: State };
}

interface Xstate {
  fromTransition(step: (state: State, event: Event) => State, initial: State): object;
  createActor(logic: object): Actor;
}

export async function xstate(): Promise<ActorSystem> {
  const { createActor, fromTransition } = await loadPeer<Xstate>("xstate");
  const logic = fromTransition(
    (state, event) => {
      if (event.type === "add") return { sum: state.sum + event.n };
      if (event.type === "got") return { sum: state.sum + 1 };
      if (event.type === "tell") event.to.send({ type: "got" });
      return state; // its own events, such as the one that ends it
    },
    { sum: 0 },
  );
  const start = () => createActor(logic).start();
  return {
    name: "xstate, sent at once",
    async casts(count) {
      const server = start();
      const rate = await rateOf(count, async () => {
        for (let left = count; left > 0; left--) server.send({ type: "add", n: 1 });
        return server.getSnapshot().context.sum;
      });
      server.stop();
      return rate;
    },
    spawns: (count) =>
      rateOf(count, async () => {
        let exits = 0;
        for (let left = count; left > 0; left--) {
          const one = start();
          one.subscribe({ complete: () => exits++ });
          one.stop();
        }
        return exits;
      }),
    crowd: (count) =>
      crowdOf<Actor>(count, {
        start: async (all) => Array.from({ length: all }, start),
        async tell(members) {
          const to = start();
          for (const member of members) member.send({ type: "tell", to });
          const heard = to.getSnapshot().context.sum;
          to.stop();
          return heard;
        },
        end: async (members) => {
          for (const member of members) member.stop();
        },
      }),
  };
}
