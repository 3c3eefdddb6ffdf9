/**
 * Runs ours and the baseline in turn, A B A B, and makes rows of it.
 *
 * Owns the rows and the list of failed checks. A pair of runs lies close together in time, so what else the machine
 * does hits both: each round gives one ratio, a row shows their median and range. A check that fails (a job that
 * ran twice, or never) fails the whole run; a goal that is missed does not, since machines are noisy.
 */
import type { Curve, Row } from "../report/rows.ts";
import type { Settings } from "./settings.ts";
import type { LeftOut } from "./suite.ts";

/** One run of one side. */
export interface Sample {
  readonly value: number;
  /** Microseconds of the main thread for each job. */
  readonly mainUs?: number;
  /** Jobs shown to have run exactly once. */
  readonly checked: number;
}

export interface Side {
  readonly name: string;
  run(): Promise<Sample>;
}

export interface Duel {
  readonly case: string;
  readonly metric: string;
  readonly unit: string;
  readonly ours: () => Promise<Sample>;
  readonly baseline: Side | undefined;
  /** The least ratio wanted. */
  readonly goal?: number;
  /** The least value wanted; then the ratio is shown, not judged. */
  readonly leastValue?: number;
  /** The most of the main thread's microseconds a job wanted; a row of its own when the samples have them. */
  readonly mainGoalUs?: number;
  readonly note?: string;
  readonly curve?: Curve;
  /** Runs of each side that do not count, before the others; 1. */
  readonly warmUps?: number;
}

/** What a suite gets. */
export class Bench {
  readonly rows: Row[] = [];
  readonly failed: string[] = [];
  readonly leftOut: LeftOut[] = [];
  readonly settings: Settings;
  readonly #suite: string;
  readonly #say: (line: string) => void;

  constructor(suite: string, settings: Settings, say: (line: string) => void) {
    this.#suite = suite;
    this.settings = settings;
    this.#say = say;
  }

  /** A line about what goes on. */
  say(line: string): void {
    this.#say(`${this.#suite}: ${line}`);
  }

  /** Remembers what is not as it must be; the run then ends with exit code 1. */
  check(what: string, expected: number, actual: number): void {
    if (expected !== actual) this.failed.push(`${this.#suite}: ${what}: expected ${expected}, got ${actual}`);
  }

  /** What this machine lacks, so that some rows are not measured; the run says it again at its end. */
  leaveOut(rows: string, how: string): void {
    this.leftOut.push({ what: `${this.#suite}, ${rows}`, how });
    this.say(`${rows} are left out: ${how}`);
  }

  add(row: Omit<Row, "suite">): void {
    this.rows.push({ suite: this.#suite, ...row });
  }

  /** Rows of a value in its own unit, with the most that is wanted. */
  atMost(row: Pick<Row, "case" | "metric" | "unit" | "checked"> & Limit): void {
    const { values, goal, baseline } = row;
    const value = median(values);
    this.add({
      case: row.case,
      metric: row.metric,
      unit: row.unit,
      value,
      low: Math.min(...values),
      high: Math.max(...values),
      baseline: baseline ?? null,
      ratio: null,
      goal: goal ?? null,
      holds: goal === undefined ? null : value <= goal,
      rule: goal === undefined ? null : "value <= goal",
      checked: row.checked,
      ...extras(row),
    });
  }

  /** Rows of a value against a baseline's, round by round, with the most that the ratio may be. */
  within(row: Pick<Row, "case" | "metric" | "unit" | "checked"> & Within): void {
    const { ours, baseline, goal } = row;
    const ratios = ours.map((value, round) => value / (baseline.values[round] ?? Number.NaN));
    const ratio = median(ratios);
    this.add({
      case: row.case,
      metric: row.metric,
      unit: row.unit,
      value: median(ours),
      low: Math.min(...ratios),
      high: Math.max(...ratios),
      baseline: { name: baseline.name, value: median(baseline.values) },
      ratio,
      goal: goal ?? null,
      holds: goal === undefined ? null : ratio <= goal,
      rule: goal === undefined ? null : "ratio <= goal",
      checked: row.checked,
      ...extras(row),
    });
  }

  /** Both sides to warm up, then in turn. */
  async duel(asked: Duel): Promise<void> {
    const duel = this.settings.ours ? { ...asked, baseline: undefined } : asked;
    this.say(`${duel.case}, ${duel.metric}`);
    const ours: Sample[] = [];
    const theirs: Sample[] = [];
    for (let run = 0; run < (duel.warmUps ?? 1); run++) {
      await duel.ours();
      await duel.baseline?.run();
    }
    for (let round = 0; round < this.settings.rounds; round++) {
      ours.push(await duel.ours());
      if (duel.baseline !== undefined) theirs.push(await duel.baseline.run());
    }
    this.#compare(duel, ours, theirs);
    const mainUs = ours.flatMap((sample) => (sample.mainUs === undefined ? [] : [sample.mainUs]));
    if (mainUs.length === 0) return;
    const theirUs = theirs.flatMap((sample) => (sample.mainUs === undefined ? [] : [sample.mainUs]));
    this.atMost({
      case: duel.case,
      metric: "main thread a job",
      unit: "µs",
      values: mainUs,
      checked: sum(ours),
      ...(duel.mainGoalUs === undefined ? {} : { goal: duel.mainGoalUs }),
      ...(duel.baseline === undefined || theirUs.length === 0
        ? {}
        : { baseline: { name: duel.baseline.name, value: median(theirUs) } }),
    });
  }

  #compare(duel: Duel, ours: readonly Sample[], theirs: readonly Sample[]): void {
    const values = ours.map((sample) => sample.value);
    const ratios = theirs.map((sample, round) => (values[round] ?? Number.NaN) / sample.value);
    const ratio = ratios.length === 0 ? null : median(ratios);
    const range = ratio === null ? values : ratios;
    const { goal, holds, rule } = judged(duel, median(values), ratio);
    this.add({
      case: duel.case,
      metric: duel.metric,
      unit: duel.unit,
      value: median(values),
      low: Math.min(...range),
      high: Math.max(...range),
      baseline:
        duel.baseline === undefined
          ? null
          : { name: duel.baseline.name, value: median(theirs.map((s) => s.value)) },
      ratio,
      goal,
      holds,
      rule,
      checked: sum(ours),
      ...extras(duel),
    });
  }
}

interface Limit {
  readonly values: readonly number[];
  readonly goal?: number;
  readonly note?: string;
  readonly curve?: Curve;
  readonly baseline?: { readonly name: string; readonly value: number };
}

interface Within {
  /** By round, as the baseline's. */
  readonly ours: readonly number[];
  readonly baseline: { readonly name: string; readonly values: readonly number[] };
  readonly goal?: number;
  readonly note?: string;
  readonly curve?: Curve;
}

const extras = ({ note, curve }: Pick<Duel, "note" | "curve">) => ({
  ...(note === undefined ? {} : { note }),
  ...(curve === undefined ? {} : { curve }),
});

function judged(
  { goal, leastValue }: Duel,
  value: number,
  ratio: number | null,
): Pick<Row, "goal" | "holds" | "rule"> {
  if (leastValue !== undefined)
    return { goal: leastValue, holds: value >= leastValue, rule: "value >= goal" };
  if (goal === undefined) return { goal: null, holds: null, rule: null };
  return { goal, holds: ratio === null ? null : ratio >= goal, rule: "ratio >= goal" };
}

const sum = (samples: readonly Sample[]) => samples.reduce((all, sample) => all + sample.checked, 0);

/** The middle one; of an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? Number.NaN) + upper) / 2;
}

/** The value that so large a part of `values` does not exceed. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? Number.NaN;
}

/** Callers that each take the next of `jobs` until none is left: so many are in flight at any time. */
export async function callers(
  count: number,
  jobs: number,
  caller: (take: () => boolean) => Promise<void>,
): Promise<void> {
  let left = jobs;
  const take = () => left-- > 0;
  await Promise.all(Array.from({ length: count }, () => caller(take)));
}

const now = () => process.hrtime.bigint();

/** How many a second, and what the main thread spent on each, when `work` does `count` of something. */
export async function timed(
  count: number,
  work: () => Promise<void>,
  clock?: () => number,
): Promise<{ value: number; mainUs?: number }> {
  const usedBefore = clock?.();
  const before = now();
  await work();
  const seconds = Number(now() - before) / 1e9;
  const value = count / seconds;
  return clock === undefined || usedBefore === undefined
    ? { value }
    : { value, mainUs: (clock() - usedBefore) / count };
}
