/**
 * Gloom's slaves as workers of a runtime; its masters have them first, as ever.
 *
 * Owns a server and a seat for each slave that has joined. A slave that said `"spillway":1` when it joined hears when
 * its job is to end, may fail with an error, and tells progress; others only know jobs and answers.
 */
import type {
  ExternalFailure,
  ExternalJob,
  ExternalWorker,
  ExternalWorkers,
  Gateway,
  WorkerSeat,
} from "../../actors/external/port.ts";
import type { AbortReason, LogLevel } from "../../threads/types.ts";
import { endProcess } from "../processes/own.ts";
import type { LentEnd, Peer } from "./board.ts";
import type { Connection } from "./connection.ts";
import { checkGloomOptions, type GloomOptions } from "./options.ts";
import type { Request } from "./requests.ts";
import { type GloomAddress, GloomServer, type SlaveWatch } from "./server.ts";

/** For `gateways` of `Runtime.start`. */
export interface GloomGateway extends Gateway {
  /** Undefined while it does not listen. */
  readonly address: GloomAddress | undefined;
}

/** @throws InvalidOptions; a port that is taken rejects the runtime's start with GatewayUnavailable. */
export function gloom(options: GloomOptions = {}): GloomGateway {
  return new Gloom(options);
}

/** A type is a job's business; a longer one is no worker's. */
const LONGEST_TYPE = 128;

interface Slave {
  readonly seat: WorkerSeat;
  /** It has joined again while it was busy: what it is after its job. */
  next: Joining | undefined;
}

interface Joining {
  readonly connection: Connection;
  readonly request: Request & { readonly t: "join" };
}

class Gloom implements GloomGateway, SlaveWatch {
  readonly kind = "gloom";
  readonly #options;
  readonly #slaves = new Map<Peer, Slave>();
  #server: GloomServer | undefined;
  #workers: ExternalWorkers | undefined;

  constructor(options: GloomOptions) {
    this.#options = checkGloomOptions(options);
  }

  get address(): GloomAddress | undefined {
    return this.#server?.address;
  }

  async start(workers: ExternalWorkers): Promise<void> {
    this.#workers = workers;
    const server = new GloomServer(this.#options, this);
    await server.start();
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await server?.stop();
  }

  describe(): Readonly<Record<string, unknown>> {
    return { ...this.#server?.address, ...this.#server?.counts };
  }

  joined(connection: Connection, request: Joining["request"]): void {
    const joining = { connection, request };
    const there = this.#slaves.get(connection.number);
    if (there?.seat.busy === true) {
      there.next = joining;
      return;
    }
    this.#seat(joining, there);
  }

  free(peer: Peer): void {
    this.#slaves.get(peer)?.seat.free();
  }

  taken(peer: Peer): void {
    this.#slaves.get(peer)?.seat.taken();
  }

  ended(peer: Peer, end: LentEnd): void {
    const slave = this.#slaves.get(peer);
    if (slave === undefined) return;
    if (end.kind === "answered") slave.seat.completed(end.body);
    else if (end.kind === "snoozed") slave.seat.snoozed(end.delayMs);
    else slave.seat.failed(failureOf(end.error));
    if (slave.next !== undefined) this.#seat(slave.next, slave);
  }

  note(peer: Peer, request: Request): void {
    const seat = this.#slaves.get(peer)?.seat;
    if (request.t === "progress") seat?.progress(JSON.parse(request.value));
    else if (request.t === "log") seat?.log(levelOf(request.level), request.text);
    else seat?.heard();
  }

  left(peer: Peer, why = "its connection has ended"): void {
    const slave = this.#slaves.get(peer);
    this.#slaves.delete(peer);
    slave?.seat.gone(why);
  }

  /** Only a text can be what a definition names; who has another type serves masters alone. */
  #seat({ connection, request }: Joining, there: Slave | undefined): void {
    const peer = connection.number;
    if (there !== undefined) this.left(peer, "it serves another type now");
    if (!request.type.text.startsWith('"')) return;
    const serves = JSON.parse(request.type.text) as string;
    if (serves.length > LONGEST_TYPE || this.#workers === undefined) return;
    const worker = new SlaveWorker(this, connection, serves, request);
    this.#slaves.set(peer, { seat: this.#workers.seat(worker), next: undefined });
  }

  send(peer: Peer, text: string): void {
    this.#server?.send(peer, text);
  }

  lend(peer: Peer, text: string): void {
    this.#server?.lend(peer, text);
  }

  /** Told first, so that the reason is the one of whoever wanted it. One without a body may still have a master's. */
  end(peer: Peer, why: string, body: boolean): void {
    this.left(peer, why);
    if (body) this.#server?.end(peer);
    else this.#server?.dismiss(peer);
  }
}

class SlaveWorker implements ExternalWorker {
  readonly name: string;
  readonly type: string;
  readonly hears: boolean;
  readonly #gloom: Gloom;
  readonly #peer: Peer;
  readonly #typeText: string;
  readonly #process: string | undefined;

  constructor(owner: Gloom, connection: Connection, type: string, request: Joining["request"]) {
    this.name = `gloom ${connection.from}`;
    this.type = type;
    this.hears = request.extended;
    this.#gloom = owner;
    this.#peer = connection.number;
    this.#typeText = request.type.text;
    this.#process = request.process;
  }

  run({ id, job, partition, queue, attempt, argsText, maxExecutionTimeMs }: ExternalJob): void {
    const text = `{"action":"job","id":${JSON.stringify(id)},"type":${this.#typeText},"body":${argsText}`;
    const about = { job, partition, queue, attempt, limit: maxExecutionTimeMs };
    const more = this.hears ? `,"spillway":${JSON.stringify(about)}` : "";
    this.#gloom.lend(this.#peer, `${text}${more}}`);
  }

  signal(id: string, reason: AbortReason): void {
    this.#gloom.send(this.#peer, JSON.stringify({ action: "cancel", id, reason }));
  }

  ping(): void {
    this.#gloom.send(this.#peer, '{"action":"ping"}');
  }

  end(why: string, body: boolean): void {
    this.#gloom.end(this.#peer, why, body);
    if (body && this.#process !== undefined) endProcess(this.#process);
  }
}

const LEVELS: readonly string[] = ["debug", "info", "warn", "error"] satisfies LogLevel[];

function levelOf(level: string): LogLevel {
  return LEVELS.includes(level) ? (level as LogLevel) : "info";
}

/** `{ name, message, stack, final }`, of which a worker may leave out what it likes. */
function failureOf(text: string): ExternalFailure {
  const given: unknown = JSON.parse(text);
  const error = (typeof given === "object" && given !== null ? given : { message: given }) as {
    readonly [field: string]: unknown;
  };
  const { name, message, stack, final } = error;
  return {
    name: typeof name === "string" && name !== "" ? name : "Error",
    message: typeof message === "string" ? message : "the worker said that it failed, and not why",
    stack: typeof stack === "string" ? stack : undefined,
    final: final === true,
  };
}
