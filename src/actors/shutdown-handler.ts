/**
 * ShutdownHandler: last child of the node, so the first to stop.
 *
 * Owns the order of an orderly end: nothing new starts → all subscriptions end → what has not started is handed
 * back → running bodies get their time. What still runs after it is aborted, killed and handed back as the
 * partitions stop behind it. When it is killed instead, or stopped for a restart, the same happens without the time.
 */

import { toError } from "../kernel/exit.ts";
import type { Behaviour, From, KernelApi, Ref } from "../kernel/types.ts";
import type { ConsumerMessage } from "./consumer.ts";
import { partitionNames } from "./partition.ts";
import type { NodeServices } from "./services.ts";
import type { WaitingPartitionsMessage, WantedPartition } from "./waiting-partitions.ts";
import type { WorkerSupervisorMessage } from "./worker-supervisor.ts";

export interface ShutdownArgs {
  readonly services: NodeServices;
  readonly shutdownTimeoutMs: number;
  readonly partitionsName: string;
}

export type ShutdownMessage = { readonly t: "shutdown" } | { readonly t: "drained" };
type Effect = { readonly t: "drain" };
interface State extends ShutdownArgs {
  readonly kernel: KernelApi;
  readonly self: Ref<ShutdownMessage>;
}

export const shutdownHandler: Behaviour<State, ShutdownMessage, Effect, ShutdownArgs> = {
  kind: "shutdown-handler",
  init: (args, self) => ({ ...args, kernel: self.kernel, self: self.ref }),
  step: (_s, m, _now, out) =>
    m.t === "shutdown" ? out.effect({ t: "drain" }) : out.stop({ kind: "shutdown" }),
  interpret: (_effect, s) => {
    drain(s)
      .catch((error) => s.services.logger.warn(`shutdown: ${toError(error).message}`))
      .then(() => s.self.cast({ t: "drained" }));
  },
  shutdown: () => ({ t: "shutdown" }),
};

async function drain(s: State): Promise<void> {
  if (s.services.phase !== "stopping") return; // a part of the node is restarted: nobody waits for bodies then
  const partitions = s.kernel.whereis(s.partitionsName) as Ref<WaitingPartitionsMessage> | undefined;
  if (partitions === undefined) return;
  partitions.cast({ t: "hold" });
  const wanted = await s.kernel.call(
    partitions,
    (from: From<readonly WantedPartition[]>) => ({ t: "list", from }) as const,
  );
  const running = wanted.filter((w) => w.state === "running").map((w) => w.partition);
  // one whose actors are being restarted must not take the others' bodies their time
  await Promise.allSettled(
    running.map((partition) => drainPartition(s.kernel, partition, s.shutdownTimeoutMs)),
  );
}

/** Its subscriptions end; what has not started goes back. */
export async function stopConsuming(kernel: KernelApi, partition: string): Promise<void> {
  const consumer = kernel.whereis(partitionNames(partition).consumer) as Ref<ConsumerMessage> | undefined;
  if (consumer !== undefined)
    await kernel.call(consumer, (from: From<void>) => ({ t: "drain", from }) as const);
}

/**
 * Takes nothing new on this node and waits until the last running body has settled, or the time is over; true when
 * nothing runs any more. Also what `safeStop` does, without a limit.
 */
export async function drainPartition(
  kernel: KernelApi,
  partition: string,
  timeoutMs: number,
): Promise<boolean> {
  await stopConsuming(kernel, partition);
  const supervisor = kernel.whereis(partitionNames(partition).supervisor) as
    | Ref<WorkerSupervisorMessage>
    | undefined;
  if (supervisor === undefined) return true;
  const idle = kernel.call(supervisor, (from: From<void>) => ({ t: "when-idle", from }) as const, timeoutMs);
  return idle.then(
    () => true,
    () => false,
  );
}
