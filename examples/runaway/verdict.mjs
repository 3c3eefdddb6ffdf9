/**
 * What is known of one run, as plain data, and what is wrong with it. Nothing here is taken on trust: a child process is
 * looked for, and the daily work is counted between the start of the body and its end.
 */
import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { LIMIT_MS } from "./ways.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));

/** `digests`: all that have ended so far. */
export async function recordOf(way, { error, report, startedAt, endedAt }, digests) {
  const during = digests.filter(({ askedAt, endedAt: at }) => askedAt >= startedAt && at <= endedAt);
  return {
    job: way.job,
    does: way.does,
    kind: error?.kind,
    code: error?.failure?.code,
    lateMs: way.kind === "timeout" ? endedAt - startedAt - LIMIT_MS : undefined,
    frames: (report?.frames ?? []).map(frameOf),
    waits: way.waits === true,
    state: report?.state.doing,
    children: await Promise.all((report?.children ?? []).map(childOf)),
    steps: report?.steps ?? [],
    // One that crashes at once hangs nobody up.
    digests: way.kind === "timeout" ? during.length : undefined,
  };
}

/** Sentences; none when all is as it must be. */
export function problemsOf(way, record, withinMs) {
  const problems = [];
  const expect = (good, text) => good || problems.push(`${way.job}: ${text}`);
  expect(record.kind === way.kind, `it ended as ${record.kind}, not as ${way.kind}`);
  if (way.kind !== "timeout") return problems;
  expect(record.lateMs <= withinMs, `it was there ${record.lateMs} ms after its limit, ${withinMs} may be`);
  expect(record.lateMs >= 0, `it was ended ${-record.lateMs} ms before its limit`);
  expect(record.digests > 0, "no other job ended while it hung");
  if (way.hungIn !== undefined) {
    const [name, file] = way.hungIn;
    const [top] = record.frames;
    const isIt = top?.function === name && top.file === `jobs/${file}`;
    expect(isIt, `its stack does not begin in ${name} (jobs/${file}): ${captureOf(record)}`);
  }
  if (process.platform !== "linux") return problems;
  if (way.waits) expect(ownFrames(record).length === 0, "something of it ran while it should have waited");
  if (way.children) expect(record.children.length > 0, "the process that it waited for was not found");
  for (const { pid, gone } of record.children) expect(gone, `its child process ${pid} lives`);
  return problems;
}

/** Where it hung, in one line. */
export function placeOf(record) {
  const [top] = ownFrames(record);
  if (top !== undefined) return `${top.function} (${top.file}:${top.line})`;
  if (record.children.length > 0) return "a child process";
  if (record.waits) return "nothing: it waits";
  if (record.code !== undefined) return record.code;
  return `native code (${record.state ?? "unknown"})`;
}

/** Without Node's own: what lies below the body, or woke it. */
export const ownFrames = ({ frames }) => frames.filter(({ file }) => !file.startsWith("node:"));

export const captureOf = ({ steps }) =>
  steps.find(({ step }) => step === "capture")?.outcome ?? "it was not killed";

function frameOf({ function: name, file, line, column }) {
  return { function: name, file: file.startsWith(HERE) ? relative(HERE, file) : file, line, column };
}

/** Killed is not yet gone: on a busy machine it takes a moment. */
async function childOf(pid) {
  for (let looks = 0; looks < 40 && !isGone(pid); looks++) await wait(25);
  return { pid, gone: isGone(pid) };
}

/** A zombie is gone: whoever has inherited it has not looked yet. */
function isGone(pid) {
  try {
    return /\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return true;
  }
}
