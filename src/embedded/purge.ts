/**
 * Purging a queue of the embedded broker: 2,000 rows a commit, so that others get in between.
 *
 * Owns the rule what is purged: everything that was published before the call and is in nobody's hands when
 * its commit is sent. Cut off by a loss it has purged what was committed, and says that it failed.
 */
import type { EmbeddedLane } from "./embedded-lane.ts";
import type { Pipeline } from "./pipeline.ts";
import { PURGE_AT_ONCE } from "./tuning.ts";

export async function purge(lane: EmbeddedLane, pipeline: Pipeline): Promise<string[]> {
  const below = pipeline.nextRid;
  const ids: string[] = [];
  lane.purging = Math.max(lane.purging ?? 0, below);
  lane.dropBelow(below);
  try {
    for (;;) {
      const some = await pipeline.chore<string[]>(() => {
        // what was handed back since the call waits too
        lane.dropBelow(below);
        const held = [...lane.handed].map((row) => row.rid);
        return { do: "purge", lane: lane.number, below, held, limit: PURGE_AT_ONCE };
      });
      ids.push(...some);
      if (some.length < PURGE_AT_ONCE) return ids;
    }
  } finally {
    lane.purging = undefined;
    lane.outlet.wake();
  }
}
