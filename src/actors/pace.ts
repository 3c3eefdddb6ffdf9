/**
 * How many waiters of a queue may go round in a second, and whether any should.
 *
 * Pure data. A job goes round so that jobs of other keys are reached behind it, and should be back before its turn: so
 * none goes while the waiters start so fast that it would not be. Those who start make room themselves.
 */

/** Most that go in a second. */
export const ROUNDS_A_SECOND = 100;
/** Weight of the last second in the pace. */
const LATEST = 0.3;

export class Pace {
  /** It is looked at once a second, while somebody waits above the bound. */
  looking = false;
  #left = 0;
  #gone = 0;
  #started = 0;
  #perSecond: number | undefined;

  get mayGo(): boolean {
    return this.#left > 0;
  }

  started(): void {
    this.#started += 1;
  }

  goes(): void {
    this.#left -= 1;
    this.#gone += 1;
  }

  /** A second is over. `waiters` stand before who would go, `ready` jobs behind which it would come back. */
  look(waiters: number, ready: number): void {
    const before = this.#perSecond ?? this.#started;
    const pace = before + LATEST * (this.#started - before);
    const away = 1 + ready / (ROUNDS_A_SECOND + pace);
    this.#perSecond = pace;
    this.#left = waiters >= pace * away ? ROUNDS_A_SECOND : 0;
    this.#started = 0;
    this.#gone = 0;
  }

  /** Nobody went since the last look. */
  get isIdle(): boolean {
    return this.#gone === 0;
  }

  rest(): void {
    this.#left = 0;
    this.#perSecond = undefined;
  }
}
