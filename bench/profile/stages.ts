/**
 * The stages of a job on the main thread, and which frames belong to which: what the budget's rows and the flame's colours are.
 *
 * Owns the list. The first stage that names a frame's file has it. The engine's and Node's own frames belong to whoever called
 * them; a file of the project, or of a package, that no stage names is *all else*, which is shown, so that the list is seen to
 * grow old.
 */
import { type Frame, GARBAGE, joined } from "./frames.ts";

export interface Stage {
  readonly name: string;
  /** Beginnings of paths, as frames have them. */
  readonly files: readonly string[];
  /** Only these functions of them. */
  readonly functions?: readonly string[];
  /** Of its colour, in degrees and percent. */
  readonly hue: number;
  readonly saturation: number;
  readonly lightness?: number;
}

export interface Staged extends Frame {
  readonly stage: Stage;
  readonly children: readonly Staged[];
}

const within = (folder: string, ...files: readonly string[]) => files.map((file) => `${folder}/${file}`);

const WAKING: Stage = {
  name: "waking threads: one post for all that a turn hands over",
  files: ["src/threads/thread.ts"],
  functions: ["#flush"],
  hue: 12,
  saturation: 85,
};
const COLLECTION: Stage = { name: "garbage collection", files: [], hue: 0, saturation: 0, lightness: 68 };
const ENGINE: Stage = {
  name: "the engine and Node: microtasks, timers, events",
  files: [],
  hue: 215,
  saturation: 16,
};
const ELSE: Stage = { name: "all else", files: [], hue: 45, saturation: 16 };

/** In the order of the table. */
export const STAGES: readonly Stage[] = [
  {
    name: "enqueue: id, args, envelope",
    files: [
      ...within("src/runtime", "runtime.ts", "enqueue.ts", "size.ts", "room.ts"),
      ...within("src/jobs", "ids.ts", "create.ts", "args.ts", "key-set.ts"),
    ],
    hue: 95,
    saturation: 55,
  },
  {
    name: "jobs as text: header and args, written and read",
    files: within("src/jobs", "codec.ts", "header.ts", "envelope.ts", "bytes.ts"),
    hue: 54,
    saturation: 80,
  },
  {
    name: "the post of a commit to the store's thread",
    files: ["src/embedded/store-client.ts"],
    functions: ["post"],
    hue: 345,
    saturation: 75,
  },
  {
    name: "broker in the process: lanes, pages, commits; memory's own",
    files: ["src/embedded/", "src/broker/"],
    hue: 245,
    saturation: 70,
  },
  { name: "RabbitMQ broker: readers, custody, acks", files: ["src/amqp/"], hue: 300, saturation: 50 },
  {
    name: "amqplib and its socket",
    files: ["amqplib/", "buffer-more-ints/", "node:net", "node:internal/stream"],
    hue: 352,
    saturation: 42,
    lightness: 74,
  },
  {
    name: "admission and lanes",
    files: within("src/actors", "admission.ts", "pool-admission.ts", "lanes.ts", "consumer", "open-queue.ts"),
    hue: 180,
    saturation: 50,
  },
  {
    name: "worker supervisor, worker, effects",
    files: within("src/actors", "worker", "entry.ts", "settlement.ts", "execution-keys.ts", "callbacks.ts"),
    hue: 212,
    saturation: 80,
  },
  { name: "kernel: mailboxes, buffer, spawn and end", files: ["src/kernel/"], hue: 145, saturation: 50 },
  WAKING,
  {
    name: "threads: tasks in, ends out, rings, watch",
    files: ["src/threads/", ...within("src/actors", "body-task.ts", "external/")],
    hue: 32,
    saturation: 90,
  },
  {
    name: "results: remembered, looked up, awaited",
    files: ["src/actors/result", "src/actors/endings.ts", "src/runtime/handle.ts"],
    hue: 275,
    saturation: 60,
  },
  { name: "the bench's callers and their awaits", files: ["bench/"], hue: 75, saturation: 14 },
  COLLECTION,
  ENGINE,
  ELSE,
];

/** What is neither the engine's nor Node's. */
const isSomebodys = ({ file }: Frame) => file !== "" && !file.startsWith("node:");

export function staged(frame: Frame, above: Stage = ENGINE): Staged {
  const stage = stageOf(frame, above);
  return { ...frame, stage, children: frame.children.map((child) => staged(child, stage)) };
}

function stageOf(frame: Frame, above: Stage): Stage {
  const { name, file } = frame;
  if (name === GARBAGE && file === "") return COLLECTION;
  const named = STAGES.find(
    ({ files, functions }) =>
      files.some((path) => file.startsWith(path)) && (functions === undefined || functions.includes(name)),
  );
  if (named !== undefined) return named;
  if (isSomebodys(frame)) return ELSE;
  // A flush that was compiled into the microtask that it is has no frame of its own.
  if (above === ENGINE && file === "" && name === "postMessage") return WAKING;
  return above;
}

/**
 * Without the engine's and Node's frames that stand between one of theirs and what it runs: for a picture, where the way from
 * a microtask to its function is of no interest. What they took is their caller's.
 */
export function shortened(frame: Frame, above: Stage = ENGINE, depth = 0): Frame {
  const stage = stageOf(frame, above);
  let { self } = frame;
  const children: Frame[] = [];
  for (const child of frame.children) {
    const short = shortened(child, stage, depth + 1);
    const between = depth > 0 && stage === ENGINE && stageOf(child, stage) === ENGINE;
    if (between) self += short.self;
    children.push(...(between ? short.children : [short]));
  }
  return { ...frame, self, children: joined(children) };
}

/** How much each stage took by itself. */
export function byStage(frame: Staged, sums = new Map<Stage, number>()): Map<Stage, number> {
  sums.set(frame.stage, (sums.get(frame.stage) ?? 0) + frame.self);
  for (const child of frame.children) byStage(child, sums);
  return sums;
}

/** Files that no stage names, with how much was spent in and below them, the most first. */
export function unnamed(frame: Staged): [file: string, amount: number][] {
  const sums = new Map<string, number>();
  const walk = (one: Staged, file: string) => {
    const here = one.stage !== ELSE ? "" : isSomebodys(one) ? one.file : file;
    if (here !== "") sums.set(here, (sums.get(here) ?? 0) + one.self);
    for (const child of one.children) walk(child, here);
  };
  walk(frame, "");
  return [...sums].sort(([, a], [, b]) => b - a);
}
