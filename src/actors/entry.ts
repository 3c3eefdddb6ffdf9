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
  short = false;
  /** Its slot was asked for with nothing beside it; kept here, since an adopted delivery may say otherwise. */
  alone = false;
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
}

/** Gives the slot back, once; `durationMs` is what admission learns from, `Infinity` when nothing was measured. */
export function slotOf(entry: Entry, durationMs: number, ran: boolean): AdmissionMessage {
  entry.slot = false;
  const { alone, short, wedged } = entry;
  entry.wedged = false;
  return { t: "done", type: entry.known.type, short, alone, durationMs, ran, wedged };
}
