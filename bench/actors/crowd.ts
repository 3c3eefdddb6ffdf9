/**
 * The crowd of a system in this process: how it is started and told is the system's, how it is measured is the same.
 *
 * Owns nothing; what is started is ended by the system that started it.
 */
import { heapMiB } from "../runner/machine.ts";
import { type Crowd, rateOf } from "./system.ts";

export interface CrowdOf<Actor> {
  /** Resolves when all have started. */
  start(count: number): Promise<readonly Actor[]>;
  /** One message to each; resolves with how many were heard of when all were. */
  tell(actors: readonly Actor[]): Promise<number>;
  end(actors: readonly Actor[]): Promise<void>;
}

export async function crowdOf<Actor>(count: number, of: CrowdOf<Actor>): Promise<Crowd> {
  const before = await heapMiB();
  let actors: readonly Actor[] = [];
  const started = await rateOf(count, async () => {
    actors = await of.start(count);
    return actors.length;
  });
  const more = async () => (((await heapMiB()) - before) * 2 ** 20) / count;
  const bytes = await more();
  const told = await rateOf(count, () => of.tell(actors));
  const bytesAfter = await more();
  await of.end(actors);
  return { started: started.perSecond, bytes, told: told.perSecond, bytesAfter, heard: told.done };
}
