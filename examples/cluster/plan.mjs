/**
 * The jobs: half of them under an execution key, a quarter with a queue key, a quarter without any; and when each is due.
 *
 * Pure: the same numbers give the same plan. One by one they are enqueued over some seconds, so that the kill falls in the
 * middle of calls, of bodies and of waits for keys. Those that are long enough to be killed come after a third of them.
 */
export const PARTITION = "shop";
export const QUEUE = "orders";

/** Over so long they are enqueued: beyond the kill, and beyond the return of who was killed. */
const SPREAD_MS = 20_000;
const LONG_MS = 400;
/** With so many, one runs on the node that is to be killed. */
const MOST_LONG = 12;

export function planOf({ jobs, keys }) {
  const plan = Array.from({ length: jobs }, (_, index) => ({
    kind: kindOf(index),
    ms: 2 + (index % 5),
    isLong: false,
    id: String(index + 1).padStart(5, "0"),
    key: `key-${(index % keys) + 1}`,
    dueMs: (index * SPREAD_MS) / jobs,
  }));
  const late = plan.slice(Math.floor(jobs / 3)).filter(({ kind }) => kind === "serial");
  for (const job of late.slice(0, MOST_LONG)) Object.assign(job, { isLong: true, ms: LONG_MS });
  return plan;
}

/** Not by the remainder of 4 alone: then half of the keys would have no jobs. */
function kindOf(index) {
  return ["serial", "once", "serial", "plain"][(index + Math.floor(index / 4)) % 4];
}
