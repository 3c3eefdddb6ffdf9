/**
 * The board: which jobs wait, which slave has which, and whom an answer goes to. The pure part of the gateway.
 *
 * Owns all of it, in memory only: nothing here survives the process. `stepBoard` writes what is to be done into a list
 * that is carried out after it returns. A slave may be lent: then it does a job of the runtime, which the board does not
 * know. What masters submitted comes first.
 */
import { JobQueue, type Queued } from "./job-queue.ts";
import { errorText, type Named, OK, OK_EXTENDED, type Request, type Role } from "./requests.ts";

/** A connection's number; never used twice. */
export type Peer = number;

export type BoardMessage =
  | { readonly t: "opened"; readonly peer: Peer; readonly role: Role }
  | { readonly t: "said"; readonly peer: Peer; readonly request: Request }
  | { readonly t: "closed"; readonly peer: Peer };

/** How a lent job ended. */
export type LentEnd =
  | { readonly kind: "answered"; readonly body: string }
  | { readonly kind: "failed"; readonly error: string }
  | { readonly kind: "snoozed"; readonly delayMs: number };

export type BoardEffect =
  | { readonly t: "send"; readonly peer: Peer; readonly text: string }
  /** After what was sent to it before. */
  | { readonly t: "close"; readonly peer: Peer }
  /** It has joined, or has another type now. */
  | { readonly t: "joined"; readonly peer: Peer; readonly request: Request & { readonly t: "join" } }
  /** No master has a job for it. */
  | { readonly t: "free"; readonly peer: Peer }
  /** It got a master's job. */
  | { readonly t: "taken"; readonly peer: Peer }
  | { readonly t: "lent-end"; readonly peer: Peer; readonly end: LentEnd }
  | { readonly t: "lent-note"; readonly peer: Peer; readonly request: Request };

export interface BoardLimits {
  /** Most jobs that wait or run. */
  readonly maxJobs: number;
  /** Most characters of all of them together. */
  readonly maxBytes: number;
}

interface BoardJob extends Queued {
  readonly id: Named;
  readonly type: Named;
  body: string;
  readonly size: number;
  /** Undefined when it has left: the answer goes nowhere then. */
  master: Master | undefined;
  deliveries: number;
  running: boolean;
}

interface Master {
  readonly peer: Peer;
  /** Waiting and running. */
  readonly jobs: Set<BoardJob>;
}

interface Slave {
  readonly peer: Peer;
  /** Undefined before it has joined. */
  type: Named | undefined;
  extended: boolean;
  job: BoardJob | "lent" | undefined;
  /** It gets no other job, and is closed after the one that it has. */
  dismissed: boolean;
}

/** One type of jobs: what waits, and who has nothing to do, the longest idle first. */
interface Lane {
  readonly waiting: JobQueue<BoardJob>;
  readonly idle: Set<Slave>;
}

export interface Board {
  readonly limits: BoardLimits;
  readonly masters: Map<Peer, Master>;
  readonly slaves: Map<Peer, Slave>;
  readonly jobs: Map<string, BoardJob>;
  readonly lanes: Map<string, Lane>;
  bytes: number;
  lastAge: number;
}

/** The first delivery and three more. */
export const MOST_DELIVERIES = 4;

export function makeBoard(limits: BoardLimits): Board {
  return {
    limits,
    masters: new Map(),
    slaves: new Map(),
    jobs: new Map(),
    lanes: new Map(),
    bytes: 0,
    lastAge: 0,
  };
}

export function stepBoard(board: Board, message: BoardMessage, out: BoardEffect[]): void {
  const { peer } = message;
  switch (message.t) {
    case "opened":
      if (message.role === "master") board.masters.set(peer, { peer, jobs: new Set() });
      else
        board.slaves.set(peer, { peer, type: undefined, extended: false, job: undefined, dismissed: false });
      return;
    case "said":
      return said(board, peer, message.request, out);
    case "closed":
      masterLeft(board, peer);
      return slaveLeft(board, peer, out);
  }
}

function said(board: Board, peer: Peer, request: Request, out: BoardEffect[]): void {
  if (request.t === "refused" || request.t === "broken") {
    if (request.answer !== undefined) out.push({ t: "send", peer, text: request.answer });
    if (request.t === "broken") out.push({ t: "close", peer });
    return;
  }
  const master = board.masters.get(peer);
  if (master !== undefined && request.t === "submit") return submit(board, master, request, out);
  const slave = board.slaves.get(peer);
  if (slave !== undefined) slaveSaid(board, slave, request, out);
}

/** The answer that it was taken comes before the one that it was not: the original's clients count on both. */
function submit(board: Board, master: Master, request: Request & { t: "submit" }, out: BoardEffect[]): void {
  const { id, type, priority, body } = request;
  const { peer } = master;
  const size = id.text.length + type.text.length + body.length;
  if (board.jobs.size >= board.limits.maxJobs || board.bytes + size > board.limits.maxBytes) {
    out.push({ t: "send", peer, text: errorText("queue_full", id.text) });
    return;
  }
  out.push({ t: "send", peer, text: `{"ok":true,"id":${id.text}}` });
  if (board.jobs.has(id.key)) {
    out.push({ t: "send", peer, text: errorText("id_exists", id.text) });
    return;
  }
  board.lastAge += 1;
  const job: BoardJob = {
    id,
    type,
    priority,
    age: board.lastAge,
    dropped: false,
    body,
    size,
    master,
    deliveries: 0,
    running: false,
  };
  board.jobs.set(id.key, job);
  board.bytes += size;
  master.jobs.add(job);
  enqueue(board, job, out);
}

/** To the slave that has been idle longest, or to its place in the line. */
function enqueue(board: Board, job: BoardJob, out: BoardEffect[]): void {
  const lane = laneOf(board, job.type);
  const [slave] = lane.idle;
  if (slave === undefined) return lane.waiting.push(job);
  lane.idle.delete(slave);
  tidy(board, job.type, lane);
  deliver(slave, job, out);
}

function deliver(slave: Slave, job: BoardJob, out: BoardEffect[]): void {
  job.deliveries += 1;
  job.running = true;
  out.push({ t: "taken", peer: slave.peer });
  slave.job = job;
  const { id, type, body } = job;
  const text = `{"action":"job","id":${id.text},"type":${type.text},"body":${body}}`;
  out.push({ t: "send", peer: slave.peer, text });
}

/** It has answered, or has just joined: the next job of its type, or idle. */
function next(board: Board, slave: Slave, out: BoardEffect[]): void {
  if (slave.dismissed) return void out.push({ t: "close", peer: slave.peer });
  if (slave.type === undefined) return;
  const lane = laneOf(board, slave.type);
  const job = lane.waiting.take();
  if (job !== undefined) {
    tidy(board, slave.type, lane);
    return deliver(slave, job, out);
  }
  lane.idle.add(slave);
  out.push({ t: "free", peer: slave.peer });
}

function slaveSaid(board: Board, slave: Slave, request: Request, out: BoardEffect[]): void {
  if (!slave.extended && isExtension(request.t)) {
    out.push({ t: "send", peer: slave.peer, text: errorText("unknown_type", `"${request.t}"`) });
    return;
  }
  switch (request.t) {
    case "join":
      return join(board, slave, request, out);
    case "respond":
      if (slave.job === undefined) return notProcessing(slave, out);
      if (request.body === undefined) {
        out.push({ t: "send", peer: slave.peer, text: errorText("missing_field", '"body"') });
        return;
      }
      return ended(board, slave, { kind: "answered", body: request.body }, out);
    case "fail":
      if (slave.job === undefined) return notProcessing(slave, out);
      return ended(board, slave, { kind: "failed", error: request.error }, out);
    case "snooze":
      return snooze(board, slave, request.delayMs, out);
    case "progress":
    case "log":
    case "pong":
      out.push({ t: "lent-note", peer: slave.peer, request });
      return;
    default:
      return;
  }
}

function snooze(board: Board, slave: Slave, delayMs: number | undefined, out: BoardEffect[]): void {
  if (slave.job === undefined) return notProcessing(slave, out);
  if (delayMs !== undefined) return ended(board, slave, { kind: "snoozed", delayMs }, out);
  out.push({ t: "send", peer: slave.peer, text: errorText("invalid_type", '"delay"') });
}

const EXTENSIONS: ReadonlySet<Request["t"]> = new Set(["fail", "snooze", "progress", "log", "pong"]);

/** Spillway's own words, which a slave has announced when it joined; to others they are unknown, as to the original. */
function isExtension(word: Request["t"]): boolean {
  return EXTENSIONS.has(word);
}

function notProcessing(slave: Slave, out: BoardEffect[]): void {
  out.push({ t: "send", peer: slave.peer, text: errorText("invalid_state", '"not_processing"') });
}

/** One that joins again while it is busy first answers what it has; jobs of its new type come after that. */
function join(board: Board, slave: Slave, request: Request & { t: "join" }, out: BoardEffect[]): void {
  leaveLane(board, slave);
  slave.type = request.type;
  slave.extended = request.extended;
  out.push({ t: "send", peer: slave.peer, text: request.extended ? OK_EXTENDED : OK });
  out.push({ t: "joined", peer: slave.peer, request });
  if (slave.job === undefined) next(board, slave, out);
}

/** Its `ok` goes out before its next job. */
function ended(board: Board, slave: Slave, end: LentEnd, out: BoardEffect[]): void {
  const { job } = slave;
  slave.job = undefined;
  out.push({ t: "send", peer: slave.peer, text: OK });
  if (job === "lent") out.push({ t: "lent-end", peer: slave.peer, end });
  else if (job !== undefined) {
    if (job.master !== undefined) out.push({ t: "send", peer: job.master.peer, text: resultOf(job, end) });
    forget(board, job);
  }
  next(board, slave, out);
}

/** A master has no word for a body that failed, or wants to run later; to it that is a job which could not be done. */
function resultOf(job: BoardJob, end: LentEnd): string {
  if (end.kind === "answered") return `{"id":${job.id.text},"body":${end.body}}`;
  return errorText("job_failed", job.id.text);
}

function forget(board: Board, job: BoardJob): void {
  board.jobs.delete(job.id.key);
  board.bytes -= job.size;
  job.body = "";
  job.master?.jobs.delete(job);
}

/** A job of the runtime goes to a slave that is free: the board no longer has it to give. Leads to no effects. */
export function lend(board: Board, peer: Peer): void {
  const slave = board.slaves.get(peer);
  if (slave === undefined) return;
  leaveLane(board, slave);
  slave.job = "lent";
}

/** True: it has nothing to do, and may be closed now; otherwise it is, after the job that it has. */
export function dismiss(board: Board, peer: Peer): boolean {
  const slave = board.slaves.get(peer);
  if (slave === undefined) return false;
  slave.dismissed = true;
  return slave.job === undefined;
}

/** What waits goes with its master; what runs goes on, and its answer is dropped. */
function masterLeft(board: Board, peer: Peer): void {
  const master = board.masters.get(peer);
  if (master === undefined) return;
  board.masters.delete(peer);
  for (const job of master.jobs) {
    job.master = undefined;
    if (!job.running) drop(board, job);
  }
}

function drop(board: Board, job: BoardJob): void {
  const lane = laneOf(board, job.type);
  lane.waiting.drop(job);
  forget(board, job);
  tidy(board, job.type, lane);
}

/** Its job keeps priority and age, and goes to another; the fourth slave that dies with it is the last. */
function slaveLeft(board: Board, peer: Peer, out: BoardEffect[]): void {
  const slave = board.slaves.get(peer);
  if (slave === undefined) return;
  board.slaves.delete(peer);
  leaveLane(board, slave);
  const { job } = slave;
  if (job === undefined || job === "lent") return;
  if (job.master === undefined) return forget(board, job);
  job.running = false;
  if (job.deliveries < MOST_DELIVERIES) return enqueue(board, job, out);
  out.push({ t: "send", peer: job.master.peer, text: errorText("job_failed", job.id.text) });
  forget(board, job);
}

function laneOf(board: Board, type: Named): Lane {
  let lane = board.lanes.get(type.key);
  if (lane === undefined) {
    lane = { waiting: new JobQueue(), idle: new Set() };
    board.lanes.set(type.key, lane);
  }
  return lane;
}

function leaveLane(board: Board, slave: Slave): void {
  if (slave.type === undefined) return;
  const lane = board.lanes.get(slave.type.key);
  if (lane === undefined) return;
  lane.idle.delete(slave);
  tidy(board, slave.type, lane);
}

/** Types come from peers: a lane without jobs and slaves is not kept. */
function tidy(board: Board, type: Named, lane: Lane): void {
  if (lane.waiting.size === 0 && lane.idle.size === 0) board.lanes.delete(type.key);
}
