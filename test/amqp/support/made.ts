/**
 * Everything that a Spillway under a prefix can have declared on a broker, so that a test can take it away again.
 *
 * A broker with hundreds of quorum queues that nobody uses answers nobody any more: no test leaves any behind.
 */
import { RUNGS } from "../../../src/amqp/delay.ts";
import { Names } from "../../../src/amqp/names.ts";
import type { QueueRef } from "../../../src/broker/contract.ts";
import { cleanUp } from "./broker.ts";

/** Retry levels that tests use. */
const LEVELS = [1, 2, 3, 5, 10];

export async function cleanUpPrefix(url: string, prefix: string, queues: readonly QueueRef[]): Promise<void> {
  const names = new Names(prefix);
  const rungs = Array.from({ length: RUNGS }, (_, rung) => names.delay(rung));
  const retries = LEVELS.map((seconds) => names.retry(seconds));
  await cleanUp(url, {
    queues: [
      ...queues.flatMap((queue) => [names.queue(queue), names.buried(queue)]),
      ...queues.map(({ partition }) => names.journal(partition)),
      names.unroutable,
      ...retries,
      ...rungs,
    ],
    exchanges: [
      names.enqueue,
      names.work,
      names.unroutable,
      names.delayed,
      names.system,
      names.topology(),
      ...retries,
      ...rungs,
    ],
  });
}
