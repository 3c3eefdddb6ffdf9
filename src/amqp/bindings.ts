/**
 * The exchanges of other systems that this node's queues are bound to, and which of them a message came by.
 *
 * Owns what is wanted of each queue and what this node has bound. An exchange that is deleted under us takes its bindings
 * along and tells nobody, so all of them are made again every ten seconds and with each connection. A binding that is wanted
 * no more is taken away, unless another live node still wants it; it outlives the node otherwise, as its queue does.
 */
import type { QueueRef } from "../broker/contract.ts";
import type { Binding, DeclaredQueue, ForeignMessage } from "../broker/foreign.ts";
import type { Clock } from "../kernel/types.ts";

export interface BindingParts {
  readonly clock: Clock;
  readonly nameOf: (queue: QueueRef) => string;
  readonly bind: (queue: string, binding: Binding) => Promise<void>;
  readonly unbind: (queue: string, binding: Binding) => Promise<void>;
  /** Tells the other nodes which bindings this one has. */
  readonly announce: (bindings: readonly string[]) => void;
  /** Whether another live node has this binding. */
  readonly isElsewhere: (binding: string) => boolean;
  readonly warn: (text: string) => void;
}

const AGAIN_MS = 10_000;
/** Where one cannot be made the same words are not written each time. */
const MOST_SAID = 1_000;

export class Bindings {
  readonly #parts: BindingParts;
  readonly #wanted = new Map<string, readonly Binding[]>();
  /** What this node has made, by queue and by name: also what could not be taken away yet. */
  readonly #made = new Map<string, Map<string, Binding>>();
  readonly #said = new Set<string>();
  #stop: (() => void) | undefined;
  #refreshing = false;

  constructor(parts: BindingParts) {
    this.#parts = parts;
  }

  /** What a queue is to be bound to from now on. Rejects when one of them cannot be made; the others may be there then. */
  async declare(queue: DeclaredQueue): Promise<void> {
    const name = this.#parts.nameOf(queue);
    const bindings = queue.bindings ?? [];
    if (bindings.length === 0 && !this.#wanted.has(name)) return;
    // known before the first message comes by it
    this.#wanted.set(name, bindings);
    this.#parts.announce([...this.#wanted].flatMap(([of, all]) => all.map((one) => nameOf(of, one))));
    for (const binding of bindings) await this.#make(name, binding);
    await this.#takeAway(name);
    if (bindings.length > 0) this.#again();
  }

  /** Which binding a message came by. Where several lead from one exchange, the first whose key fits. */
  of(queue: string, message: ForeignMessage): Binding | undefined {
    const all = this.#wanted.get(queue) ?? [];
    const fitting = all.filter((binding) => fits(binding, message));
    return (
      fitting.find(({ exchange }) => exchange === message.exchange) ??
      // a header may lead it past its routing key (CC)
      all.find(({ exchange }) => exchange === message.exchange) ??
      // by an exchange that is bound to ours: it has kept the name of the first
      fitting[0]
    );
  }

  /** Whether another live node makes jobs of what comes to this queue. */
  isElsewhere(queue: string, exchange: string): boolean {
    return this.#parts.isElsewhere(`${queue} ${exchange}`);
  }

  linkUp(): void {
    void this.#refresh();
  }

  close(): void {
    this.#stop?.();
    this.#wanted.clear();
  }

  async #make(queue: string, binding: Binding): Promise<void> {
    await this.#parts.bind(queue, binding);
    const made = this.#made.get(queue) ?? new Map<string, Binding>();
    this.#made.set(queue, made.set(keyOf(binding), binding));
  }

  async #takeAway(queue: string): Promise<void> {
    const kept = new Set((this.#wanted.get(queue) ?? []).map(keyOf));
    for (const [key, binding] of this.#made.get(queue) ?? []) {
      if (kept.has(key)) continue;
      this.#made.get(queue)?.delete(key);
      if (!this.#parts.isElsewhere(nameOf(queue, binding))) await this.#parts.unbind(queue, binding);
    }
  }

  #again(): void {
    this.#stop ??= this.#parts.clock.timer(AGAIN_MS, () => {
      this.#stop = undefined;
      void this.#refresh().finally(() => {
        if (this.#wanted.size > 0) this.#again();
      });
    });
  }

  async #refresh(): Promise<void> {
    if (this.#refreshing) return;
    this.#refreshing = true;
    for (const [queue, bindings] of this.#wanted)
      for (const binding of bindings)
        await this.#make(queue, binding).catch((error) => this.#say(queue, error));
    this.#refreshing = false;
  }

  #say(queue: string, error: Error): void {
    // a connection that is away has been told of; with the next one all of it is made again
    if ((error as { code?: unknown }).code === "BrokerUnreachable") return;
    const text = `queue ${queue}: ${error.message}`;
    if (this.#said.has(text)) return;
    if (this.#said.size >= MOST_SAID) this.#said.clear();
    this.#said.add(text);
    this.#parts.warn(text);
  }
}

const nameOf = (queue: string, { exchange }: Binding) => `${queue} ${exchange}`;

/** What the broker takes for one and the same. */
function keyOf({ exchange, routingKey, arguments: args }: Binding): string {
  return JSON.stringify([exchange, routingKey, Object.entries(args).sort(([a], [b]) => (a < b ? -1 : 1))]);
}

/** As the exchange itself decides. */
function fits(binding: Binding, { routingKey, headers }: ForeignMessage): boolean {
  switch (binding.type) {
    case "direct":
      return binding.routingKey === routingKey;
    case "topic":
      return matches(binding.routingKey.split("."), routingKey.split("."));
    case "headers":
      return carries(binding.arguments, headers);
    default:
      return true;
  }
}

/** `*` is one word, `#` any number of them. Each `#` is tried once a word: no pattern takes long. */
function matches(pattern: readonly string[], words: readonly string[]): boolean {
  let rest = new Set([0]);
  for (const part of pattern) {
    const next = new Set<number>();
    for (const at of rest) {
      if (part === "#") for (let to = at; to <= words.length; to++) next.add(to);
      else if (at < words.length && (part === "*" || part === words[at])) next.add(at + 1);
    }
    rest = next;
  }
  return rest.has(words.length);
}

function carries(
  wanted: Readonly<Record<string, unknown>>,
  headers: Readonly<Record<string, unknown>>,
): boolean {
  const names = Object.keys(wanted).filter((name) => !name.startsWith("x-"));
  const has = (name: string) => headers[name] === wanted[name];
  const isAny = String(wanted["x-match"] ?? "all").startsWith("any");
  return isAny ? names.some(has) : names.every(has);
}
