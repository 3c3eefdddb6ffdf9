/**
 * The shared cells of one thread: a ring of 1,024 open jobs that main and the job host both read and write.
 *
 * Owns the layout and the words, no state. Per slot: where the job stands, whether it was told to end, when its
 * body started and how long it took. Main hands slots out in ring order; the host claims each by compare-and-swap,
 * so a job can be taken back until the moment it starts, and after a kill the cells alone say which body ran.
 * Imported by both sides, so nothing here may load anything else.
 */

/** Slots of the ring; a power of two. */
export const RING = 1024;
export const MASK = RING - 1;
/** Most open jobs of a thread; below the ring, so that a batch never meets its own tail. */
export const MOST_OPEN = 1000;

// Where a job stands. Main writes QUEUED and REVOKED, the host all others.
export const QUEUED = 1;
export const RUNNING = 2;
/** Ended with `undefined`: the cell alone is the outcome. */
export const DONE = 3;
export const REVOKED = 4;
/** The host has passed a revoked job: its slot may be used again. */
export const SKIPPED = 5;
/** Ended, and the message that says how was posted before this was written. */
export const ENDED = 6;

// What the cancel cell says; the host negates it once the body could have seen it.
export const CANCEL_REASONS = ["none", "timeout", "cancel", "shutdown", "memory", "rescue"] as const;

// What `focus` holds, each body as its slot + 1; only in threads that run several bodies at once.
/** Whose code runs now; 0 = nobody's. */
export const FOCUS_NOW = 0;
/** Whose code ran last. */
export const FOCUS_LAST = 1;
/** Grows with each piece of code, by wrap-around. */
export const FOCUS_TURN = 2;

export interface Cells {
  readonly state: Int32Array;
  readonly cancel: Int32Array;
  /** `monotonicMs` at the start of the body; 0 while its module is still loading. */
  readonly start: Float64Array;
  readonly durationMs: Float64Array;
  /** [0]: log lines that main has read, by wrap-around; the host drops lines when main falls behind. */
  readonly logs: Int32Array;
  /**
   * [0]: 1 while the thread starts or loads a module. A thread that is terminated while Node links an ES module for
   * `require` takes the whole process down (v8::Module::IsGraphAsync, Node 20), so main waits for a 0 first.
   */
  readonly loading: Int32Array;
  /** [0]: the type that is being loaded ahead, plus 1; 0 = none. */
  readonly ahead: Int32Array;
  readonly focus: Int32Array;
}

/** Memory for one thread's cells: 24 KiB. */
export function makeCellBuffer(): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(RING * 24 + 28);
  Atomics.store(cellsOn(buffer).loading, 0, 1); // until the host says that it is ready
  return buffer;
}

export function cellsOn(buffer: SharedArrayBuffer): Cells {
  return {
    start: new Float64Array(buffer, 0, RING),
    durationMs: new Float64Array(buffer, RING * 8, RING),
    state: new Int32Array(buffer, RING * 16, RING),
    cancel: new Int32Array(buffer, RING * 20, RING),
    logs: new Int32Array(buffer, RING * 24, 1),
    loading: new Int32Array(buffer, RING * 24 + 4, 1),
    focus: new Int32Array(buffer, RING * 24 + 8, 3),
    ahead: new Int32Array(buffer, RING * 24 + 20, 1),
  };
}
