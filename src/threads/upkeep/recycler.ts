/**
 * Which threads have served long enough: by jobs, by age, by what they keep.
 *
 * Owns the questions for memory that are under way. It says who is due and does nothing to anybody; the crew replaces one
 * at a time, by a spare that is hot already, so that no job waits and no body is ended for it. Looks only while
 * bodies run: what does nothing needs no fresh thread.
 */

import type { Thread } from "../thread.ts";
import type { Recycle } from "../types.ts";
import { sumOf } from "./heap.ts";

const ASK_EVERY_MS = 1_000;

export class Recycler {
  readonly #recycle: Recycle;
  readonly #retire: (thread: Thread, because: string) => void;
  readonly #askedAt = new WeakMap<Thread, number>();
  readonly #large = new WeakSet<Thread>();

  constructor(recycle: Recycle, retire: (thread: Thread, because: string) => void) {
    this.#recycle = recycle;
    this.#retire = retire;
  }

  look(threads: readonly Thread[], nowMs: number): void {
    if (threads.some((thread) => thread.retiring !== undefined)) return;
    for (const thread of threads) {
      if (thread.state !== "ready" || thread.endings === 0) continue;
      const because = this.#because(thread, nowMs);
      if (because !== undefined) return this.#retire(thread, `recycled: ${because}`);
    }
  }

  #because(thread: Thread, nowMs: number): string | undefined {
    const { jobs, ageMs, heapBytes } = this.#recycle;
    if (jobs !== undefined && thread.endings >= jobs) return `it has run ${thread.endings} jobs`;
    if (ageMs !== undefined && nowMs - thread.readySinceMs >= ageMs) return "it has reached its age";
    if (heapBytes === undefined) return undefined;
    if (this.#large.has(thread)) return "it keeps more memory than a fresh one should";
    if (nowMs - (this.#askedAt.get(thread) ?? 0) >= ASK_EVERY_MS) this.#ask(thread, nowMs, heapBytes);
    return undefined;
  }

  #ask(thread: Thread, nowMs: number, heapBytes: number): void {
    this.#askedAt.set(thread, nowMs);
    thread.heap().then(
      (use) => {
        if (use !== undefined && sumOf(use) > heapBytes) this.#large.add(thread);
      },
      () => {},
    );
  }
}
