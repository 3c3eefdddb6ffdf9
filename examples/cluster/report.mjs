/**
 * The ledger as a table: every count as expected and as seen; then the kill in sentences.
 */
import { seconds } from "../broker-restart/screen.mjs";

/** Name, what was seen, what was expected, what it means. */
const ROWS = [
  ["enqueued", (r) => r.enqueued, (r) => r.jobs + r.afterwards, "confirmed by the broker"],
  ["refused", (r) => r.refused, (r) => r.pairs - r.afterwards, "of two with one queue key, as DuplicateJob"],
  ["two of a queue key", (r) => r.atOnce, () => 0, "both accepted, and not one after the other"],
  ["ended", (r) => r.ended, (r) => r.enqueued, "bodies that wrote down their end"],
  ["lost", (r) => r.lost, () => 0, "confirmed, and never ended"],
  ["ran unasked", (r) => r.unasked, () => 0, "refused, and ran all the same"],
  ["ran twice", (r) => r.doubled, () => 0, "without having been on the killed node"],
  ["overlaps", (r) => r.overlaps.length, () => 0, "two of one execution key at once"],
  ["buried", (r) => r.buried, () => 0, "no body fails here"],
  ["left over", (r) => r.left, () => 0, "still in the queue at the end"],
];

export function isGood(result) {
  return ROWS.every(([, seen, expected]) => seen(result) === expected(result)) && wasKilled(result);
}

/** Without it nothing has been shown. */
const wasKilled = ({ kill }) => kill !== null && kill.cutUnderKey > 0;

export function countTable(screen, result) {
  const lines = ROWS.map(([name, seenOf, expectedOf, meaning]) => {
    const [seen, expected] = [seenOf(result), expectedOf(result)];
    return rowOf(screen, [name, expected, seen, meaning], seen === expected);
  });
  const cut = result.kill?.cutUnderKey ?? 0;
  const last = ["cut off under a key", "≥ 1", cut, "ran on the killed node at that moment"];
  const head = `  ${"".padEnd(20)}${"expected".padStart(10)} ${"seen".padStart(10)}`;
  return [screen.paint("dim", head), ...lines, rowOf(screen, last, cut > 0)].join("\n");
}

function rowOf(screen, [name, expected, seen, meaning], isRight) {
  const mark = isRight ? screen.paint("green", "✓") : screen.paint("red", "✗");
  const numbers = `${String(expected).padStart(10)} ${String(seen).padStart(10)}`;
  return `  ${name.padEnd(20)}${numbers}  ${mark}  ${screen.paint("dim", meaning)}`;
}

/** The kill in sentences, and what is allowed and was seen. */
export function killText(result) {
  const { kill, ranAgain, endedTwice, afterwards, perNode, keyedRuns, keys } = result;
  const share = Object.entries(perNode).map(([name, count]) => `${count} on ${name}`);
  const lines = [`Bodies: ${share.join(", ")}; ${keyedRuns} under ${keys} keys.`];
  if (kill === null) return `  ${lines[0]}\n  Nobody was killed: no long job ran on the coordinator's node.`;
  const s = (ms) => (ms === null ? "never" : seconds(ms).trim());
  lines.push(
    `${kill.node} was killed as the coordinator, with ${kill.cut} ${kill.cut === 1 ? "body" : "bodies"}; ${kill.next ?? "nobody"} followed after ${s(kill.electedMs)}.`,
    "The longest pause around that moment:",
    `  ${s(kill.callsStoodStillMs)} between two answers of the coordinator; its slowest took ${s(kill.slowestCallMs)}`,
    `  ${s(kill.keysStoodStillMs)} between two starts under execution keys, which the dead node may have held`,
    `  ${s(kill.othersStoodStillMs)} between two starts of other jobs`,
    `Of the killed node's jobs ${ranAgain} ran again on another, ${endedTwice} of them had ended: at least once.`,
  );
  if (afterwards > 0)
    lines.push(`${afterwards} second ones of a queue key were accepted, when the first had ended.`);
  return lines.map((line) => `  ${line}`).join("\n");
}

/** Who met whom, for whoever has to find out why. */
export function overlapText(screen, { overlaps }, { names }) {
  const text = ({ id, pid, startedAt, until }) =>
    `job ${id} on ${names.get(pid)} (${pid}) from ${startedAt.toFixed(1)} to ${until.toFixed(1)}`;
  return overlaps
    .map(({ first, second }) => screen.paint("red", `  ${first.key}: ${text(first)}, ${text(second)}`))
    .join("\n");
}
