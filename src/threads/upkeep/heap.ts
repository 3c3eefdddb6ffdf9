/**
 * How much memory threads use, asked of them whatever they do: heap, and the buffers outside it.
 *
 * Owns the question, for its length. The thread's host has left a function for this in a global symbol, which runs inside
 * the body's own loop; a thread in a native call answers when that returns, or not in time. What lies there as garbage is
 * not held against anybody: who is above a limit is asked again, after a collection.
 */
import { Inspector, type InspectorMessage } from "../kill/inspector.ts";
import { MEMORY_KEY } from "../wire.ts";

/** Bytes in use. `externalBytes`: buffers and what else native code holds for the thread. */
export interface HeapUse {
  readonly heapBytes: number;
  readonly externalBytes: number;
}

/** A collection of a large heap on a busy machine. */
const ANSWER_WITHIN_MS = 2_000;

/** The command that makes a thread tell its use; `collect`: garbage goes first. */
export function askHeap(collect: boolean): { readonly expression: string; readonly returnByValue: true } {
  return { expression: `globalThis[Symbol.for("${MEMORY_KEY}")](${collect})`, returnByValue: true };
}

/** Undefined for what is no answer to `askHeap`: a body can do anything to its thread's globals. */
export function heapOf({ result }: InspectorMessage): HeapUse | undefined {
  const { value } = (result as { result?: { value?: unknown } } | undefined)?.result ?? {};
  if (typeof value !== "string") return undefined;
  const [heapBytes = Number.NaN, externalBytes = Number.NaN] = value.split(" ").map(Number);
  return Number.isFinite(heapBytes + externalBytes) ? { heapBytes, externalBytes } : undefined;
}

export const sumOf = ({ heapBytes, externalBytes }: HeapUse): number => heapBytes + externalBytes;

/** What each thread uses that has answered in time; the figures of one above `limitBytes` are without its garbage. */
export async function heapsOf(
  threadIds: readonly number[],
  limitBytes: number,
): Promise<ReadonlyMap<number, HeapUse>> {
  const uses = new Map<number, HeapUse>();
  const open = new Set(threadIds);
  let done: () => void = () => {};
  const answered = new Promise<void>((resolve) => {
    done = resolve;
  });
  const inspector = new Inspector(threadIds, {
    attached: (threadId) => inspector.send(threadId, "Runtime.evaluate", askHeap(false)),
    told(threadId, message) {
      if (message.id === undefined) return;
      const use = heapOf(message);
      if (use !== undefined && sumOf(use) > limitBytes && !uses.has(threadId)) {
        uses.set(threadId, use);
        inspector.send(threadId, "Runtime.evaluate", askHeap(true));
        return;
      }
      if (use !== undefined) uses.set(threadId, use);
      open.delete(threadId);
      if (open.size === 0) done();
    },
  });
  const timer = setTimeout(done, ANSWER_WITHIN_MS);
  try {
    inspector.start();
    await answered;
  } finally {
    clearTimeout(timer);
    inspector.close();
  }
  // who was asked again and has not answered is not known to be above anything
  for (const threadId of open) uses.delete(threadId);
  return uses;
}
