/**
 * The end of a run: every count as it was expected and as it was seen, as a table and as one JSON object.
 */
import { hungIn } from "./notes.mjs";
import { expectedOf } from "./plan.mjs";
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
  const dead = new Set(run.buried.map(({ id }) => id));
  const completed = [...byId.values()].filter(({ id }) => !dead.has(id));
  const attempts = [...completed, ...run.buried].reduce((sum, { attempt }) => sum + attempt, 0);
  const killed = run.buried.filter(({ error }) => error.kind === "timeout");
  return {
    submitted: ledger.confirmed.size,
    completed: completed.length,
    retried: attempts,
    killed: killed.length,
    buried: dead.size,
    duplicatesRefused: ledger.refused,
    overlaps: ledger.overlaps(),
    lost: [...ledger.confirmed].filter((id) => !byId.has(id) && !dead.has(id)).length,
    repeated,
    hungIn: hungIn(killed[0]?.error.report),
    bytes: completed.reduce((sum, { bytes = 0 }) => sum + bytes, 0),
    packed: completed.reduce((sum, { packed = 0 }) => sum + packed, 0),
  };
}

/** The names of what did not come out as expected. */
export function mismatches(seen, fileCount) {
  const expected = expectedOf(fileCount);
  return Object.keys(expected).filter((name) => seen[name] !== expected[name]);
}

export function tableOf(screen, seen, fileCount) {
  const expected = expectedOf(fileCount);
  const lines = ROWS.map(([name, meaning]) => {
    const good = seen[name] === expected[name];
    const mark = good ? screen.paint("green", "✓") : screen.paint("red", "✗");
    const numbers = `${count(expected[name]).padStart(10)} ${count(seen[name]).padStart(10)}`;
    return `  ${name.padEnd(18)}${numbers}  ${mark}  ${screen.paint("dim", meaning)}`;
  });
  const head = `  ${"".padEnd(18)}${"expected".padStart(10)} ${"seen".padStart(10)}`;
  return [screen.paint("dim", head), ...lines].join("\n");
}

export function summary(run, seen, fileCount) {
  const mib = (bytes) => `${count(Math.round(bytes / 1_048_576))} MiB`;
  const share = seen.bytes === 0 ? 0 : Math.round((seen.packed * 100) / seen.bytes);
  const again =
    seen.repeated === 0
      ? ""
      : `\n  ${count(seen.repeated)} had started before the kill and ran again: at least once is the promise.`;
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
