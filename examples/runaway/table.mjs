/**
 * What is seen: each way as it ends, with its stack and the steps that ended it, and a line of each at the end.
 */
import { captureOf, ownFrames, placeOf } from "./verdict.mjs";

const NAME = 9;
const PLACE = 34;
const INDENT = " ".repeat(NAME + 4);

/** One that has just ended: what it did, the stack of where it hung, and how each step went. */
export function ending(screen, record) {
  const { job, does, steps } = record;
  const lines = [`  ${screen.paint("red", job.padEnd(NAME))}  ${screen.paint("bold", does)}`];
  const own = ownFrames(record);
  const width = Math.max(0, ...own.map((frame) => frame.function.length));
  for (const { function: name, file, line } of own)
    lines.push(`${INDENT}${name.padEnd(width)}  ${file}:${line}`);
  if (own.length === 0) lines.push(`${INDENT}${why(record)}`);
  const ladder = steps.map(({ step, ms }) => `${step} ${ms.toFixed(ms < 10 ? 1 : 0)}`);
  for (const part of [ladder.slice(0, 4), ladder.slice(4)])
    if (part.length > 0) lines.push(`${INDENT}${screen.paint("dim", `${part.join(", ")} ms`)}`);
  return `${lines.join("\n")}\n`;
}

/** Of one without a stack. */
function why(record) {
  if (record.kind === "crash") return `its process died of ${record.code}, and nothing else did`;
  if (record.children.length > 0)
    return `waited for its child: ${record.children.length} processes, which ended with it`;
  if (record.waits) return "no stack: nothing runs, it waits";
  return `no stack can be had: ${record.state ?? captureOf(record)}`;
}

export function table(screen, records, problems) {
  const head = `  ${"job".padEnd(NAME)}  ${"it hung in".padEnd(PLACE)} ${"ended as".padEnd(9)}${"after limit".padStart(12)}${"beside".padStart(8)}`;
  const rows = records.map((record) => {
    const { job, kind, lateMs, digests } = record;
    const good = !problems.some((problem) => problem.startsWith(`${job}:`));
    const mark = good ? screen.paint("green", "✓") : screen.paint("red", "✗");
    const late = lateMs === undefined ? "—" : `${lateMs} ms`;
    const others = String(digests ?? "—");
    const text = `${job.padEnd(NAME)}  ${placeOf(record).padEnd(PLACE)} ${String(kind).padEnd(9)}`;
    return `  ${text}${late.padStart(12)}${others.padStart(8)} ${mark}`;
  });
  return [screen.paint("dim", head), ...rows].join("\n");
}

/** The rest of the service, in sentences. */
export function beside({ digests, slowestMs, failed, loopMs, wedged }) {
  return [
    `  Beside them ${digests} jobs ended well and ${failed} failed; the slowest took ${slowestMs} ms.`,
    `  The service's own thread was never held up for more than ${Math.ceil(loopMs)} ms.`,
    `  ${wedged === 0 ? "No thread, no process and no job is left behind." : `${wedged} jobs hang in threads that nobody can end.`}`,
  ].join("\n");
}
