/** How bodies end, each way once: values, thrown things, results that can't travel, threads that are taken down. */
import { expect, onTestFinished, test } from "vitest";
import { broken, completed, failed, fixture, startPool, TestPool } from "./support.ts";

test("a body that returns nothing completes with undefined, and its duration is told", async () => {
  const pool = await startPool();
  const outcome = await pool.run(pool.type("noop"));
  expect(outcome).toEqual(completed(undefined));
});

test("args, id, partition, queue and attempt reach the body; each lane keeps its names", async () => {
  const pool = await startPool();
  const echo = pool.type("echo");
  const lanes = [
    ["a", "one"],
    ["a", "two"],
    ["b", "one"],
    ["a", "one"],
  ] as const;
  const outcomes = await Promise.all(
    lanes.map(([partition, queue], n) =>
      pool.run(echo, { n }, { partition, queue, attempt: n, id: `id-${n}` }),
    ),
  );
  expect(outcomes).toEqual(
    lanes.map(([partition, queue], n) =>
      completed({ args: { n }, id: `id-${n}`, partition, queue, attempt: n, deadline: undefined }),
    ),
  );
});

test("the deadline is the start plus the limit", async () => {
  const pool = await startPool();
  const before = Date.now();
  const outcome = await pool.run(pool.type("echo"), null, { maxExecutionTimeMs: 60_000 });
  const { deadline } = (outcome as unknown as { value: { deadline: number } }).value;
  expect(deadline).toBeGreaterThanOrEqual(before + 59_990);
  expect(deadline).toBeLessThanOrEqual(Date.now() + 60_010);
});

test("modules load as ESM, CommonJS, with top-level await, and as TypeScript", async () => {
  const pool = await startPool();
  const [common, awaited, typed, typedLate] = await Promise.all([
    pool.run(pool.type("common", fixture("common.cjs")), { word: "sense" }),
    pool.run(pool.type("late-ready")),
    pool.run(pool.type("typed", fixture("typed.ts")), { mode: "sum", numbers: [1, 2, 3] }),
    pool.run(pool.type("typed-late", fixture("typed-late.ts"))),
  ]);
  expect(common).toEqual(completed("common sense"));
  expect(awaited).toEqual(completed("awaited"));
  expect(typed).toEqual(completed(6));
  expect(typedLate).toEqual(completed("typed and awaited"));
});

test("args are checked in the thread, and what the schema makes of them is what the body gets", async () => {
  const pool = await startPool();
  const checked = pool.type("checked");
  expect(await pool.run(checked, { id: 5 })).toEqual(completed({ id: 5, note: "none" }));
  expect(await pool.run(checked, { id: 0 })).toEqual(
    failed({
      kind: "error",
      name: "InvalidArgs",
      final: true,
      message: expect.stringMatching(/"checked" do not fit: id: /),
    }),
  );
});

test("args that are no JSON fail for good", async () => {
  const pool = await startPool();
  const outcome = await pool.run(pool.type("echo"), null, { argsText: "{" });
  expect(outcome).toEqual(failed({ kind: "error", name: "InvalidArgs", final: true }));
});

test.each([
  ["error", { kind: "error", name: "Strange", message: "as asked", code: "E_STRANGE", final: false }],
  ["rejects", { kind: "error", name: "Strange", message: "as asked, later", final: false }],
  ["string", { kind: "error", name: "NonError", message: "threw 'just text', which is no Error" }],
  ["nothing", { kind: "error", name: "NonError", message: "threw undefined, which is no Error" }],
  ["hostile", { kind: "error", name: "NonError" }],
  ["final", { kind: "error", name: "NonRetryable", message: "never again", final: true }],
  ["function", { kind: "result", name: "DataCloneError", final: false }],
  ["symbol", { kind: "result", name: "DataCloneError" }],
  ["large", { kind: "result", name: "ResultTooLarge" }],
  ["largeObject", { kind: "result", name: "ResultTooLarge" }],
  ["largeBuffer", { kind: "result", name: "ResultTooLarge" }],
  ["exit", { kind: "exit", name: "ProcessExit", message: "called process.exit(7)" }],
  ["exitLater", { kind: "exit", message: "called process.exit(8)" }],
  ["uncaught", { kind: "crash", name: "Strange", message: "from a timer" }],
  ["unhandled", { kind: "crash", name: "Strange", message: "nobody listens" }],
])("a body that ends badly (%s) is one failed job, and the pool is whole", async (way, failure) => {
  const pool = await startPool();
  const type = pool.type("fails");
  expect(await pool.run(type, { way })).toEqual(failed(failure));
  expect(await pool.run(pool.type("noop"))).toEqual(completed(undefined));
});

test("the stack of a thrown error names the job's file and line", async () => {
  const pool = await startPool();
  const outcome = await pool.run(pool.type("fails"), { way: "error" });
  expect(outcome).toEqual(failed({ stack: expect.stringMatching(/fails\.mjs:10:/) }));
});

test("a snooze is no failure, thrown or asked for", async () => {
  const pool = await startPool();
  const type = pool.type("fails");
  expect(await pool.run(type, { way: "snooze" })).toEqual({ kind: "snoozed", delayMs: 1500 });
  expect(await pool.run(type, { way: "snoozeThrown" })).toEqual({ kind: "snoozed", delayMs: 2000 });
});

test("a heap that outgrows its limit step by step is one failed job of kind memory", async () => {
  const pool = await startPool({
    resourceLimits: { maxOldGenerationSizeMb: 24, maxYoungGenerationSizeMb: 4 },
  });
  const outcome = await pool.run(pool.type("fails"), { way: "memory" });
  expect(outcome).toEqual(failed({ kind: "memory", code: "ERR_WORKER_OUT_OF_MEMORY" }));
  expect(await pool.run(pool.type("noop"))).toEqual(completed(undefined));
});

test("what an ended body left behind is blamed on it: the body that runs is rescued", async () => {
  const pool = await startPool();
  const type = pool.type("fails");
  const blamed = pool.event("thread.blamed");
  const guilty = pool.give(type, { way: "leavesBehind" });
  const neighbour = pool.give(type, { way: "setsOffBomb" });
  expect(await guilty.outcome).toEqual(completed(undefined));
  expect(await neighbour.outcome).toEqual({
    kind: "rescued",
    reason: `job ${guilty.task.id}, which had ended, ended the thread: left behind`,
  });
  expect(await blamed).toMatchObject({ jobId: guilty.task.id });
});

test.each([
  ["missing.mjs", "missing", "ModuleLoadFailed", "Cannot find module"],
  ["throws.mjs", "throws", "ModuleLoadFailed", "this module cannot be loaded"],
  ["nothing.mjs", "nothing", "UnknownJob", "has no job as its default export"],
  ["other-name.mjs", "mine", "UnknownJob", 'defines job "another", not "mine"'],
  ["throws-here.mjs", "throws-here", "ModuleLoadFailed", "only the main thread may load this"],
  ["nothing-here.mjs", "nothing-here", "UnknownJob", "has no job as its default export"],
])("a module that can't serve (%s) fails its own jobs only", async (file, name, errorName, message) => {
  const pool = await startPool();
  const outcome = await pool.run(pool.type(name, broken(file)));
  expect(outcome).toEqual(
    failed({ kind: "error", name: errorName, message: expect.stringContaining(message), final: false }),
  );
  expect(await pool.run(pool.type("noop"))).toEqual(completed(undefined));
});

test.each(["never-here", "spins-here"])(
  "a module that does not finish loading in a thread (%s) fails its job when its time is over",
  async (name) => {
    const pool = await startPool({ spares: 1, loadLimitMs: 1_500, captureStack: true });
    const given = pool.give(pool.type(name, broken(`${name}.mjs`)));
    const next = pool.give(pool.type("noop"));
    const outcome = await given.outcome;
    const message = expect.stringContaining("its module did not finish loading in 1500 ms");
    expect(outcome).toEqual(failed({ kind: "timeout", message, final: false }));
    const frames = outcome.kind === "failed" ? outcome.failure.report?.frames : undefined;
    if (name === "spins-here") expect(frames?.[0]).toMatchObject({ function: "spins", line: 5 });
    expect(await next.outcome).toEqual(completed(undefined));
  },
);

test("a module that hangs as it is loaded ahead does not hold up what waits behind it", async () => {
  const pool = new TestPool({ loadLimitMs: 1_500 });
  onTestFinished(() => pool.pool.stop().then(() => {}));
  // Before there is a thread: the first that comes loads what was used, and only then gets what waits.
  const hangs = pool.give(pool.type("spins-here", broken("spins-here.mjs")));
  const next = pool.give(pool.type("noop"));
  await pool.pool.start();
  const message = expect.stringContaining("its module did not finish loading in 1500 ms");
  expect(await hangs.outcome).toEqual(failed({ kind: "timeout", message, final: false }));
  expect(await next.outcome).toEqual(completed(undefined));
});

test("no args at all arrive as undefined, so that defaults work", async () => {
  const pool = await startPool();
  const outcome = await pool.run(pool.type("echo"), null);
  expect(outcome).toMatchObject({ kind: "completed", value: { args: undefined } });
});

test("a buffer in a result is a copy: what a module keeps is whole for the next job", async () => {
  const pool = await startPool();
  const type = pool.type("shares");
  for (const _ of [1, 2]) {
    expect(await pool.run(type, { way: "kept" })).toEqual(completed(new Uint8Array([1, 2, 3])));
  }
});
