/**
 * What came out: a line a job with its time on a scale, every count as expected and as seen, and the outage in seconds.
 */
import { seconds } from "./screen.mjs";

const CELLS = { none: " ", runs: "━", away: "╍", twice: "‼" };

/** Counted from what the bodies wrote down. */
export function resultOf(stage, runs) {
  const { options, ids, nodes, left, outage } = stage;
  const jobs = ids.map((id) => jobOf(id, runs.get(id) ?? [], nodes));
  const nameOf = [...nodes.values()];
  return {
    jobs: ids.length,
    seconds: options.seconds,
    ranOnce: jobs.filter(({ starts, endedAt }) => starts === 1 && endedAt !== undefined).length,
    doubled: jobs.filter(({ starts }) => starts > 1).length,
    lost: jobs.filter(({ endedAt }) => endedAt === undefined).length,
    left,
    attempts: jobs.reduce((sum, { attempt }) => sum + (attempt ?? 0), 0),
    nodes: Object.fromEntries(nameOf.map((name) => [name, jobs.filter(({ node }) => node === name).length])),
    outage: outage === undefined ? null : outageOf(outage, jobs, options),
    perJob: jobs,
  };
}

function jobOf(id, runs, nodes) {
  const [first] = runs;
  return {
    id,
    node: nodes.get(first?.pid),
    starts: runs.length,
    attempt: runs.at(-1)?.attempt,
    startedAt: first?.startedAt,
    endedAt: runs.find(({ endedAt }) => endedAt !== undefined)?.endedAt,
    again: runs.slice(1).map(({ pid, startedAt, endedAt }) => ({ node: nodes.get(pid), startedAt, endedAt })),
  };
}

/** In milliseconds; `stoodStill`: nothing could be enqueued, started or settled. */
function outageOf({ failedAt, mendedAt, resumedAt, lost, back }, jobs, { restart }) {
  const over = (from) => (resumedAt === undefined ? null : Math.max(0, resumedAt - from));
  const cutOff = [...lost].map(([name, at]) => [name, back.has(name) ? back.get(name) - at : null]);
  const lasted = jobs.map(({ startedAt, endedAt }) => endedAt - startedAt).filter((ms) => !Number.isNaN(ms));
  return {
    what: restart === "one" ? "one of three stopped" : "SIGKILL",
    failedAt,
    mendedAt,
    awayMs: mendedAt - failedAt,
    stoodStillMs: over(failedAt),
    resumedAfterMs: over(mendedAt),
    cutOffMs: Object.fromEntries(cutOff),
    slowestBodyMs: Math.max(0, ...lasted),
    runningThen: jobs.filter(({ startedAt, endedAt }) => startedAt < failedAt && !(endedAt < failedAt))
      .length,
    endedMeanwhile: jobs.filter(({ endedAt }) => endedAt > failedAt && endedAt < mendedAt).length,
  };
}

export function isGood({ jobs, ranOnce, doubled, lost, left }) {
  return ranOnce === jobs && doubled === 0 && lost === 0 && left === 0;
}

/** A line a job: who ran it, how often it started, and when. */
export function jobTable(screen, result) {
  const { perJob, outage } = result;
  const times = perJob.flatMap(({ startedAt, endedAt, again }) => [
    startedAt,
    endedAt,
    ...again.map((one) => one.endedAt),
  ]);
  const known = [...times, outage?.failedAt, outage?.mendedAt].filter((at) => at !== undefined);
  const [from, to] = [Math.min(...known), Math.max(...known)];
  const width = screen.columns - 34;
  const cellAt = (at) => Math.min(width - 1, Math.floor(((at - from) / Math.max(1, to - from)) * width));
  const scale = scaleOf(outage, cellAt, width, to - from);
  const lines = perJob.map((job) => {
    const bar = barOf(job, outage, { from, to, width });
    const text = `  ${job.id.padEnd(4)} ${(job.node ?? "nobody").padEnd(8)} ${String(job.starts).padStart(6)} ${String(job.attempt ?? "—").padStart(8)}   `;
    return (text + screen.paint(job.starts === 1 ? "cyan" : "red", bar)).trimEnd();
  });
  const head = screen.paint("dim", `  job  node     starts  attempt   ${scale}`);
  return [head, ...lines, ...legendOf(screen, outage, from)].join("\n");
}

function legendOf(screen, outage, from) {
  if (outage === null) return [];
  const at = (moment) => seconds(moment - from).trim();
  const [gone, back] =
    outage.awayMs > 0
      ? [`▼ killed at ${at(outage.failedAt)}`, `, ▲ back at ${at(outage.mendedAt)};  ╍ runs without a broker`]
      : [`▼ one of three stopped at ${at(outage.failedAt)}`, ""];
  return ["", `  ${screen.paint("dim", `${gone}${back}`)}`];
}

/** Where the outage begins and ends, and the seconds at both ends where there is room for them. */
function scaleOf(outage, cellAt, width, ms) {
  const line = Array.from({ length: width }, () => " ");
  const free = (at, text) =>
    line.slice(Math.max(0, at - 1), at + text.length + 1).every((cell) => cell === " ");
  if (outage !== null) {
    line[cellAt(outage.failedAt)] = "▼";
    if (outage.awayMs > 0) line[cellAt(outage.mendedAt)] = "▲";
  }
  const end = seconds(ms).trim();
  for (const [at, text] of [
    [0, "0 s"],
    [width - end.length, end],
  ])
    if (free(at, text)) line.splice(at, text.length, ...text);
  return line.join("").trimEnd();
}

function barOf({ startedAt, endedAt, again }, outage, { from, to, width }) {
  const runs = [{ startedAt, endedAt }, ...again];
  return Array.from({ length: width }, (_, cell) => {
    const at = from + ((cell + 0.5) / width) * (to - from);
    const running = runs.filter((run) => run.startedAt <= at && at <= (run.endedAt ?? to)).length;
    if (running > 1) return CELLS.twice;
    if (running === 0) return CELLS.none;
    return outage !== null && at > outage.failedAt && at < outage.mendedAt ? CELLS.away : CELLS.runs;
  })
    .join("")
    .trimEnd();
}

const ROWS = [
  ["ran once", "ranOnce", ({ jobs }) => jobs, "bodies that started once and ended"],
  ["doubled", "doubled", () => 0, "a body started a second time"],
  ["lost", "lost", () => 0, "never ended"],
  ["left over", "left", () => 0, "still in the queue at the end"],
  ["attempts spent", "attempts", () => 0, "by failures; an outage is none"],
];

export function countTable(screen, result) {
  const lines = ROWS.map(([name, field, of, meaning]) => {
    const [expected, seen] = [of(result), result[field]];
    const mark = expected === seen ? screen.paint("green", "✓") : screen.paint("red", "✗");
    const numbers = `${String(expected).padStart(10)} ${String(seen).padStart(10)}`;
    return `  ${name.padEnd(18)}${numbers}  ${mark}  ${screen.paint("dim", meaning)}`;
  });
  const head = `  ${"".padEnd(18)}${"expected".padStart(10)} ${"seen".padStart(10)}`;
  return [screen.paint("dim", head), ...lines].join("\n");
}

const bodies = (count) => `${count} ${count === 1 ? "body" : "bodies"}`;

/** The outage in sentences. */
export function outageText({ outage, jobs, seconds: each }) {
  if (outage === null) return `  The broker was left alone; ${jobs} jobs were shared by two nodes.`;
  const s = (ms) => (ms === null ? "ever" : seconds(ms).trim());
  const cutOff = Object.entries(outage.cutOffMs).map(([name, ms]) => `${name} for ${s(ms)}`);
  const away = outage.awayMs > 0;
  const lines = [
    `${bodies(outage.runningThen)} ran when it happened, and went on: the slowest took ${s(outage.slowestBodyMs)} of ${each}.`,
    away
      ? `The broker was away for ${s(outage.awayMs)}; ${bodies(outage.endedMeanwhile)} ended in that time.`
      : "The two brokers that are left went on with all that stood in the queues.",
    `Cut off from it: ${cutOff.join(", ") || "nobody"}.`,
    `New work stood still for ${s(outage.stoodStillMs)}${away ? `, ${s(outage.resumedAfterMs)} of it after the broker was back` : ""}.`,
  ];
  return lines.map((line) => `  ${line}`).join("\n");
}
