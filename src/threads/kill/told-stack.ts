/**
 * The stack that a thread tells by itself, as its host has left a way for that (`host/stack.ts`).
 *
 * Owns nothing. Half a millisecond of a thread's time, where the debugger takes twenty and pauses it. What comes back was
 * written beside a body, which may have done anything to its thread: no answer is taken for granted.
 */
import type { Frame } from "../../jobs/failure.ts";
import { STACK_KEY, type ToldFrame } from "../wire.ts";
import type { InspectorMessage } from "./inspector.ts";
import { mapFrame, sourceMapUrlOf } from "./source-map.ts";

/** The host's own frames lie below the body's: they and what is under them say nothing. */
export const HOST_FRAME = /threads\/host\/(host|body|entry)\.c?[jt]s$/;
/** What runs of a file that was written in TypeScript is not what lies on the disk. */
const TYPESCRIPT = /\.[cm]?tsx?(?:\?|$)/;
export const MOST_FRAMES = 32;

/** The command; its answer is for `framesTold`. */
export const ASK_STACK = {
  expression: `globalThis[Symbol.for("${STACK_KEY}")]()`,
  returnByValue: true,
} as const;

/** `undefined`: it says nothing of a body, or only the debugger can say which lines those are. */
export function framesTold({ result }: InspectorMessage): readonly Frame[] | undefined {
  const { value } = (result as { result?: { value?: unknown } } | undefined)?.result ?? {};
  const told = typeof value === "string" ? read(value) : undefined;
  if (told === undefined) return undefined;
  const host = told.findIndex(([, script]) => HOST_FRAME.test(script ?? ""));
  // The function that was asked, and the question, which has no script.
  const bodys = told.slice(2, host === -1 ? undefined : host).filter(([, , line]) => line !== null);
  if (bodys.every(([, script]) => script?.startsWith("node:") ?? true)) return undefined;
  if (bodys.some(([, script]) => TYPESCRIPT.test(script ?? ""))) return undefined;
  const maps = new Map<string, string>(); // a recursion is many frames of one file
  return bodys.slice(0, MOST_FRAMES).map(([name, script, line, column]) => {
    const url = script ?? "";
    const sourceMapUrl = maps.get(url) ?? sourceMapUrlOf(url);
    maps.set(url, sourceMapUrl);
    return mapFrame({
      function: name ?? "",
      url,
      sourceMapUrl,
      line: (line ?? 1) - 1,
      column: (column ?? 1) - 1,
    });
  });
}

function read(text: string): ToldFrame[] | undefined {
  try {
    const frames: unknown = JSON.parse(text);
    return Array.isArray(frames) && frames.every(isFrame) ? frames : undefined;
  } catch {
    return undefined;
  }
}

function isFrame(frame: unknown): frame is ToldFrame {
  if (!Array.isArray(frame) || frame.length !== 4) return false;
  const [name, script, line, column] = frame as unknown[];
  const isText = (one: unknown) => one === null || typeof one === "string";
  const isPlace = (one: unknown) => one === null || Number.isSafeInteger(one);
  return isText(name) && isText(script) && isPlace(line) && isPlace(column);
}
