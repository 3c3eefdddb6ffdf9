/**
 * Cancel on one node: finds the job wherever it is, and ends it there.
 *
 * Owns the order of the search: running or waiting for a slot, waiting for a key, waiting in the broker; a job that
 * is between two of these is looked for again. An id that nobody has seen is marked, durably, so that it never
 * starts. Resolves when that is so.
 */
import type { ConsumerMessage, KeyWaiter } from "../actors/consumer.ts";
import { tellCancelled, unmark } from "../actors/endings.ts";
import { partitionNames } from "../actors/partition.ts";
import type { NodeServices } from "../actors/services.ts";
import type { WorkerSupervisorMessage } from "../actors/worker-supervisor.ts";
import type { From, KernelApi, Ref } from "../kernel/types.ts";
import type { Cancelled } from "./handle.ts";

/** A job in between (delivered, not yet looked at) is found within a turn or two. */
const MAX_TRIES = 100;

export async function cancelJob(
  kernel: KernelApi,
  services: NodeServices,
  partition: string,
  id: string,
): Promise<Cancelled> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const here = await cancelHere(kernel, partition, id);
    if (here !== undefined) return markedUntilGone(services, partition, id, here);
    const { found, envelope } = await services.broker.cancelQueued(partition, id);
    if (found === "buried") return { was: "buried" };
    if (found === "absent") return elsewhere(services, partition, id);
    if (found !== "unsettled") {
      const was = found === "available" ? "queued" : "scheduled";
      await unmark(services, partition, id);
      if (envelope !== undefined) tellCancelled(services, envelope, was);
      return { was };
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  // in no actor's hands and not the broker's again: its body goes down the ladder without them
  return markedUntilGone(services, partition, id, "running");
}

/**
 * It ends only when its thread is gone: a mark keeps it from running again when this process dies before that. The
 * mark goes with the job; when the job was faster, it goes here.
 */
async function markedUntilGone(
  services: NodeServices,
  partition: string,
  id: string,
  was: "running" | "queued",
): Promise<Cancelled> {
  await services.broker.mark(partition, id);
  const found = await services.broker.find(partition, id);
  if (found === "absent" || found === "buried") await unmark(services, partition, id);
  return { was };
}

/**
 * Marked first, so that it cannot slip through between two nodes; then those that have it in hand end it, and take the
 * mark away with it.
 */
async function elsewhere(services: NodeServices, partition: string, id: string): Promise<Cancelled> {
  const { cluster } = services.broker;
  await services.broker.mark(partition, id);
  const answers = cluster.others.length === 0 ? [] : await cluster.call(CANCEL, { partition, id }, CALL_MS);
  for (const answer of answers)
    if (answer.ok && (answer.value === "running" || answer.value === "queued")) return { was: answer.value };
  return { was: "marked" };
}

/** The command by which one node asks all others. */
export const CANCEL = "cancel";
const CALL_MS = 5_000;

/** What this node answers to it: only what is in its own hands. */
export function cancelCommand(
  kernel: KernelApi,
  services: NodeServices,
): (args: unknown) => Promise<"running" | "queued" | undefined> {
  return async (args) => {
    const { partition, id } = (args ?? {}) as { readonly partition?: unknown; readonly id?: unknown };
    if (typeof partition !== "string" || typeof id !== "string") return undefined;
    const here = await cancelHere(kernel, partition, id);
    if (here !== undefined) return here;
    const { found, envelope } = await services.broker.cancelQueued(partition, id);
    if (found !== "available") return undefined;
    await unmark(services, partition, id);
    if (envelope !== undefined) tellCancelled(services, envelope, "queued");
    return "queued";
  };
}

async function cancelHere(
  kernel: KernelApi,
  partition: string,
  id: string,
): Promise<"running" | "queued" | undefined> {
  const names = partitionNames(partition);
  const supervisor = kernel.whereis(names.supervisor) as Ref<WorkerSupervisorMessage> | undefined;
  if (supervisor === undefined) return undefined;
  const found = await kernel.call(
    supervisor,
    (from: From<"running" | "queued" | undefined>) => ({ t: "cancel", id, from }) as const,
  );
  if (found !== undefined) return found;
  const consumer = kernel.whereis(names.consumer) as Ref<ConsumerMessage> | undefined;
  if (consumer === undefined) return undefined;
  const waiter = await kernel.call(
    consumer,
    (from: From<KeyWaiter | undefined>) => ({ t: "cancel", id, from }) as const,
  );
  return waiter === undefined ? undefined : "queued";
}
