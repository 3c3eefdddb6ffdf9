/**
 * The wire format: two lines of JSON, a versioned header and the args.
 *
 * Owns both directions. The header is read strictly, the args line is not parsed here: it travels as text to the
 * thread, which finds out if it is no JSON. The decoder is total: any bytes at all give an envelope or a reason
 * that can be shown. Header fields that this version does not know are dropped; another `v` is refused.
 */
import { Envelope } from "./envelope.ts";
import { readHeader } from "./header.ts";

export const WIRE_VERSION = 1;
/** No valid header is longer: ids, keys, levels and history have limits. */
export const HEADER_BYTES_MAX = 64 * 1024;

export type Decoded =
  | { readonly ok: true; readonly envelope: Envelope }
  | { readonly ok: false; readonly reason: string };

/** BOMs are kept, so that one at the front is found (and refused) instead of being eaten. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const NEWLINE = 10;
/** Text that JSON quotes as it is; one test is cheaper than JSON.stringify. */
const UNESCAPED = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/**
 * The message for an envelope. Trusts it: envelopes come from `createJob`, from the decoder, or from `retry.ts`,
 * and all of those keep the rules.
 */
export function encodeEnvelope(e: Envelope): string {
  const head = `{"v":${WIRE_VERSION},"id":${quote(e.id)},${kindAndPlace(e)}`;
  const counts = `,"attempt":${e.attempt},"hop":${e.hop},"maxExecutionTime":${e.maxExecutionTimeMs},"enqueuedAt":${e.enqueuedAt},"startedAt":${e.startedAt}`;
  return `${head}${counts}${rareFields(e)}}\n${e.argsText}`;
}

/** Of the last job that was written: the same type and place mostly come again. */
let last = { job: "", partition: "", queue: "", text: `"job":"","partition":"","queue":""` };

function kindAndPlace({ job, partition, queue }: Envelope): string {
  if (job !== last.job || partition !== last.partition || queue !== last.queue) {
    const text = `"job":${quote(job)},"partition":${quote(partition)},"queue":${quote(queue)}`;
    last = { job, partition, queue, text };
  }
  return last.text;
}

/** What most jobs do not have is left out. */
function rareFields(e: Envelope): string {
  let text = "";
  if (e.queueKey !== undefined) text += `,"queueKey":${quote(e.queueKey)}`;
  if (e.executionKey !== undefined) text += `,"executionKey":${quote(e.executionKey)}`;
  if (e.levels !== undefined) text += `,"levels":${JSON.stringify(e.levels)}`;
  if (e.history.length > 0) text += `,"history":${JSON.stringify(e.history)}`;
  if (e.replyTo !== undefined) text += `,"replyTo":${quote(e.replyTo)}`;
  if (e.trace !== undefined) text += `,"trace":${quote(e.trace)}`;
  return text;
}

function quote(text: string): string {
  return UNESCAPED.test(text) ? `"${text}"` : JSON.stringify(text);
}

/** Never throws. A reason is one sentence without line breaks; the bytes themselves stay with the caller. */
export function decodeEnvelope(input: string | Uint8Array): Decoded {
  const lines = typeof input === "string" ? linesOfText(input) : linesOfBytes(input);
  if (typeof lines === "string") return { ok: false, reason: lines };
  const fields = readHeader(lines.header, lines.argsText);
  return typeof fields === "string"
    ? { ok: false, reason: fields }
    : { ok: true, envelope: new Envelope(fields) };
}

type Lines = { readonly header: string; readonly argsText: string } | string;

const NO_NEWLINE = "not two lines: no line break after a header";
const THIRD_LINE = "not two lines: a line break within or after the args";
const NO_ARGS = "the second line (args) is empty";
const LONG_HEADER = `the header is longer than ${HEADER_BYTES_MAX} bytes`;
const NOT_UTF8 = "not valid UTF-8";

function linesOfBytes(bytes: Uint8Array): Lines {
  const end = bytes.indexOf(NEWLINE);
  if (end < 0) return NO_NEWLINE;
  if (end > HEADER_BYTES_MAX) return LONG_HEADER;
  if (end === bytes.length - 1) return NO_ARGS;
  if (bytes.indexOf(NEWLINE, end + 1) >= 0) return THIRD_LINE;
  try {
    return { header: utf8.decode(bytes.subarray(0, end)), argsText: utf8.decode(bytes.subarray(end + 1)) };
  } catch {
    return NOT_UTF8;
  }
}

function linesOfText(text: string): Lines {
  const end = text.indexOf("\n");
  if (end < 0) return NO_NEWLINE;
  if (end > HEADER_BYTES_MAX) return LONG_HEADER;
  if (end === text.length - 1) return NO_ARGS;
  if (text.indexOf("\n", end + 1) >= 0) return THIRD_LINE;
  if (!isWellFormed(text)) return NOT_UTF8;
  return { header: text.slice(0, end), argsText: text.slice(end + 1) };
}

/** Node 20 has it, the es2023 library does not declare it. */
function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}
