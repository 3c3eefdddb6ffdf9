/**
 * Calls from node to node: one entry a node, and a deadline that no node can hold up.
 *
 * Owns the calls that wait for answers. A call goes to every node that is alive now; one that leaves meanwhile, or does
 * not answer in time, is an error in its place. Errors travel by name, code and message.
 */
import { randomBytes } from "node:crypto";
import type { NodeAnswer } from "../broker/contract.ts";
import { BrokerUnreachable } from "../broker/errors.ts";
import { CallTimeout } from "../kernel/errors.ts";
import { toError } from "../kernel/exit.ts";
import type { Clock } from "../kernel/types.ts";

export type Answerer = (command: string, args: unknown) => Promise<unknown>;

export interface CallParts {
  readonly clock: Clock;
  readonly node: string;
  readonly broker: string;
  /** Live nodes beside this one. */
  readonly others: () => readonly string[];
  /** To all nodes; false when it could not be sent. */
  readonly send: (command: string, body: CallBody) => boolean;
}

export interface CallBody {
  readonly call: string;
  readonly command: string;
  readonly args: unknown;
}

/** What goes back. */
export interface AnswerBody {
  readonly call: string;
  readonly ok: boolean;
  readonly value?: unknown;
  readonly error?: { readonly name: string; readonly code?: string; readonly message: string };
}

class Waiting {
  readonly answers = new Map<string, NodeAnswer>();
  constructor(
    readonly expected: Set<string>,
    readonly done: (answers: NodeAnswer[]) => void,
  ) {}

  answer(node: string, answer: NodeAnswer): void {
    if (!this.expected.delete(node)) return;
    this.answers.set(node, answer);
    if (this.expected.size === 0) this.done([...this.answers.values()]);
  }
}

export class Calls {
  readonly #parts: CallParts;
  readonly #waiting = new Map<string, Waiting>();
  #answerer: Answerer | undefined;
  /** An answer to the process before this one, under the same name, is none to us. */
  readonly #boot = randomBytes(4).toString("hex");
  #next = 0;

  constructor(parts: CallParts) {
    this.#parts = parts;
  }

  serve(answerer: Answerer): void {
    this.#answerer = answerer;
  }

  call(command: string, args: unknown, timeoutMs: number): Promise<readonly NodeAnswer[]> {
    const { node, others, send, clock, broker } = this.#parts;
    const call = `${node}/${this.#boot}/${++this.#next}`;
    const asked = others();
    const self = this.#answerer === undefined ? [] : [node];
    const expected = new Set([...self, ...asked]);
    if (expected.size === 0) return Promise.resolve([]);
    return new Promise((resolve) => {
      const waiting = new Waiting(expected, (answers) => {
        stop();
        this.#waiting.delete(call);
        resolve(answers.sort((a, b) => (a.node < b.node ? -1 : 1)));
      });
      const stop = clock.timer(timeoutMs, () => this.#late(waiting, timeoutMs));
      this.#waiting.set(call, waiting);
      if (self.length > 0)
        void this.run(command, args).then((body) => waiting.answer(node, answerOf(node, body)));
      const sent = asked.length === 0 || send(command, { call, command, args });
      if (!sent)
        for (const name of asked)
          waiting.answer(name, { node: name, ok: false, error: new BrokerUnreachable(broker) });
    });
  }

  #late(waiting: Waiting, timeoutMs: number): void {
    for (const name of [...waiting.expected])
      waiting.answer(name, { node: name, ok: false, error: new CallTimeout(`node ${name}`, timeoutMs) });
  }

  /** Runs a command here; never rejects. */
  async run(command: string, args: unknown, call = ""): Promise<AnswerBody> {
    try {
      if (this.#answerer === undefined) throw new Error("this node answers nothing yet");
      return { call, ok: true, value: await this.#answerer(command, args) };
    } catch (thrown) {
      return { call, ok: false, error: plainError(thrown) };
    }
  }

  heardAnswer(from: string, body: unknown): void {
    const answer = body as Partial<AnswerBody> | null;
    if (typeof answer?.call !== "string") return;
    this.#waiting.get(answer.call)?.answer(from, answerOf(from, answer as AnswerBody));
  }

  /** It will not answer any more. */
  gone(name: string): void {
    const error = new Error(`node ${name} left before it answered`);
    for (const waiting of [...this.#waiting.values()]) waiting.answer(name, { node: name, ok: false, error });
  }
}

function answerOf(node: string, { ok, value, error }: AnswerBody): NodeAnswer {
  if (ok) return { node, ok: true, value };
  const { name = "Error", code, message = "" } = error ?? {};
  const made = Object.assign(new Error(message), code === undefined ? { name } : { name, code });
  return { node, ok: false, error: made };
}

function plainError(thrown: unknown): { name: string; code?: string; message: string } {
  const error = toError(thrown);
  const { name, message } = error;
  const { code } = error as { readonly code?: unknown };
  return typeof code === "string" ? { name, code, message } : { name, message };
}
