/**
 * One after the other, by name: readers of one queue would otherwise take its messages from each other.
 *
 * Owns who was last. One that fails holds up nobody.
 */
/** Whoever asks for the same name waits for who asked before. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  take<T>(name: string, what: () => Promise<T>): Promise<T> {
    const mine = (this.#last.get(name) ?? Promise.resolve()).then(what);
    const over: Promise<unknown> = mine
      .catch(() => {})
      .then(() => {
        if (this.#last.get(name) === over) this.#last.delete(name);
      });
    this.#last.set(name, over);
    return mine;
  }
}
