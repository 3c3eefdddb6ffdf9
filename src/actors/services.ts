/**
 * What the actors of one node share: the ports they act through. Steps never see this; only `init` and `interpret`.
 *
 * Owns nothing; the runtime makes it once and ends its parts in reverse order.
 */
import type { Broker, QueueRef } from "../broker/contract.ts";
import type { Clock, Ref } from "../kernel/types.ts";
import type { ThreadPool } from "../threads/types.ts";
import type { AdmissionMessage } from "./admission.ts";
import type { BuriedLimit } from "./buried-limit.ts";
import type { CallbackList } from "./callbacks.ts";
import type { Catalogue } from "./catalogue.ts";
import type { EventHub } from "./events.ts";
import type { JobRef } from "./job-ref.ts";
import type { Results } from "./results.ts";

/** The host's logger; `console` fits. */
export interface Logger {
  debug(text: string, fields?: unknown): void;
  info(text: string, fields?: unknown): void;
  warn(text: string, fields?: unknown): void;
  error(text: string, fields?: unknown): void;
}

export interface NodeServices {
  readonly node: string;
  readonly clock: Clock;
  readonly broker: Broker;
  readonly pool: ThreadPool;
  readonly admission: Ref<AdmissionMessage>;
  readonly catalogue: Catalogue;
  readonly callbacks: CallbackList;
  readonly events: EventHub;
  readonly results: Results;
  readonly buriedLimit: BuriedLimit;
  readonly logger: Logger;
  /** Bodies that hang in native calls now; `stop` names them. */
  readonly wedged: Set<JobRef>;
  readonly graceMs: { readonly timeout: number; readonly cancel: number; readonly shutdown: number };
  /** A job whose name no live node knows is not buried before it is so old, while other nodes live. */
  readonly unknownJobGraceMs: number;
  /** Deliveries of a queue that may wait for execution keys in this node's hands. */
  readonly maxKeyWaiters: number;
  /** Crashes of its own after which a job is buried as poison. */
  readonly maxCrashes: number;
  /** False: this node runs nothing (no jobs were given), its queues are declared and not consumed. */
  readonly runsJobs: boolean;
  /** False once the node was told to take no more. */
  readonly takesJobs: boolean;
  /** Lanes of the waiting queue are numbers; each queue of each partition has one for as long as the node lives. */
  readonly laneOf: (queue: QueueRef) => number;
  /**
   * Inactive: it starts no partition that has not run here. While it starts, a crash is told by `Runtime.start` and not logged too. While it stops, bodies get their time,
   * which the restart of a part does not give them.
   */
  phase: "starting" | "running" | "inactive" | "stopping";
}
