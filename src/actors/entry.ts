/**
 * A job in a partition's hands, from its delivery to its end here.
 *
 * Owns what supervisor and worker both need to know of it: the delivery to settle, the slot it holds, the body that
 * runs. It outlives a worker that crashed, so that the next one finds all of it.
 */
import type { Delivery } from "../broker/contract.ts";
import type { Ref } from "../kernel/types.ts";
import type { AdmissionMessage, Ask } from "./admission.ts";
import type { BodyTask } from "./body-task.ts";
import type { KnownJob } from "./catalogue.ts";
import type { WorkerMessage } from "./worker.ts";

/** Its worker writes `task`, `settled`, `slot` and `wedged`, the supervisor all else. */
export class Entry {
  /** While it waits for a slot. */
  ask: Ask<Entry> | undefined = undefined;
  worker: Ref<WorkerMessage> | undefined = undefined;
  /** The body, once one was given to a thread. */
  task: BodyTask | undefined = undefined;
  /** The delivery that its worker has settled; another one came meanwhile when it is not `delivery`. */
  settled: Delivery | undefined = undefined;
  /** It holds one of admission's slots, as a short one or not. */
  slot = false;
  aheadUs = 0;
  /** How its slot was asked for, until it lets others in; kept here, since an adopted delivery may say otherwise. */
  suspect: Ask["suspect"] = undefined;
  /** The pool whose slot it holds or asks for. */
  pool = 0;
  /** Admission was told that its body hangs in a native call. */
  wedged = false;
  /** It was asked back while a worker had it: if that worker gives up its slot, it goes to the broker. */
  withdrawn = false;
  cancelled = false;
  crashes = 0;

  constructor(
    /** Replaced when the broker hands the same job out again while its body runs (adoption). */
    public delivery: Delivery,
    readonly known: KnownJob,
    readonly lane: number,
    /** Where it stands among the jobs of this supervisor. */
    readonly place: number,
  ) {}

  /** It may have taken a process down. What runs in a process of its own anyway has not. */
  get isSuspect(): boolean {
    return this.delivery.suspect !== undefined && !this.known.inProcess;
  }
}

/** Gives the slot back, once; `durationMs` is what admission learns from, `Infinity` when nothing was measured. */
export function slotOf(entry: Entry, durationMs: number, ran: boolean): AdmissionMessage {
  entry.slot = false;
  const { suspect, aheadUs, wedged, pool } = entry;
  entry.wedged = false;
  entry.suspect = undefined;
  return { t: "done", pool, type: entry.known.type, aheadUs, suspect, durationMs, ran, wedged };
}
