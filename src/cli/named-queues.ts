/**
 * The queues of a RabbitMQ: those that live nodes know, and those that are named.
 *
 * Owns nothing. A broker can't be asked which queues it has: nodes tell one another, and a queue whose nodes are all away
 * is looked at only when it is named. One that is not there is an error, and is not made.
 */
import { setTimeout as wait } from "node:timers/promises";
import type { QueueRef } from "../broker/contract.ts";
import { UnknownPartition, UnknownQueue } from "../broker/errors.ts";
import type { BrokerQueue } from "../runtime/queues.ts";
import type { Runtime } from "../runtime/runtime.ts";

/** Whoever is there has answered by then. */
const HELLO_MS = 1_000;

/** `named`: of one partition. @throws UnknownQueue, TopologyConflict */
export async function queuesOf(
  runtime: Runtime,
  named: readonly QueueRef[],
): Promise<readonly BrokerQueue[]> {
  await wait(HELLO_MS);
  const known = await runtime.queues.list();
  const missing = named.filter((ref) => !known.some((one) => isSame(one, ref)));
  if (missing.length === 0) return known;
  for (const ref of missing) await mustExist(runtime, ref);
  await learn(runtime, missing);
  return runtime.queues.list();
}

function isSame(a: QueueRef, b: QueueRef): boolean {
  return a.partition === b.partition && a.queue === b.queue;
}

async function mustExist(runtime: Runtime, { partition, queue }: QueueRef): Promise<void> {
  try {
    await runtime.buried.list(partition, queue, { limit: 1 });
  } catch (error) {
    throw error instanceof UnknownPartition ? new UnknownQueue(partition, queue) : error;
  }
}

/** A queue that is there is declared as it is, and consumed by nobody: nothing changes, and its counts are known. */
async function learn(runtime: Runtime, queues: readonly QueueRef[]): Promise<void> {
  const [first] = queues;
  if (first === undefined) return;
  let why: Error | undefined;
  runtime.on("partition.waiting", ({ error }) => {
    why = error;
  });
  const list = Object.fromEntries(queues.map(({ queue }) => [queue, 0]));
  await runtime.partitions.start(first.partition, list);
  if (why !== undefined) throw why;
}
