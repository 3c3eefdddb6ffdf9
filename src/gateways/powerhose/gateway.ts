/**
 * Powerhose's workers as workers of a runtime.
 *
 * Owns a master and a seat for each worker that is ready. The wire has no word for the end of a job: a worker of the
 * original that is too slow loses its seat, and gets a new one once it has answered; one of Spillway's own sees its
 * connection end.
 */
import type {
  ExternalJob,
  ExternalWorker,
  ExternalWorkers,
  Gateway,
  WorkerSeat,
} from "../../actors/external/port.ts";
import { endProcess } from "../processes/own.ts";
import { BEAT_MS, type Hand } from "./hand.ts";
import { Master, type MasterWatch } from "./master.ts";
import { type CheckedPowerhose, checkPowerhoseOptions, type PowerhoseOptions } from "./options.ts";
import { type Answer, jsonWithout } from "./wire.ts";

/** For `gateways` of `Runtime.start`. */
export interface PowerhoseGateway extends Gateway {
  /** Where it listens; undefined while it does not. */
  readonly endpoint: string | undefined;
}

/**
 * Needs the package `zeromq`, which is loaded when the runtime starts.
 * @throws InvalidOptions; ZeromqMissing and EndpointUnavailable reject the runtime's start.
 */
export function powerhose(options: PowerhoseOptions): PowerhoseGateway {
  return new Powerhose(checkPowerhoseOptions(options));
}

class Powerhose implements PowerhoseGateway, MasterWatch {
  readonly kind: string;
  endpoint: string | undefined;
  readonly #options: CheckedPowerhose;
  readonly #seats = new Map<Hand, WorkerSeat>();
  #master: Master | undefined;
  #workers: ExternalWorkers | undefined;

  constructor(options: CheckedPowerhose) {
    this.#options = options;
    this.kind = `powerhose ${options.serves}`;
  }

  async start(workers: ExternalWorkers): Promise<void> {
    this.#workers = workers;
    this.#master = new Master(this.#options, this);
    this.endpoint = await this.#master.start();
  }

  async stop(): Promise<void> {
    this.endpoint = undefined;
    const master = this.#master;
    this.#master = undefined;
    await master?.stop();
  }

  describe(): Readonly<Record<string, unknown>> {
    return { endpoint: this.endpoint, registered: this.#master?.count ?? 0, ready: this.#seats.size };
  }

  joined(hand: Hand): void {
    const { serves, format } = this.#options;
    const seat = this.#workers?.seat(new HandWorker(hand, serves, format === "text", this));
    if (seat === undefined) return;
    this.#seats.set(hand, seat);
    seat.free();
  }

  heard(hand: Hand): void {
    this.#seats.get(hand)?.heard();
  }

  answered(hand: Hand, answer: Answer): void {
    const seat = this.#seats.get(hand);
    if (answer.t === "result")
      seat?.completed(this.#options.format === "text" ? JSON.stringify(answer.text) : answer.text);
    else if (answer.t === "snoozed") seat?.snoozed(answer.delayMs);
    else if (answer.t === "failed") seat?.failed(answer.failure);
    seat?.free();
  }

  /** Its job cannot be told to it, nor to another of its kind. */
  refused(hand: Hand): void {
    const message = `a text with ${hand.caller.separator} in it cannot be sent; give format: "json"`;
    this.answered(hand, {
      t: "failed",
      failure: { name: "Unsendable", message, stack: undefined, final: true },
    });
  }

  left(hand: Hand, why: string): void {
    const seat = this.#seats.get(hand);
    this.#seats.delete(hand);
    seat?.gone(why);
  }

  /** Who is let go without a body is not to come back as the same. */
  end(hand: Hand, why: string, body: boolean): void {
    if (body) hand.end(why);
    else this.#master?.dismiss(hand, why);
  }
}

class HandWorker implements ExternalWorker {
  readonly name: string;
  readonly type: string;
  readonly hears = false;
  readonly beatMs = BEAT_MS;
  readonly #hand: Hand;
  readonly #asText: boolean;
  readonly #gateway: Powerhose;

  constructor(hand: Hand, type: string, asText: boolean, gateway: Powerhose) {
    this.name = `powerhose ${hand.caller.workpoint}`;
    this.type = type;
    this.#hand = hand;
    this.#asText = asText;
    this.#gateway = gateway;
  }

  run({ id, argsText }: ExternalJob): void {
    const text = this.#asText && argsText.startsWith('"') ? (JSON.parse(argsText) as string) : undefined;
    const data = text ?? jsonWithout(this.#hand.caller.separator, argsText);
    if (!this.#hand.give(plain(id), data)) queueMicrotask(() => this.#gateway.refused(this.#hand));
  }

  signal(): void {}

  ping(): void {}

  end(why: string, body: boolean): void {
    const { process } = this.#hand.caller;
    this.#gateway.end(this.#hand, why, body);
    if (body && process !== undefined) endProcess(process);
  }
}

/** An id that no message can hold goes out in another spelling: a worker only repeats it. */
function plain(id: string): string {
  return id.replaceAll(/[:*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
