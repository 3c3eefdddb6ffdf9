/**
 * Services of the pool's options, called from a body in a child: the question goes out, the answer comes back.
 *
 * Owns, in the child, the calls that have no answer yet; they end with the process. What can't be cloned is the
 * caller's error on either side.
 */
import type { PoolOptions } from "../types.ts";
import type { FromChild, ToChild } from "./wire.ts";

type Question = FromChild & { readonly 0: "ask" };
type Answer = ToChild & { readonly 0: "answer" };

/** Our side: calls the service and sends what it says. */
export function answerService(
  { services = {} }: PoolOptions,
  [, call, name, args]: Question,
  send: (answer: Answer) => void,
): void {
  const refuse = (error: unknown) => send(["answer", call, false, asError(error)]);
  const asked = async () => services[name]?.(...args);
  asked()
    .then((value) => send(["answer", call, true, value]))
    .catch(refuse);
}

/** The child's side: as many functions as there are services. */
export class AskedServices {
  readonly functions: Record<string, (...args: readonly unknown[]) => Promise<unknown>> = {};
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();
  #calls = 0;

  constructor(names: readonly string[], send: (question: Question) => void) {
    for (const name of names)
      this.functions[name] = (...args) =>
        new Promise((resolve, reject) => {
          const call = ++this.#calls;
          send(["ask", call, name, args]);
          this.#waiting.set(call, { resolve, reject });
        });
  }

  answered([, call, ok, value]: Answer): void {
    const waiting = this.#waiting.get(call);
    this.#waiting.delete(call);
    if (ok) waiting?.resolve(value);
    else waiting?.reject(value);
  }
}

/** An error that survives the way: anything may be thrown. */
function asError(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  const { name, message, stack } = error;
  return Object.assign(new Error(message), { name, stack });
}
