/**
 * Counts what came out: what was confirmed against what the bodies wrote down, and who ran beside whom.
 *
 * Pure. Nothing of it is taken from what a node or the broker says of itself, but for what was left in the queues.
 */

/** The longest silence that begins before the kill or so long after it is what the kill has cost. */
const AROUND_MS = 15_000;

export function resultOf({ options, plan, producers, nodes, journal, kill, left }) {
  const { confirmed, refused, calls, again } = producers;
  const runs = journal.runs.map((run) => closed(ofNode(run, nodes.names), kill));
  const byJob = groups(runs, ({ id }) => id);
  const pairs = plan
    .filter(({ kind }) => kind === "once")
    .map(({ id }) => pairOf(id, confirmed, refused, byJob));
  const count = (fate) => pairs.filter((one) => one === fate).length;
  const keyed = runs.filter(({ key }) => key !== undefined);
  return {
    jobs: plan.length,
    keys: options.keys,
    pairs: pairs.length,
    enqueued: confirmed.size,
    refused: count("refused"),
    afterwards: count("afterwards"),
    atOnce: count("at once"),
    ended: [...confirmed.keys()].filter((id) => journal.ended.has(id)).length,
    lost: [...confirmed.keys()].filter((id) => !journal.ended.has(id)).length,
    unasked: [...byJob.keys()].filter((id) => !confirmed.has(id)).length,
    ...repeats(byJob, kill),
    overlaps: overlapsOf(keyed),
    keyedRuns: keyed.length,
    buried: nodes.buried,
    left,
    again,
    perNode: shares(runs, nodes),
    elections: nodes.elections.map(({ node, epoch }) => ({ node, epoch })),
    kill: kill === undefined ? null : killOf(kill, { runs, keyed, calls, nodes }),
  };
}

/** What the killed node had in hand runs in a process of its own, whose parent is its node. */
function ofNode(run, names) {
  return names.has(run.parent) ? { ...run, pid: run.parent } : run;
}

/** What SIGKILL cut off lasted until then; any other that has no end has none. */
function closed(run, kill) {
  const isCut = run.endedAt === undefined && run.pid === kill?.pid;
  return { ...run, isCut, until: isCut ? kill.goneAt : (run.endedAt ?? Number.POSITIVE_INFINITY) };
}

/**
 * Two were enqueued under one key at once. Mostly one was refused, because of the other. A call that stood still while
 * there was no coordinator may be answered when the other job is over: then both are right, one after the other.
 */
function pairOf(id, confirmed, refused, byJob) {
  const [one, other] = [`${id}-1`, `${id}-2`];
  if (refused.get(one) === other && confirmed.has(other)) return "refused";
  if (refused.get(other) === one && confirmed.has(one)) return "refused";
  if (!confirmed.has(one) || !confirmed.has(other)) return "unanswered";
  const endOf = (name) => Math.max(...(byJob.get(name) ?? []).map(({ until }) => until));
  const isAfter = (later, earlier) =>
    byJob.has(earlier) &&
    endOf(earlier) <= confirmed.get(later) &&
    (byJob.get(later) ?? []).every(({ startedAt }) => startedAt >= endOf(earlier));
  return isAfter(one, other) || isAfter(other, one) ? "afterwards" : "at once";
}

/** At least once: what the killed node has run may run again, once. What others have run runs once. */
function repeats(byJob, kill) {
  const all = [...byJob.values()];
  const ofOthers = (runs) => runs.filter(({ pid }) => pid !== kill?.pid);
  return {
    ranAgain: all.filter((runs) => runs.length > 1 && ofOthers(runs).length === 1).length,
    doubled: all.filter((runs) => ofOthers(runs).length > 1 || runs.length - ofOthers(runs).length > 1)
      .length,
    endedTwice: all.filter((runs) => runs.filter(({ endedAt }) => endedAt !== undefined).length > 1).length,
  };
}

/** Each run that began before an earlier one of its key was over, with the one it met. */
export function overlapsOf(runs) {
  const found = [];
  for (const ofKey of groups(runs, ({ key }) => key).values()) {
    let last;
    for (const run of ofKey.sort((a, b) => a.startedAt - b.startedAt)) {
      if (last !== undefined && run.startedAt < last.until) found.push({ first: last, second: run });
      if (last === undefined || run.until > last.until) last = run;
    }
  }
  return found;
}

function killOf(kill, { runs, keyed, calls, nodes }) {
  const next = nodes.elections.find(({ at }) => at > kill.at);
  const starts = (some) => some.map(({ startedAt }) => startedAt);
  const others = runs.filter(({ key }) => key === undefined);
  return {
    node: kill.node,
    next: next?.node ?? null,
    electedMs: next === undefined ? null : Math.round(next.at - kill.at),
    cut: runs.filter(({ isCut }) => isCut).length,
    cutUnderKey: keyed.filter(({ isCut }) => isCut).length,
    callsStoodStillMs: longestPause(
      calls.map(({ at }) => at),
      kill.at,
    ),
    slowestCallMs: slowestOf(calls, kill.at),
    keysStoodStillMs: longestPause(starts(keyed), kill.at),
    othersStoodStillMs: longestPause(starts(others), kill.at),
  };
}

function longestPause(moments, at) {
  const sorted = [...moments].sort((a, b) => a - b);
  const pauses = sorted.flatMap((moment, index) =>
    index > 0 && moment > at && sorted[index - 1] < at + AROUND_MS ? [moment - sorted[index - 1]] : [],
  );
  return Math.round(Math.max(0, ...pauses));
}

/** Of those that were under way at the kill, or were made after it. */
function slowestOf(calls, at) {
  const took = calls.filter((call) => call.at > at).map((call) => call.at - call.sentAt);
  return Math.round(Math.max(0, ...took));
}

function shares(runs, { names }) {
  const byNode = groups(runs, ({ pid }) => names.get(pid));
  return Object.fromEntries([...byNode].sort().map(([name, some]) => [name, some.length]));
}

function groups(items, nameOf) {
  const all = new Map();
  for (const item of items) {
    const name = nameOf(item);
    const some = all.get(name);
    if (some === undefined) all.set(name, [item]);
    else some.push(item);
  }
  return all;
}
