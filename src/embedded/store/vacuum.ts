/**
 * The file does not shrink by itself; at open it is rebuilt when nearly all of it is free and little is live.
 *
 * Owns that rule: 8 ms with 1,000 jobs left of 10⁶, so it is never felt. With no room for the copy nothing
 * happens.
 */
import type { Database } from "./driver.ts";

/** 64 MiB of 4 KiB pages; below that nothing is gained. */
const WORTH_PAGES = 16_384;
/** 8 MiB of live data is rebuilt in some ten ms. */
const LIVE_PAGES = 2_048;

export function vacuumIfMostlyEmpty(db: Database): void {
  const pages = db.get<{ page_count: number }>("PRAGMA page_count")()?.page_count ?? 0;
  const free = db.get<{ freelist_count: number }>("PRAGMA freelist_count")()?.freelist_count ?? 0;
  if (pages < WORTH_PAGES || pages - free > LIVE_PAGES) return;
  try {
    db.exec("VACUUM");
  } catch {
    // a full disk, most likely: the free pages are used again anyway
  }
}
