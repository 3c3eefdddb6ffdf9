/**
 * Powerhose's words: what a worker says to the master and what it is told, each as one text in one ZeroMQ frame.
 *
 * Owns both historic dialects. `:::` is the seed document's: `JOB id data`, answered by `JOBRES id result`; `*****` came a
 * month later, and its job is one part with headers. Pure, and total: any bytes give something. `docs/gateways.md` has
 * the table, and the few words that Spillway's own workers have beside it.
 */

export const SEPARATORS = [":::", "*****"] as const;
export type Separator = (typeof SEPARATORS)[number];

/** Before a request's own words, where the original did not look. */
const OWN = "SPILLWAY";

/** Who pings. */
export interface Caller {
  readonly workpoint: string;
  readonly separator: Separator;
  /** It is one of Spillway's own: it sees its connection end, and tells errors from results. */
  readonly extended: boolean;
  /** The word of a process that `Workers` has started. */
  readonly process: string | undefined;
}

export type Request =
  | { readonly t: "ping"; readonly caller: Caller }
  | { readonly t: "remove"; readonly workpoint: string; readonly separator: Separator };

/** What a worker says of a body that failed. */
export interface Failed {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly final: boolean;
}

export type Answer =
  | { readonly t: "result"; readonly text: string }
  | { readonly t: "failed"; readonly failure: Failed }
  /** To be run later, with no attempt spent. */
  | { readonly t: "snoozed"; readonly delayMs: number }
  /** No answer to what was asked: nothing can be known of who says so. */
  | { readonly t: "broken"; readonly why: string };

/** The parts in one text; undefined if they would be read otherwise than they were written. */
export function join(separator: Separator, ...parts: readonly string[]): string | undefined {
  const text = parts.join(separator);
  const read = text.split(separator);
  return read.length === parts.length && read.every((part, n) => part === parts[n]) ? text : undefined;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** One frame of text; all else is undefined. */
export function textOf(frames: readonly Uint8Array[]): string | undefined {
  const [frame] = frames;
  if (frame === undefined || frames.length > 1) return undefined;
  try {
    return utf8.decode(frame);
  } catch {
    return undefined;
  }
}

/** As the original: its last two parts count, whatever stands before them. */
export function readRequest(frames: readonly Uint8Array[]): Request | undefined {
  const text = textOf(frames);
  if (text === undefined) return undefined;
  for (const separator of SEPARATORS) {
    const parts = text.split(separator);
    const workpoint = parts.at(-1) ?? "";
    const word = parts.at(-2);
    if (word === "REMOVE") return { t: "remove", workpoint, separator };
    if (word !== "PING") continue;
    const extended = parts.at(-4) === OWN;
    const named = extended && parts.at(-3) !== "";
    return {
      t: "ping",
      caller: { workpoint, separator, extended, process: named ? parts.at(-3) : undefined },
    };
  }
  return undefined;
}

export const ERROR = "ERROR";
export const REMOVED = "REMOVED";

/** The original's workers want this word and no more. */
export function pong({ extended, separator }: Caller): string {
  return extended ? `PONG${separator}${OWN}` : "PONG";
}

/** What one of Spillway's own workers says; a master of the original sees a `PING` or `REMOVE` like any. */
export function request(word: "PING" | "REMOVE", separator: Separator, workpoint: string): string {
  return [OWN, process.env.SPILLWAY_WORKER ?? "", word, workpoint].join(separator);
}

export type Pong = "master" | "spillway" | "no";

export function readPong(frames: readonly Uint8Array[], separator: Separator): Pong {
  const text = textOf(frames);
  if (text === "PONG") return "master";
  return text === `PONG${separator}${OWN}` ? "spillway" : "no";
}

/** A job as it goes out; undefined if a part of it holds the separator. */
export function jobText(separator: Separator, id: string, data: string): string | undefined {
  return separator === ":::"
    ? join(separator, "JOB", id, data)
    : join(separator, "JOB", `${headers(id)}:::${data}`);
}

/** The later dialect's job has its id among its headers, where that can be written. */
function headers(id: string): string {
  return /^[^\s:\\]+$/.test(id) ? `id:${id}` : "NONE";
}

/** What a worker is asked to do. */
export interface Ordered {
  readonly id: string;
  readonly data: string;
  /** What its answer repeats. */
  readonly echo: string;
}

/** The other way: a job as a worker reads it; undefined for all that is none. */
export function readJob(frames: readonly Uint8Array[], separator: Separator): Ordered | undefined {
  const [word, first, second, ...more] = textOf(frames)?.split(separator) ?? [];
  if (word !== "JOB" || first === undefined || more.length > 0) return undefined;
  if (second !== undefined) return { id: first, data: second, echo: first };
  const at = first.indexOf(":::");
  if (separator === ":::" || at === -1) return undefined;
  const [, id = ""] = /(?:^|::)id:([^:]+)(?:::|$)/.exec(first.slice(0, at)) ?? [];
  return { id, data: first.slice(at + 3), echo: first };
}

/** libhose, the original's workers in C++, did not repeat the id. */
export function readAnswer(
  frames: readonly Uint8Array[],
  { separator, extended }: Caller,
  id: string,
  data: string,
): Answer {
  const text = textOf(frames);
  if (text === undefined) return { t: "broken", why: "its answer is not one frame of UTF-8" };
  const [word, ...parts] = text.split(separator);
  const last = parts.at(-1);
  const known = word === "JOBRES" || (extended && word === "JOBERR");
  if (!known || last === undefined || parts.length > 2)
    return { t: "broken", why: `its answer is none: ${text.slice(0, 80)}` };
  const echo = separator === ":::" ? id : `${headers(id)}:::${data}`;
  if (parts.length === 2 && parts[0] !== echo) return { t: "broken", why: "it answered another job" };
  if (word === "JOBRES") return { t: "result", text: last };
  return errorOf(last);
}

/** What was sent last is read with care: it came from outside. */
function errorOf(text: string): Answer {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    given = undefined;
  }
  const error = (typeof given === "object" && given !== null ? given : { message: text }) as {
    readonly [field: string]: unknown;
  };
  const { name, message, stack, final, snooze } = error;
  if (Number.isSafeInteger(snooze) && Number(snooze) >= 0) return { t: "snoozed", delayMs: Number(snooze) };
  const failure: Failed = {
    name: typeof name === "string" && name !== "" ? name : "Error",
    message: typeof message === "string" ? message : "the worker said that it failed, and not why",
    stack: typeof stack === "string" ? stack : undefined,
    final: final === true,
  };
  return { t: "failed", failure };
}

/** JSON has another way to write what a text may not hold; outside its strings no separator can stand. */
export function jsonWithout(separator: Separator, json: string): string {
  const escaped = [...separator].map((char) => `\\u00${char.charCodeAt(0).toString(16)}`).join("");
  return json.replaceAll(separator, escaped);
}
