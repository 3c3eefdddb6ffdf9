/**
 * The budget of a job, from profiles: stages down, nodes across, with what each takes of the main thread and of the heap.
 *
 * Owns nothing but the two marks in a file between which it writes. The microseconds of a row are its share of the CPU profile,
 * of the sum that the scheduler counted without a profiler; so rows add up to it. What rounds to nothing is a dash.
 */
import { clip } from "../report/svg.ts";
import { aligned } from "../report/terminal.ts";
import { type Frame, total } from "./frames.ts";
import { byStage, STAGES, staged, unnamed } from "./stages.ts";

export interface Measured {
  readonly jobs: number;
  /** Microseconds of the main thread a job, with no profiler. */
  readonly us: number;
  /** The same under each of them. */
  readonly usUnderCpu: number;
  readonly usUnderHeap: number;
  /** In samples. */
  readonly cpu: Frame;
  /** In bytes, of all jobs. */
  readonly heap: Frame;
}

/** Of one node: a pair of columns. */
export interface Profiled {
  readonly name: string;
  readonly about: string;
  readonly measured: Measured;
}

export interface Share {
  readonly us: number;
  /** Of the main thread's time, up to 1. */
  readonly part: number;
  readonly bytes: number;
}

/** One for each stage, in their order. */
export function shares({ cpu, heap, jobs, us }: Measured): Share[] {
  const samples = byStage(staged(cpu));
  const bytes = byStage(staged(heap));
  const all = total(cpu);
  return STAGES.map((stage) => {
    const part = all === 0 ? 0 : (samples.get(stage) ?? 0) / all;
    return { us: part * us, part, bytes: (bytes.get(stage) ?? 0) / jobs };
  });
}

const DASH = "–";
const usText = ({ us, part }: Share): string =>
  us < 0.005 ? DASH : `${us.toFixed(2)} · ${Math.round(part * 100)} %`;
const bytesText = (bytes: number): string => (bytes < 0.5 ? DASH : Math.round(bytes).toLocaleString("en-US"));

interface Cells {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly sums: readonly string[];
}

function cellsOf(all: readonly Profiled[], whereOf: (files: readonly string[]) => string): Cells {
  const columns = all.map(({ measured }) => shares(measured));
  const rows = STAGES.flatMap(({ name, files }, row) => {
    const cells = columns.flatMap((column) => {
      const share = column[row];
      return share === undefined ? [] : [usText(share), bytesText(share.bytes)];
    });
    return cells.every((cell) => cell === DASH) ? [] : [[name, ...cells, whereOf(files)]];
  });
  return {
    head: ["stage", ...all.flatMap(({ name }) => [`${name}: µs a job`, "bytes"]), "where"],
    rows,
    sums: all.flatMap(({ measured: { us, heap, jobs } }) => [us.toFixed(2), bytesText(total(heap) / jobs)]),
  };
}

/** A folder, a file, or all that begin so. */
const short = (path: string): string => path.replace(/^src\//, "").replace(/\/(\w+)$/, "/$1*");
const MOST_OF_PATHS = 72;

export function budgetOnTerminal(all: readonly Profiled[]): string {
  const { head, rows, sums } = cellsOf(all, (files) => clip(files.map(short).join(" "), MOST_OF_PATHS));
  const right = new Set(sums.map((_, i) => i + 1));
  const [first = "", ...rest] = aligned([head, ...rows, ["sum", ...sums]], right);
  return [first, "-".repeat(first.length), ...rest, "", ...all.flatMap(besides)].join("\n");
}

const MOST_FILES = 6;

/** What the table leaves open: the price of profiling, and the files of *all else*. */
function besides({ name, measured }: Profiled): string[] {
  const { us, usUnderCpu, usUnderHeap, cpu, heap, jobs } = measured;
  const perSample = us / Math.max(1, total(cpu));
  const slow = unnamed(staged(cpu)).map(
    ([file, samples]) => `${file} ${(samples * perSample).toFixed(2)} µs`,
  );
  const large = unnamed(staged(heap)).map(([file, bytes]) => `${file} ${bytesText(bytes / jobs)} bytes`);
  const some = (files: readonly string[]) => files.slice(0, MOST_FILES).join(", ") || "nothing";
  return [
    `${name}: ${jobs.toLocaleString("en-US")} jobs a pass, ${total(cpu).toLocaleString("en-US")} samples; ` +
      `${us.toFixed(1)} µs a job, ${usUnderCpu.toFixed(1)} under the CPU profiler, ${usUnderHeap.toFixed(1)} under the heap's`,
    `  all else: ${some(slow)}; ${some(large)}`,
  ];
}

export interface Facts {
  readonly date: string;
  readonly machine: string;
  readonly version: string;
  readonly load: number;
}

/** Above this the CPU's caches are fought over: a sum is no longer the machine's own. */
const BUSY = 0.5;

/** `pictures`: links, each with what it shows. */
export function budgetInMarkdown(
  all: readonly Profiled[],
  { date, machine, version, load }: Facts,
  pictures: readonly string[],
): string {
  const { head, rows, sums } = cellsOf(all, (files) => files.map((path) => `\`${short(path)}\``).join(", "));
  const about = all.map(({ name, about }) => `*${name}*: ${about}`);
  const busy = load > BUSY ? " The machine was busy: shares count here, sums do not." : "";
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    `${about.join("; ")}. ${date}, Node.js ${version}, ${machine}, load before it ${load.toFixed(1)} a core.${busy}`,
    [
      line(head),
      `|${head.map((_, i) => (i > 0 && i < head.length - 1 ? "--:" : "---")).join("|")}|`,
      ...rows.map(line),
      line(["**sum**", ...sums.map((sum) => `**${sum}**`), ""]),
    ].join("\n"),
    ...pictures,
  ].join("\n\n");
}

export const FROM = "<!-- profile: from here on written by npm run bench -- profile --into -->";
export const TO = "<!-- profile: to here -->";

/** `text` with `part` between its two marks; `undefined` when it does not have both. */
export function between(text: string, part: string): string | undefined {
  const from = text.indexOf(FROM);
  const to = text.indexOf(TO, from);
  if (from === -1 || to === -1) return undefined;
  return `${text.slice(0, from + FROM.length)}\n\n${part}\n\n${text.slice(to)}`;
}
