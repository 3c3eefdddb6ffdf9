/**
 * The end of a run: every count as it was expected and as it was seen, as a table and as one JSON object.
 */
import { hungIn } from "./notes.mjs";
import { count } from "./screen.mjs";

const ROWS = [
  ["submitted", "enqueued and confirmed"],
  ["completed", "ended well"],
  ["retried", "failed attempts, repeated"],
  ["killed", "bodies that did not return"],
  ["buried", "kept for people to look at"],
  ["duplicatesRefused", "second ones of a queue key"],
  ["overlaps", "of ten jobs with one execution key"],
  ["lost", "confirmed, and never ended"],
];

/** Counted from what was written down, not from what was heard: a kill between the two changes nothing. */
export function tally(run, ledger) {
  const { byId, repeated } = ledger.results();
  // One that was killed between its burial and its acknowledgement may lie there twice.
  const buried = new Map(run.buried.map((job) => [job.id, job]));
  const completed = [...byId.values()].filter(({ id }) => !buried.has(id));
  const attempts = [...completed, ...buried.values()].reduce((sum, { attempt }) => sum + attempt, 0);
  const killed = [...buried.values()].filter(({ error }) => error.kind === "timeout");
  return {
    submitted: ledger.confirmed.size,
    completed: completed.length,
    retried: attempts,
    killed: killed.length,
    buried: buried.size,
    duplicatesRefused: ledger.refused,
    overlaps: ledger.overlaps(),
    lost: [...ledger.confirmed].filter((id) => !byId.has(id) && !buried.has(id)).length,
    repeated: repeated + run.buried.length - buried.size,
    hungIn: hungIn(killed[0]?.error.report),
    bytes: completed.reduce((sum, { bytes = 0 }) => sum + bytes, 0),
    packed: completed.reduce((sum, { packed = 0 }) => sum + packed, 0),
  };
}

/** The names of what did not come out as expected. */
export function mismatches(seen, expected) {
  return Object.keys(expected).filter((name) => seen[name] !== expected[name]);
}

export function tableOf(screen, seen, expected) {
  const lines = ROWS.map(([name, meaning]) => {
    const [mark, numbers] = rowOf(screen, seen[name], expected[name]);
    return `  ${name.padEnd(18)}${numbers}  ${mark}  ${screen.paint("dim", meaning)}`;
  });
  const head = `  ${"".padEnd(18)}${"expected".padStart(10)} ${"seen".padStart(10)}`;
  return [screen.paint("dim", head), ...lines].join("\n");
}

function rowOf(screen, seen, expected) {
  const numbers = [expected, seen].map((number) => count(number).padStart(10)).join(" ");
  return [seen === expected ? screen.paint("green", "✓") : screen.paint("red", "✗"), numbers];
}

export function summary(run, seen, fileCount) {
  const mib = (bytes) => `${count(Math.round(bytes / 1_048_576))} MiB`;
  const share = seen.bytes === 0 ? 0 : Math.round((seen.packed * 100) / seen.bytes);
  const again =
    seen.repeated === 0
      ? ""
      : `\n  ${count(seen.repeated)} ran again, stored or started before a kill: at least once is the promise.`;
  return `  ${count(fileCount)} files, ${mib(seen.bytes)} read, ${mib(seen.packed)} packed (${share} %), in ${run.seconds.toFixed(1)} s: ${count(rateOf(run))} jobs a second.${again}`;
}

export function jsonOf(run, seen, broker, more = {}) {
  const { bytes: _bytes, packed: _packed, ...counts } = seen;
  return JSON.stringify({
    ...counts,
    seconds: run.seconds,
    jobsPerSecond: rateOf(run),
    broker,
    ...more,
  });
}

/** Of this run alone. */
function rateOf(run) {
  return Math.round((run.ended.size - run.endedBefore) / run.seconds);
}
