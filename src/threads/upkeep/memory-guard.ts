/**
 * The soft memory limit: finds the thread that is above it, whatever its body does.
 *
 * Owns what was last seen. Threads are asked only while bodies run, at most once a second, and only when the whole
 * process has grown by so much that one of them may be above the limit; since one may grow by what another gave back,
 * also every 10 s. It ends nothing itself.
 */

import { canInspect } from "../kill/inspector.ts";
import type { Thread } from "../thread.ts";
import { type HeapUse, heapsOf, sumOf } from "./heap.ts";

const ASK_EVERY_MS = 1_000;
const ASK_ANYWAY_MS = 10_000;
/** Whoever was above the limit gave back what it had, and the next may take that with no growth of the process. */
const ALARM_MS = 30_000;

export class MemoryGuard {
  readonly #limitBytes: number;
  readonly #over: (thread: Thread, use: HeapUse) => void;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #askedAt = Number.NEGATIVE_INFINITY;
  #alarmedAt = Number.NEGATIVE_INFINITY;
  /** Resident bytes of the process below which no thread can be above the limit. */
  #markBytes: number;
  #asking = false;

  /** `over`: it holds so much, garbage left out, and what ran at the question runs still. */
  constructor(limitBytes: number, over: (thread: Thread, use: HeapUse) => void) {
    this.#limitBytes = limitBytes;
    this.#markBytes = limitBytes;
    this.#over = over;
  }

  /** Costs a subtraction, and some 20 µs once a second. */
  look(threads: readonly Thread[], nowMs: number): void {
    if (nowMs - this.#lookedAt < ASK_EVERY_MS || this.#asking || !canInspect) return;
    this.#lookedAt = nowMs;
    const residentBytes = process.memoryUsage.rss();
    if (residentBytes < this.#limitBytes) return;
    const isCalm = nowMs - this.#alarmedAt > ALARM_MS;
    if (isCalm && residentBytes < this.#markBytes && nowMs - this.#askedAt < ASK_ANYWAY_MS) return;
    this.#askedAt = nowMs;
    this.#asking = true;
    this.#ask(
      threads.filter((thread) => thread.state === "ready"),
      residentBytes,
    )
      .catch(() => {})
      .finally(() => {
        this.#asking = false;
      });
  }

  async #ask(threads: readonly Thread[], residentBytes: number): Promise<void> {
    const ran = new Map(threads.map((thread) => [thread, thread.bodies()]));
    const uses = await heapsOf(
      threads.map(({ threadId }) => threadId),
      this.#limitBytes,
    );
    let mostBytes = 0;
    for (const [thread, bodies] of ran) {
      const use = uses.get(thread.threadId);
      if (use === undefined) continue;
      mostBytes = Math.max(mostBytes, sumOf(use));
      const now = new Set(thread.bodies());
      if (sumOf(use) > this.#limitBytes && bodies.every((task) => now.has(task))) this.#over(thread, use);
    }
    this.#markBytes = residentBytes + Math.max(0, this.#limitBytes - mostBytes) / 2;
    if (mostBytes > this.#limitBytes) this.#alarmedAt = this.#askedAt;
  }
}
