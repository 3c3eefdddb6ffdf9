/**
 * Erlang's `gen_server` and `supervisor`, which the kernel's are named after, on a node beside us.
 *
 * Owns nothing: the node is its caller's. A case that lost a message or a child never answers there, so an answer says
 * that all of them came.
 */
import type { Erlang } from "../baselines/erlang.ts";
import { type ActorSystem, byLives, type Rate } from "./system.ts";

export function erlangActors(node: Erlang): ActorSystem {
  const rate = async (name: string, count: number, callers = 1): Promise<Rate> => ({
    perSecond: count / ((await node.answer(name, count, callers)) / 1e9),
    done: count,
  });
  return {
    name: node.name,
    casts: (count) => rate("cast", count),
    calls: (count, callers) => rate("call", count, callers),
    spawns: (count) => rate("spawn", count),
    async crowd(count) {
      const started = await rate("crowd_start", count);
      const bytes = (await node.answer("crowd_memory", count, 1)) / count;
      const told = await rate("crowd_tell", count);
      const bytesAfter = (await node.answer("crowd_memory_told", count, 1)) / count;
      return { started: started.perSecond, bytes, told: told.perSecond, bytesAfter, heard: told.done };
    },
    async restarts(count) {
      let ns = 0;
      await byLives(count, async (crashes) => {
        ns += await node.answer("restart", crashes, 1);
      });
      return { perSecond: count / (ns / 1e9), done: count };
    },
  };
}
