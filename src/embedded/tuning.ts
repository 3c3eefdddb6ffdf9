/**
 * The embedded broker's limits, with the reasons for their values; tests lower them.
 *
 * Owns no state.
 */
import type { Tuning } from "./store/protocol.ts";

const MIB = 1 << 20;

/**
 * What is kept in memory is not read back, and its queue is served from there at twice the pace. With 4,096 a pause of 50 ms at
 * 75,000 jobs a second was enough to be read from the store from then on, which no longer kept up.
 */
const KEEP_JOBS = 16_384;

export const TUNING: Tuning = {
  reserveBytes: 64 * MIB,
  ballastBytes: 16 * MIB,
  restoreBytes: 128 * MIB,
  checkEveryMs: 1_000,
  keepJobs: KEEP_JOBS,
  keepCharacters: 8 * MIB,
  // more than a busy commit enqueues (some 1,000), or what is unread would never be caught up with
  takeJobs: 2_048,
  takeCharacters: MIB,
  // all of it is moved when somebody looks for a job, or opens the store after a crash
  journalJobs: KEEP_JOBS,
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
 * A queue is read ahead while less than this is in memory: one whose backlog is not deeper is read to its end, and
 * served from there again.
 */
export const READ_BELOW = KEEP_JOBS;
/** With so much text in memory, of all queues, one is read on only when nothing of it is left. */
export const READ_CHARACTERS_BELOW = 8 * MIB;
/** What a full disk did not take is tried again after this long. */
export const FULL_RETRY_MS = 250;
/** How long a close waits for what is lazy; jobs that ended and could not be stored run again. */
export const CLOSE_MS = 10_000;
export const REOPEN = { firstMs: 100, factor: 2, maxMs: 5_000 };
/** Rows that one transaction of a purge removes: 950,000 in one made a log of 283 MiB. */
export const PURGE_AT_ONCE = 2_000;
