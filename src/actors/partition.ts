/**
 * A partition's part of the tree: GlobalCoordinator, WorkerSupervisor, Consumer, in that order (rest_for_one).
 *
 * Owns the names under which its actors find each other. A coordinator that dies takes the other two along, since
 * what they hold was granted by it; a consumer that dies is restarted alone and bodies go on. It stops in reverse:
 * nothing new, then bodies, then keys.
 */
import { childSpec } from "../kernel/child-spec.ts";
import { supervisor } from "../kernel/supervisor.ts";
import type { ChildSpec } from "../kernel/types.ts";
import { consumer } from "./consumer.ts";
import { globalCoordinator } from "./global-coordinator.ts";
import type { Queues } from "./open-queue.ts";
import type { NodeServices } from "./services.ts";
import { workerSupervisor } from "./worker-supervisor.ts";

/** The registered names of one partition's actors. */
export function partitionNames(partition: string) {
  const base = `partition:${partition}`;
  return {
    partition: base,
    coordinator: `${base}/global-coordinator`,
    supervisor: `${base}/worker-supervisor`,
    consumer: `${base}/consumer`,
  };
}

/** How long bodies get to go down the kill ladder when a partition stops, beyond their grace. */
const STOP_MARGIN_MS = 10_000;

export function partitionSpec(partition: string, queues: () => Queues, services: NodeServices): ChildSpec {
  const names = partitionNames(partition);
  const children = [
    childSpec({
      id: "global-coordinator",
      behaviour: globalCoordinator,
      args: () => ({ partition, services }),
      name: names.coordinator,
    }),
    childSpec({
      id: "worker-supervisor",
      behaviour: workerSupervisor,
      args: () => ({ partition, services, coordinatorName: names.coordinator }),
      name: names.supervisor,
      shutdownMs: services.graceMs.shutdown + STOP_MARGIN_MS,
    }),
    childSpec({
      id: "consumer",
      behaviour: consumer,
      args: () => ({
        partition,
        queues,
        services,
        coordinatorName: names.coordinator,
        supervisorName: names.supervisor,
      }),
      name: names.consumer,
    }),
  ];
  return childSpec({
    id: partition,
    behaviour: supervisor({
      strategy: "rest_for_one",
      children,
      intensity: { restarts: 3, periodMs: 10_000 },
    }),
    args: () => undefined,
    name: names.partition,
    // Not restarted here: WaitingPartitions starts it again every second until it runs.
    restart: "temporary",
    type: "supervisor",
  });
}
