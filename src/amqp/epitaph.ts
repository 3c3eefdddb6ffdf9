/**
 * What stands beside a buried job's bytes, as headers of its message, and back.
 *
 * Owns the names of the headers and their limits: all of them together stay below amqplib's 64 KiB. The body is the
 * message as it came, so that nothing of an undecodable one is lost. Reading is total: what stands in `$unroutable`, or
 * was put there by hand, has no headers of ours.
 */
import type { ConsumeMessage } from "amqplib";
import type { BuriedJob } from "../broker/contract.ts";
import { decodeEnvelope, encodeEnvelope } from "../jobs/codec.ts";
import { Envelope, type HistoryEntry } from "../jobs/envelope.ts";
import type { BuriedReason, BuriedRecord, Failure } from "../jobs/failure.ts";
import { type Parcel, packedIn } from "./parcel.ts";

/** `parcel`: it is a message of another system, and may be read again. */
export type Grave = BuriedJob & { readonly parcel?: Parcel };

const RECORD = "spillway-record";
const JOB = "spillway-job";
const RECORD_BYTES_MAX = 32 * 1024;
/** Of each text, in characters, when they do not fit; JSON makes up to six bytes of one. */
const TEXT_MAX = 1_250;

/** `envelope`: with its last attempt and history; none for what could not be decoded. */
export function headersOf(record: BuriedRecord, envelope: Envelope | undefined): Record<string, unknown> {
  const headers: Record<string, unknown> = { [RECORD]: fitting(record) };
  if (envelope === undefined) return headers;
  const { attempt, hop, history } = envelope;
  headers[JOB] = JSON.stringify({ attempt, hop, history });
  return headers;
}

/** The whole of it where it fits; else without the thread's state, then with its texts cut. */
function fitting(record: BuriedRecord): string {
  const whole = JSON.stringify(record);
  if (Buffer.byteLength(whole) <= RECORD_BYTES_MAX) return whole;
  const { error } = record;
  const { report: _, ...plain } = error;
  const cut: Failure = {
    ...plain,
    name: shorter(error.name),
    message: shorter(error.message),
    stack: error.stack && shorter(error.stack),
    ...(error.code === undefined ? {} : { code: shorter(error.code) }),
  };
  return JSON.stringify({ ...record, error: cut });
}

const shorter = (text: string) => (text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text);

/** One message of a buried queue as the broker's contract has it. */
export function buriedJobOf(message: ConsumeMessage): Grave {
  const headers = (message.properties.headers ?? {}) as Record<string, unknown>;
  const record = recordOf(headers[RECORD]) ?? unknownRecord();
  return jobOf(message, record, headers[JOB]);
}

/** What stands in `$unroutable`: its queue was deleted while it waited, or it was returned too often. */
export function unroutableJobOf(message: ConsumeMessage, buriedAt: number): Grave {
  const record: BuriedRecord = {
    reason: "unroutable",
    buriedAt,
    error: {
      kind: "error",
      name: "Unroutable",
      message: "its queue was not there when it was due; requeue it now that it is",
      stack: undefined,
      final: true,
    },
  };
  return jobOf(message, record, undefined);
}

function jobOf(message: ConsumeMessage, record: BuriedRecord, last: unknown): Grave {
  const parcel = packedIn(message);
  if (parcel !== undefined) {
    // its bytes are another system's, whatever they look like
    const raw = Uint8Array.from(message.content);
    return { id: messageIdOf(message), envelope: undefined, record, raw, parcel };
  }
  const decoded = decodeEnvelope(message.content);
  const id = decoded.ok ? decoded.envelope.id : messageIdOf(message);
  if (!decoded.ok) return { id, envelope: undefined, record, raw: Uint8Array.from(message.content) };
  return { id, envelope: withLast(decoded.envelope, last), record, raw: undefined };
}

/** A message without an id of its own is known by its place in time. */
export function messageIdOf(message: ConsumeMessage): string {
  const { messageId } = message.properties as { readonly messageId?: unknown };
  if (typeof messageId === "string" && messageId !== "") return messageId;
  return `unnamed-${hash(message.content)}`;
}

/** FNV-1a: the same bytes have the same name each time they are looked at. */
function hash(bytes: Uint8Array): string {
  let h = 0x811c9dc5;
  for (const byte of bytes.subarray(0, 65_536)) h = Math.imul(h ^ byte, 0x01000193) >>> 0;
  return `${h.toString(36)}-${bytes.length}`;
}

function withLast(envelope: Envelope, last: unknown): Envelope {
  const parsed = parse(last) as { attempt?: unknown; hop?: unknown; history?: unknown } | undefined;
  if (parsed === undefined) return envelope;
  const { attempt, hop, history } = parsed;
  const made = new Envelope({
    ...envelope,
    attempt: typeof attempt === "number" ? attempt : envelope.attempt,
    hop: typeof hop === "number" ? hop : envelope.hop,
    history: Array.isArray(history) ? (history as HistoryEntry[]) : envelope.history,
  });
  // put there by hand it may be anything; what could not be enqueued again is not taken
  return decodeEnvelope(encodeEnvelope(new Envelope({ ...made, argsText: "0" }))).ok ? made : envelope;
}

const REASONS: ReadonlySet<unknown> = new Set<BuriedReason>([
  "failed",
  "non-retryable",
  "poison",
  "undecodable",
  "unknown-job",
  "unroutable",
  "duplicate",
]);

function recordOf(text: unknown): BuriedRecord | undefined {
  const raw = parse(text) as Partial<BuriedRecord> | undefined;
  const known = REASONS.has(raw?.reason) && typeof raw?.buriedAt === "number" && isFailure(raw.error);
  return known ? (raw as BuriedRecord) : undefined;
}

function isFailure(value: unknown): value is Failure {
  if (typeof value !== "object" || value === null) return false;
  const { kind, name, message } = value as Partial<Record<keyof Failure, unknown>>;
  return typeof kind === "string" && typeof name === "string" && typeof message === "string";
}

function unknownRecord(): BuriedRecord {
  const message = "it was put here by hand, or by another version";
  return {
    reason: "failed",
    buriedAt: 0,
    error: { kind: "error", name: "Error", message, stack: undefined, final: true },
  };
}

function parse(text: unknown): object | undefined {
  if (typeof text !== "string") return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
