/**
 * What keys cost: jobs a second on the embedded broker with a queue key and an execution key each, beside the same jobs
 * without; then, on RabbitMQ, what they add to an enqueue and to a run (`keys-rabbit.ts`).
 *
 * Owns one folder on a real disk, deleted at the end.
 */
import { join } from "node:path";
import { DurableNode, type Noop } from "../nodes/durable-node.ts";
import { type Bench, callers } from "../runner/bench.ts";
import { makeFolder, removeFolder } from "../runner/machine.ts";
import { loadJob } from "../runner/package.ts";
import { measure } from "./embedded.ts";
import { rabbitKeys } from "./keys-rabbit.ts";

export async function keysSuite(bench: Bench): Promise<void> {
  const { path, onDisk } = makeFolder(bench.settings.data);
  if (!onDisk)
    bench.say("the folder is in memory, where a flush costs nothing: give --data a folder on a disk");
  try {
    await embeddedKeys(bench, join(path, "keys"));
  } finally {
    removeFolder(path);
  }
  await rabbitKeys(bench);
}

const JOBS = 20_000;
const AWAITED = 256;
const LEAST_PER_S = 2_000;

/** Each job has a queue key of its own: two that wait under one would be a `DuplicateJob`. */
const CASES = [
  { name: "all keys different", executionKeys: Number.POSITIVE_INFINITY },
  { name: "50 execution keys shared", executionKeys: 50 },
];

/**
 * 256 callers, each `enqueue` in turn; ends when the last job has run. The baseline's jobs have the same definition and
 * args of as many bytes, under names that are no keys.
 */
async function embeddedKeys(bench: Bench, path: string): Promise<void> {
  const node = await DurableNode.start(path, { job: (await loadJob("keyed")) as Noop });
  const jobs = bench.settings.count(JOBS);
  let last = 0;
  const run = (argsOf: (n: number) => object) =>
    measure(bench, node, jobs, () =>
      callers(AWAITED, jobs, async (take) => {
        while (take()) await node.enqueue(argsOf(++last));
      }),
    );
  try {
    for (const { name, executionKeys } of CASES) {
      const keysOf = (n: number) => [`q:${n}`, `e:${n % executionKeys}`] as const;
      await bench.duel({
        case: `embedded, ${name}`,
        metric: "no-op jobs, queueKey + executionKey",
        unit: "jobs/s",
        ours: () =>
          run((n) => {
            const [queueKey, executionKey] = keysOf(n);
            return { queueKey, executionKey };
          }),
        baseline: {
          name: "without keys",
          run: () =>
            run((n) => {
              const [queueTag, executionTag] = keysOf(n);
              return { queueTag, executionTag };
            }),
        },
        leastValue: LEAST_PER_S,
      });
    }
  } finally {
    await node.stop();
  }
}
