/**
 * The embedded broker's limits, with the reasons for their values; tests lower them.
 *
 * Owns no state.
 */
import type { Tuning } from "./store/protocol.ts";

const MIB = 1 << 20;

export const TUNING: Tuning = {
  reserveBytes: 64 * MIB,
  ballastBytes: 16 * MIB,
  restoreBytes: 128 * MIB,
  checkEveryMs: 1_000,
  // what is kept is not read back: a small gain, so it may cost little memory
  keepJobs: 4_096,
  keepCharacters: 8 * MIB,
  // with 64, a commit of 10 ms would cap a queue at 6,400 jobs a second
  takeJobs: 1_024,
  takeCharacters: MIB,
  // all of it is moved when somebody looks for a job, or opens the store after a crash
  journalJobs: 4_096,
  // what takes long may as well be found
  journalMs: 1_000,
};

/** A completion waits at most this long for a commit that it can share. */
export const LAZY_MS = 2;
/** So many completions do not wait. */
export const LAZY_MOST = 1_000;
/** A commit carries at most so many enqueues, and so much text (characters). */
export const BATCH_JOBS = 10_000;
export const BATCH_CHARACTERS = 32 * MIB;
/** A row of the journal holds at most so many jobs, and so much text but for its last job (characters). */
export const PAGE_JOBS = 1_024;
export const PAGE_CHARACTERS = 256 * 1_024;
/**
 * How far the durable frontier is ahead of what may be handed out: twice what was handed out since the last
 * commit, within these. After a crash so many more are suspects, whose starts are made durable one commit for
 * many.
 */
export const FRONTIER_AHEAD = 64;
export const FRONTIER_MOST = 1_024;
/**
 * A queue is read ahead when less than this is left in memory: at 30,000 jobs a second a commit of 40 ms, and one more.
 */
export const READ_BELOW = 2_048;
/** With so much text in memory, of all queues, one is read on only when nothing of it is left. */
export const READ_CHARACTERS_BELOW = 8 * MIB;
/** What a full disk did not take is tried again after this long. */
export const FULL_RETRY_MS = 250;
/** How long a close waits for what is lazy; jobs that ended and could not be stored run again. */
export const CLOSE_MS = 10_000;
export const REOPEN = { firstMs: 100, factor: 2, maxMs: 5_000 };
/** Rows that one transaction of a purge removes: 950,000 in one made a log of 283 MiB. */
export const PURGE_AT_ONCE = 2_000;
