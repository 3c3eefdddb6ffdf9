/**
 * What the kernel suite asks of a system of actors, ours or another: the same few things, each measured by itself.
 *
 * Owns nothing. A system that has no such thing (xstate has no call) leaves it out, and its row.
 */

/** How many a second, and how many were shown to have happened, each once. */
export interface Rate {
  readonly perSecond: number;
  readonly done: number;
}

export interface Crowd {
  /** Actors a second, from nothing until all have started. */
  readonly started: number;
  /** Bytes an actor more, after a collection. */
  readonly bytes: number;
  /** Messages a second: one to each, which tells another actor; until that one has heard them all. */
  readonly told: number;
  /** Bytes an actor more after that, and after a collection: a mailbox that has been used is there now. */
  readonly bytesAfter: number;
  /** Actors that were heard of. */
  readonly heard: number;
}

/** So many of them, by so many callers. */
export type Measure = (count: number, callers: number) => Promise<Rate>;

export interface ActorSystem {
  readonly name: string;
  /** Messages to one actor that adds them up, all sent before the first is handled where the system lets one. */
  readonly casts?: Measure;
  /** Questions that are answered at once; each caller waits for its answer before it asks again. */
  readonly calls?: Measure;
  /** One after the other: start one, tell it to end, be told of its end. */
  readonly spawns?: Measure;
  /** One after the other: a child crashes, and is there again. */
  readonly restarts?: Measure;
  /** So many actors that live at once. */
  crowd(count: number): Promise<Crowd>;
}

/** Crashes that one supervisor sees: what it remembers of them stays short, on every side. */
export const LIVES = 500;

/** Does `each` with as many as one supervisor is to see, until there are `count`. */
export async function byLives(count: number, each: (crashes: number) => Promise<void>): Promise<void> {
  for (let left = count; left > 0; left -= LIVES) await each(Math.min(LIVES, left));
}

/** Times `work`, which says how many it did. */
export async function rateOf(count: number, work: () => Promise<number>): Promise<Rate> {
  const before = process.hrtime.bigint();
  const done = await work();
  const seconds = Number(process.hrtime.bigint() - before) / 1e9;
  return { perSecond: count / seconds, done };
}
