/**
 * A runtime for tests, and questions to it: has all been run, what waits.
 *
 * Owns nothing: whoever starts a runtime stops it. Jobs run in threads as anywhere; only the broker is the one in
 * memory, unless another is given.
 */

import { AssertionError } from "node:assert";
import { isDeepStrictEqual } from "node:util";
import { UnknownPartition } from "../broker/errors.ts";
import { memory } from "../embedded/index.ts";
import type { RuntimeOptions } from "../runtime/options.ts";
import type { BrokerQueue } from "../runtime/queues.ts";
import { type Runtime, type RuntimeParts, startRuntime } from "../runtime/runtime.ts";

/** `Runtime.start` on the memory broker; `parts` takes a `VirtualClock`. Every option may be given. */
export function startTestRuntime(options: RuntimeOptions = {}, parts: RuntimeParts = {}): Promise<Runtime> {
  return startRuntime({ broker: memory(), spares: 0, ...options }, parts);
}

export interface DrainOptions {
  /** Milliseconds; default 30,000. */
  readonly timeoutMs?: number;
}

/** Settling a job that ended well is told by no event: looked at again this soon. */
const LOOK_AGAIN_MS = 5;

/**
 * Resolves when nothing of a partition is ready, waits in hand or runs. What is scheduled (delays, retries) is not
 * waited for: move the clock, then drain again.
 * Fails when that takes too long, with what is left; of a queue that nobody consumes nothing ever leaves.
 */
export async function drain(runtime: Runtime, partition: string, options: DrainOptions = {}): Promise<void> {
  const { timeoutMs = 30_000 } = options;
  const until = Date.now() + timeoutMs;
  for (;;) {
    const busy = (await queuesOf(runtime, partition)).filter((queue) => queue.ready + queue.unsettled > 0);
    const running = await runtime.node.runningJobs(partition);
    if (busy.length === 0 && running.length === 0) return;
    if (Date.now() > until) throw notDrained(partition, busy, running.length, timeoutMs);
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}

async function queuesOf(runtime: Runtime, partition: string): Promise<readonly BrokerQueue[]> {
  const queues = (await runtime.queues.list()).filter((queue) => queue.partition === partition);
  if (queues.length === 0) throw new UnknownPartition(partition);
  return queues;
}

function notDrained(
  partition: string,
  busy: readonly BrokerQueue[],
  running: number,
  timeoutMs: number,
): Error {
  const left = busy.map(({ queue, ready, unsettled, paused }) => {
    return `${queue}: ${ready} ready, ${unsettled} in hand${paused ? ", paused" : ""}`;
  });
  const message = `partition "${partition}" was not drained in ${timeoutMs} ms; ${running} run; ${left.join("; ")}`;
  return new AssertionError({ message });
}

/** A job that waits, as a test wants to see it. */
export interface EnqueuedJob {
  readonly id: string;
  readonly job: string;
  readonly args: unknown;
  readonly attempt: number;
  readonly queueKey: string | undefined;
  readonly executionKey: string | undefined;
  readonly state: "available" | "scheduled";
  /** Milliseconds since the epoch, when it is scheduled. */
  readonly dueAt: number | undefined;
}

const MOST = 10_000;

/** What waits in a queue, front first, without touching it; what has started is not there any more. */
export async function enqueued(
  runtime: Runtime,
  partition: string,
  queue = "default",
): Promise<EnqueuedJob[]> {
  const { jobs } = await runtime.info.queuedJobs(partition, queue, { limit: MOST });
  return jobs.map(({ envelope, state, dueAt }) => {
    const { id, job, attempt, queueKey, executionKey } = envelope;
    return { id, job, args: JSON.parse(envelope.argsText), attempt, queueKey, executionKey, state, dueAt };
  });
}

/** What `assertEnqueued` looks for; what is left out may be anything. */
export interface Expected {
  readonly partition: string;
  /** Default `default`. */
  readonly queue?: string;
  readonly job?: string;
  readonly id?: string;
  /** As they travel: after JSON. */
  readonly args?: unknown;
}

/** Resolves with the first job that fits; rejects with an `AssertionError` that shows what waits instead. */
export async function assertEnqueued(runtime: Runtime, expected: Expected): Promise<EnqueuedJob> {
  const { partition, queue = "default" } = expected;
  const waiting = await enqueued(runtime, partition, queue);
  const found = waiting.find((job) => fits(job, expected));
  if (found !== undefined) return found;
  const actual = waiting.map(({ id, job, args }) => ({ id, job, args }));
  throw new AssertionError({ message: `no such job waits in ${partition}.${queue}`, actual, expected });
}

function fits(job: EnqueuedJob, expected: Expected): boolean {
  if (expected.job !== undefined && job.job !== expected.job) return false;
  if (expected.id !== undefined && job.id !== expected.id) return false;
  return !("args" in expected) || isDeepStrictEqual(job.args, expected.args);
}
