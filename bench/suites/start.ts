/**
 * From the start of a process to the end of its first job, and what it holds at rest: on the memory broker and on a new
 * embedded one, beside Piscina alone, each in a fresh process (`processes/start.mjs`), in turn.
 *
 * Owns one process at a time, and one folder on a real disk, deleted at the end.
 */
import { join } from "node:path";
import { THREADS } from "../baselines/raw.ts";
import { Peer } from "../processes/peer.ts";
import type { Bench } from "../runner/bench.ts";
import { makeFolder, removeFolder } from "../runner/machine.ts";

const KINDS = ["memory", "embedded", "piscina"] as const;
type Kind = (typeof KINDS)[number];

/** Of each kind in each round: a start takes a fraction of a second. */
const TIMES = 2;

interface Figures {
  readonly importMs: number;
  readonly startMs: number;
  readonly firstJobMs: number;
  readonly rssMiB: number;
  readonly heapMiB: number;
}

const METRICS: readonly { key: keyof Figures; metric: string; unit: string }[] = [
  { key: "importMs", metric: "import", unit: "ms" },
  { key: "startMs", metric: "Runtime.start", unit: "ms" },
  { key: "firstJobMs", metric: "first job done, from the process's start", unit: "ms" },
  { key: "rssMiB", metric: "RSS at rest", unit: "MiB" },
  { key: "heapMiB", metric: "heap + external at rest", unit: "MiB" },
];

export async function startSuite(bench: Bench): Promise<void> {
  const { path } = makeFolder(bench.settings.data);
  const figures: Record<Kind, Figures[]> = { memory: [], embedded: [], piscina: [] };
  try {
    // The first of each warms up the disk's cache, and does not count.
    for (let n = 0; n <= bench.settings.rounds * TIMES; n++)
      for (const kind of KINDS) {
        if (n === 0) bench.say(`starts, ${kind}`);
        const one = await measured(kind, join(path, `${kind}-${n}`));
        if (n > 0) figures[kind].push(one);
      }
  } finally {
    removeFolder(path);
  }
  for (const kind of ["memory", "embedded"] as const)
    for (const { key, metric, unit } of METRICS)
      bench.within({
        case: `${kind} broker, ${THREADS} threads`,
        metric,
        unit,
        ours: figures[kind].map((one) => one[key]),
        baseline: { name: "Piscina alone", values: figures.piscina.map((one) => one[key]) },
        checked: figures[kind].length,
        ...(key === "startMs" ? { note: "Piscina's constructor does not wait for its threads" } : {}),
      });
}

async function measured(kind: Kind, path: string): Promise<Figures> {
  const peer = await Peer.start("start", { kind, path, threads: THREADS });
  try {
    return (await peer.ask("figures")) as Figures;
  } finally {
    await peer.stop();
  }
}
