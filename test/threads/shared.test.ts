/** Several bodies in one thread: they wait together, and one of them takes no other down with it. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import type { Outcome } from "../../src/threads/types.ts";
import { completed, failed, type Given, startPool, type TestPool } from "./support.ts";

const MEGABYTE = 1_048_576;

/** A server whose answers wait until they are let go. */
class Gate {
  readonly held: ServerResponse[] = [];
  readonly #server = createServer((_, response) => {
    this.held.push(response);
    for (const listener of this.#listeners) listener();
  });
  readonly #listeners = new Set<() => void>();

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      this.#server.closeAllConnections();
      this.#server.close();
    });
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** Resolves when so many requests wait. */
  full(count: number): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (this.held.length >= count) resolve();
      };
      this.#listeners.add(look);
      look();
    });
  }

  /** From now on answers come at once. */
  stayOpen(): void {
    this.#listeners.add(() => this.letGo());
    this.letGo();
  }

  letGo(): void {
    for (const response of this.held.splice(0)) response.end("hello");
  }
}

async function openGate(): Promise<{ gate: Gate; url: string }> {
  const gate = new Gate();
  return { gate, url: await gate.open() };
}

const rescued = { kind: "rescued", reason: expect.any(String) };

/** Nobody looks at the threads meanwhile. */
function holdMainThread(ms: number): void {
  for (const until = performance.now() + ms; performance.now() < until; ) {}
}

function many(pool: TestPool, count: number, args: object, more = {}): Given[] {
  const type = pool.type("waits");
  return Array.from({ length: count }, () => pool.give(type, args, more));
}

const outcomes = (given: readonly Given[]) => Promise.all(given.map(({ outcome }) => outcome));

test("500 bodies that wait for HTTP run at once on two threads", async () => {
  const pool = await startPool({ threads: 2, jobsPerThread: 250 });
  const { gate, url } = await openGate();
  const given = many(pool, 500, { way: "http", url });
  await gate.full(500);
  expect(pool.pool.threads.map(({ bodies }) => bodies)).toEqual([250, 250]);
  gate.letGo();
  expect(await outcomes(given)).toEqual(given.map(() => completed("hello")));
});

test("no more bodies than jobsPerThread are under way in a thread; the others wait their turn", async () => {
  const pool = await startPool({ jobsPerThread: 3 });
  const { gate, url } = await openGate();
  const given = many(pool, 8, { way: "http", url });
  let ended = 0;
  for (const { outcome } of given) outcome.then(() => ended++);
  for (const left of [8, 5, 2]) {
    await gate.full(Math.min(3, left));
    expect(pool.pool.threads).toMatchObject([{ bodies: Math.min(3, left), queued: Math.max(0, left - 3) }]);
    gate.letGo();
    await outcomes(given.slice(8 - left, 8 - left + Math.min(3, left)));
  }
  expect(ended).toBe(8);
});

test("a slot is used again while an older body still waits: 5,000 jobs pass by one", async () => {
  const pool = await startPool({ jobsPerThread: 4 });
  const { gate, url } = await openGate();
  const [old] = many(pool, 1, { way: "http", url });
  await gate.full(1);
  const type = pool.type("waits");
  for (let round = 0; round < 10; round++) {
    const given = Array.from({ length: 500 }, (_, n) => pool.give(type, { way: "sync", n }));
    expect(await outcomes(given)).toEqual(given.map((_, n) => completed(n * 2)));
  }
  gate.letGo();
  expect(await old?.outcome).toEqual(completed("hello"));
});

test.each(["blocks", "floods"])(
  "among 50 bodies the one that %s is killed; the others are rescued",
  async (way) => {
    const pool = await startPool({ jobsPerThread: 51, spares: 1, captureStack: true });
    const { gate, url } = await openGate();
    const limit = { maxExecutionTimeMs: 1_500 };
    const others = many(pool, 50, { way: "never" }, limit);
    const [guilty] = many(pool, 1, { way, url }, limit);
    await gate.full(1);
    gate.letGo();
    const outcome = await guilty?.outcome;
    expect(outcome).toEqual(failed({ kind: "timeout", name: "Timeout" }));
    const frames = outcome?.kind === "failed" ? (outcome.failure.report?.frames ?? []) : [];
    if (way === "blocks") expect(frames[0]).toMatchObject({ function: "blocksHere", line: 21 });
    expect(await outcomes(others)).toEqual(others.map(() => rescued));
  },
);

test("a blocker without a limit is ended after some seconds, for its neighbours' sake", async () => {
  const pool = await startPool({ jobsPerThread: 3, spares: 1 });
  const { gate, url } = await openGate();
  const others = many(pool, 2, { way: "never" });
  const [guilty] = many(pool, 1, { way: "blocks", url });
  await gate.full(1);
  gate.letGo();
  expect(await guilty?.outcome).toEqual(
    failed({
      kind: "timeout",
      message: expect.stringMatching(/kept the 2 others in its thread from running for \d+ s/),
    }),
  );
  expect(await outcomes(others)).toEqual([rescued, rescued]);
});

test("a neighbour over its limit is not blamed for what another blocks", async () => {
  const pool = await startPool({ jobsPerThread: 2, spares: 1 });
  const { gate, url } = await openGate();
  const [guilty] = many(pool, 1, { way: "blocks", url });
  const [victim] = many(pool, 1, { way: "never" }, { maxExecutionTimeMs: 500 });
  await gate.full(1);
  gate.letGo();
  expect(await guilty?.outcome).toEqual(
    failed({
      kind: "timeout",
      message: expect.stringMatching(/kept its thread from answering while job job-2/),
    }),
  );
  expect(await victim?.outcome).toEqual(rescued);
});

test("one body that never settles is ended; its neighbours get half of the grace to end well", async () => {
  const pool = await startPool({
    jobsPerThread: 3,
    spares: 1,
    graceMs: { timeout: 600, cancel: 0, shutdown: 0 },
  });
  const { gate, url } = await openGate();
  const [heeds] = many(pool, 1, { way: "heeds" });
  const [well] = many(pool, 1, { way: "deaf", url });
  const [never] = many(pool, 1, { way: "never" }, { maxExecutionTimeMs: 100 });
  // the first that gives up says that the others have been told as well
  expect(await heeds?.outcome).toEqual({ kind: "rescued", reason: "its thread ends for job job-3" });
  await gate.full(1);
  gate.letGo();
  expect(await well?.outcome).toEqual(completed("hello"));
  expect(await never?.outcome).toEqual(failed({ kind: "timeout", report: expect.anything() }));
});

test("bodies that never settle and are over their limit together fail together", async () => {
  const pool = await startPool({ jobsPerThread: 40, spares: 1 });
  const given = many(pool, 40, { way: "never" }, { maxExecutionTimeMs: 1_000 });
  await Promise.all(given.map(({ started }) => started));
  holdMainThread(1_100); // so that one look finds all of them over their limit
  const all = await outcomes(given);
  expect(all).toEqual(given.map(() => failed({ kind: "timeout" })));
});

test("one body among many is cancelled: the others do not notice when it heeds", async () => {
  const pool = await startPool({ jobsPerThread: 20 });
  const { gate, url } = await openGate();
  const others = many(pool, 19, { way: "http", url });
  const [one] = many(pool, 1, { way: "heeds" });
  await Promise.all([gate.full(19), one?.started]);
  if (one !== undefined) pool.pool.abort(one.task, "cancel");
  expect(await one?.outcome).toEqual({ kind: "aborted", reason: "cancel", report: undefined });
  gate.letGo();
  expect(await outcomes(others)).toEqual(others.map(() => completed("hello")));
  expect(pool.events.filter(({ type }) => type === "thread.ended")).toEqual([]);
});

test("ten of twenty are cancelled at once", async () => {
  const pool = await startPool({ jobsPerThread: 20 });
  const given = many(pool, 20, { way: "heeds" });
  await Promise.all(given.map(({ started }) => started));
  for (const { task } of given.slice(0, 10)) pool.pool.abort(task, "cancel");
  const cancelled = { kind: "aborted", reason: "cancel", report: undefined };
  expect(await outcomes(given.slice(0, 10))).toEqual(given.slice(0, 10).map(() => cancelled));
  expect(pool.pool.threads).toMatchObject([{ bodies: 10 }]);
});

test("stop gives all bodies of a thread their grace, and ends them", async () => {
  const pool = await startPool({ jobsPerThread: 20, graceMs: { timeout: 0, cancel: 0, shutdown: 200 } });
  const heeds = many(pool, 5, { way: "heeds" });
  const never = many(pool, 5, { way: "never" });
  await Promise.all([...heeds, ...never].map(({ started }) => started));
  await pool.pool.stop();
  for (const outcome of await outcomes([...heeds, ...never]))
    expect(outcome).toMatchObject({ kind: "aborted", reason: "shutdown" });
});

test.each([
  ["exits", { kind: "exit" }],
  ["rejects", { kind: "crash", message: expect.stringMatching(/nobody heard/) }],
])("a body that %s fails alone", async (way, failure) => {
  const pool = await startPool({ jobsPerThread: 11, spares: 1 });
  const others = many(pool, 10, { way: "never" });
  await Promise.all(others.map(({ started }) => started));
  const [guilty] = many(pool, 1, { way });
  expect(await guilty?.outcome).toEqual(failed(failure));
  expect(await outcomes(others)).toEqual(others.map(() => rescued));
});

test("what an ended body left behind is blamed on it; all that run are rescued", async () => {
  const pool = await startPool({ jobsPerThread: 6, spares: 1 });
  const others = many(pool, 5, { way: "never" });
  const [guilty] = many(pool, 1, { way: "leaves", ms: 50 });
  expect(await guilty?.outcome).toEqual(completed(undefined));
  expect(await outcomes(others)).toEqual(others.map(() => rescued));
  expect(pool.events).toContainEqual(
    expect.objectContaining({ type: "thread.blamed", jobId: guilty?.task.id }),
  );
});

test("what a body prints and tells is its own, however many are under way", async () => {
  const pool = await startPool({ jobsPerThread: 20 });
  const type = pool.type("waits");
  const given = Array.from({ length: 20 }, (_, n) => pool.give(type, { way: "speaks", n }));
  expect(await outcomes(given)).toEqual(given.map((_, n) => completed(n)));
  for (const [n, { logs, progress }] of given.entries()) {
    expect(logs.map(({ text }) => text)).toEqual([
      `${n}: line 0`,
      `${n}: line 1`,
      `${n}: line 2`,
      `${n}: done`,
    ]);
    expect(new Set(progress)).toEqual(new Set([n]));
  }
});

test("of several bodies the one that takes too much memory is found, and no other spends an attempt", async () => {
  const pool = await startPool({ threads: 1, jobsPerThread: 8, spares: 1, memoryLimitBytes: 96 * MEGABYTE });
  const { gate, url } = await openGate();
  const closed = await openGate();
  const type = pool.type("waits");
  const ends = new Map<string, Outcome["kind"][]>();
  /** As the actors do: a rescued job is given again, with its id. */
  const untilEnd = async (id: string, args: object): Promise<Outcome> => {
    for (;;) {
      const outcome = await pool.run(type, args, { id });
      ends.set(id, [...(ends.get(id) ?? []), outcome.kind]);
      if (outcome.kind !== "rescued") return outcome;
      // in smaller company it may have to wait until others have ended
      if (id === "greedy") gate.stayOpen();
    }
  };
  const greedy = untilEnd("greedy", { way: "keeps", megabytes: 160, url: closed.url });
  const modest = Array.from({ length: 7 }, (_, n) => untilEnd(`modest-${n}`, { way: "http", url }));
  expect(await greedy).toEqual(failed({ kind: "memory", name: "MemoryLimit" }));
  gate.stayOpen();
  expect(await Promise.all(modest)).toEqual(modest.map(() => completed("hello")));
  expect(
    ends
      .get("greedy")
      ?.slice(0, -1)
      .every((kind) => kind === "rescued"),
  ).toBe(true);
});
