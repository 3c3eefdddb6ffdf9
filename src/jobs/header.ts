/**
 * The header's reader: from one line of JSON to the fields of an envelope, or the reason why not.
 *
 * Owns what each field may be. Strict, since what passes here is executed: types, ranges, name rules, limits of
 * levels and history, and no name twice (JSON parsers differ in which one they keep). Total: takes any text.
 */
import type { EnvelopeFields, FailureKind, HistoryEntry } from "./envelope.ts";
import { HISTORY_BYTES_MAX, HISTORY_ENTRIES_MAX, historyBytes } from "./history.ts";
import { checkId, checkJobName, checkKey, checkName, checkText, shown } from "./names.ts";
import { COUNT_MAX, levelsProblem } from "./retry.ts";

/** Opaque to us; `traceparent` and `tracestate` fit. */
export const TRACE_BYTES_MAX = 4096;
/** The last millisecond that a Date can hold. */
const TIME_MAX = 8.64e15;

const KINDS: ReadonlySet<unknown> = new Set<FailureKind>([
  "error",
  "timeout",
  "crash",
  "memory",
  "exit",
  "result",
  "cancelled",
]);

/**
 * The header as `encodeEnvelope` writes it for most jobs: each field in its place and valid by its letters alone, so
 * that nothing is left to check. What does not match is read the long way; both ways read the same.
 */
const USUAL = new RegExp(
  [
    '^{"v":1,"id":"(PLAIN{1,255})","job":"(PLAIN{1,128})","partition":"(NAME)","queue":"(NAME)"',
    '"attempt":(COUNT),"hop":(COUNT),"maxExecutionTime":(TIME),"enqueuedAt":(TIME),"startedAt":(TIME)}$',
  ]
    .join(",")
    .replaceAll("PLAIN", "[\\x20\\x21\\x23-\\x5b\\x5d-\\x7e]")
    .replaceAll("NAME", "[A-Za-z0-9_-]{1,64}")
    .replaceAll("COUNT", "0|[1-9]\\d{0,8}")
    .replaceAll("TIME", "0|[1-9]\\d{0,14}"),
);

type Raw = Readonly<Record<string, unknown>>;

/** A reason, thrown within this file only: the way out of a nested check. */
class Refused {
  constructor(readonly reason: string) {}
}

/** The fields, with the args as given; or a reason. */
export function readHeader(text: string, argsText: string): EnvelopeFields | string {
  const usual = USUAL.exec(text);
  if (usual !== null) return fieldsOfUsual(usual, argsText);
  const raw = parsed(text);
  if (typeof raw === "string") return raw;
  try {
    return fieldsOf(raw, argsText);
  } catch (refused) {
    if (refused instanceof Refused) return refused.reason;
    throw refused;
  }
}

function fieldsOfUsual(found: readonly string[], argsText: string): EnvelopeFields {
  const [, id = "", job = "", partition = "", queue = "", attempt, hop, limit, enqueued, started] = found;
  return {
    id: own(id),
    job: own(job),
    partition: own(partition),
    queue: own(queue),
    queueKey: undefined,
    executionKey: undefined,
    attempt: Number(attempt),
    hop: Number(hop),
    levels: undefined,
    history: undefined,
    maxExecutionTimeMs: Number(limit),
    enqueuedAt: Number(enqueued),
    startedAt: Number(started),
    replyTo: undefined,
    trace: undefined,
    argsText,
  };
}

/** A copy: V8 cuts text out by pointing into the whole, and an id that is remembered would keep the args with it. */
function own(part: string): string {
  return ` ${part}`.slice(1);
}

function parsed(text: string): Raw | string {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    return "the first line (header) is not JSON";
  }
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return "the header is not a JSON object";
  if (membersIn(text) !== Object.keys(raw).length) return "the header names a field twice";
  const { v } = raw as Raw;
  if (v !== 1) return `the header's version is ${shown(v)}; this node reads version 1`;
  return raw as Raw;
}

function fieldsOf(raw: Raw, argsText: string): EnvelopeFields {
  return {
    id: text(raw, "id", checkId),
    job: text(raw, "job", checkJobName),
    partition: text(raw, "partition", checkName),
    queue: text(raw, "queue", checkName),
    queueKey: optional(raw, "queueKey", checkKey),
    executionKey: optional(raw, "executionKey", checkKey),
    attempt: whole(raw, "attempt", COUNT_MAX),
    hop: whole(raw, "hop", COUNT_MAX),
    levels: levels(raw.levels),
    history: history(raw.history),
    maxExecutionTimeMs: whole(raw, "maxExecutionTime", Number.MAX_SAFE_INTEGER),
    enqueuedAt: whole(raw, "enqueuedAt", TIME_MAX),
    startedAt: whole(raw, "startedAt", TIME_MAX),
    replyTo: optional(raw, "replyTo", checkKey),
    trace: optional(raw, "trace", checkTrace),
    argsText,
  };
}

function checkTrace(value: unknown): string | undefined {
  return checkText("a trace", value, TRACE_BYTES_MAX);
}

function text(raw: Raw, field: string, check: (value: unknown) => string | undefined): string {
  const value = raw[field];
  const problem = check(value);
  if (problem !== undefined) throw new Refused(`header field ${field}: ${problem}`);
  return value as string;
}

function optional(
  raw: Raw,
  field: string,
  check: (value: unknown) => string | undefined,
): string | undefined {
  return raw[field] === undefined ? undefined : text(raw, field, check);
}

/** `+ 0` makes a minus zero plain. */
function whole(raw: Raw, field: string, most: number): number {
  const value = raw[field];
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= most)
    return value + 0;
  throw new Refused(`header field ${field}: expected a whole number from 0 to ${most}, got ${shown(value)}`);
}

function levels(value: unknown): readonly number[] | undefined {
  if (value === undefined) return undefined;
  const problem = levelsProblem(value);
  if (problem !== undefined) throw new Refused(`header field levels: ${problem}`);
  return value as readonly number[];
}

function history(value: unknown): readonly HistoryEntry[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw new Refused(`header field history: expected a list, got ${shown(value)}`);
  if (value.length > HISTORY_ENTRIES_MAX) {
    throw new Refused(`header field history: at most ${HISTORY_ENTRIES_MAX} entries, got ${value.length}`);
  }
  const entries = value.map(historyEntry);
  if (historyBytes(entries) > HISTORY_BYTES_MAX) {
    throw new Refused(`header field history: more than ${HISTORY_BYTES_MAX} bytes`);
  }
  return entries;
}

function historyEntry(value: unknown): HistoryEntry {
  if (typeof value !== "object" || value === null) {
    throw new Refused(`header field history: expected objects, got ${shown(value)}`);
  }
  const raw = value as Raw;
  const { kind, message, stack } = raw;
  if (!KINDS.has(kind)) throw new Refused(`header field history: unknown kind ${shown(kind)}`);
  if (typeof message !== "string") throw new Refused(`header field history: message is ${shown(message)}`);
  if (stack !== undefined && typeof stack !== "string") {
    throw new Refused(`header field history: stack is ${shown(stack)}`);
  }
  const entry = {
    attempt: whole(raw, "attempt", COUNT_MAX),
    at: whole(raw, "at", TIME_MAX),
    kind: kind as FailureKind,
    message,
  };
  return stack === undefined ? entry : { ...entry, stack };
}

const QUOTE = 34;
const BACKSLASH = 92;
const COLON = 58;

/** Members of the outermost object of a valid JSON text, doubled names included: its colons outside of strings. */
function membersIn(json: string): number {
  let members = 0;
  let depth = 0;
  for (let i = 0; i < json.length; i++) {
    const code = json.charCodeAt(i);
    if (code === QUOTE) i = endOfString(json, i);
    else if (code === COLON && depth === 1) members++;
    else if (code === 123 /* { */ || code === 91 /* [ */) depth++;
    else if (code === 125 /* } */ || code === 93 /* ] */) depth--;
  }
  return members;
}

/** The index of the quote that ends the string which begins at `start`. */
function endOfString(json: string, start: number): number {
  let i = start + 1;
  while (json.charCodeAt(i) !== QUOTE) i += json.charCodeAt(i) === BACKSLASH ? 2 : 1;
  return i;
}
