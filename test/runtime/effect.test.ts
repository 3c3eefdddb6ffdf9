/**
 * The runtime as an Effect service: its layer's scope starts and stops it, its errors are typed by their tag.
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as Stream from "effect/Stream";
import { expect, test } from "vitest";
import { memory } from "../../src/embedded/index.ts";
import { defineJob } from "../../src/jobs/definition.ts";
import { Spillway } from "../../src/runtime/effect.ts";
import { Runtime } from "../../src/runtime/runtime.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const fixture = (name: string) => new URL(`../fixtures/jobs/${name}.mjs`, import.meta.url);

const running = Spillway.layer({
  broker: memory(),
  logger: quiet,
  jobs: [fixture("echo"), fixture("fails")],
  partitions: { p: { default: 2 } },
  threads: 1,
  spares: 0,
});
const producer = Spillway.layer({ broker: memory(), logger: quiet, partitions: { p: { default: 0 } } });
/** The fixture's definition, with types. */
const typed = defineJob({
  name: "echo",
  perform: (args: { n: number }, { id }): { args: { n: number }; id: string } => ({ args, id }),
});

test("the layer starts a runtime, and stops it when its scope closes", async () => {
  const program = Effect.gen(function* () {
    const spillway = yield* Spillway;
    const handle = yield* spillway.enqueue(typed, { n: 1 }, { partition: "p" });
    const result: { args: { n: number }; id: string } = yield* spillway.result(handle);
    const executed = yield* spillway.execute(typed, { n: 2 }, { partition: "p" });
    const named = yield* spillway.execute("echo", { n: 3 }, { partition: "p" });
    return { results: [result.args.n, executed.args.n, named], runtime: spillway.runtime };
  });
  const { results, runtime } = await Effect.runPromise(Effect.provide(program, running));
  expect(results).toEqual([1, 2, expect.objectContaining({ args: { n: 3 } })]);
  expect(runtime.system.isActive()).toBe(false);
  await expect(runtime.enqueue(typed, { n: 4 }, { partition: "p" })).rejects.toMatchObject({
    code: "RuntimeStopped",
  });
});

test("errors are failures by their tag, which catchTag knows at compile time", async () => {
  const program = Effect.gen(function* () {
    const spillway = yield* Spillway;
    yield* spillway.enqueue(typed, { n: 1 }, { partition: "p", id: "same" });
    const holder = yield* spillway.enqueue(typed, { n: 1 }, { partition: "p", id: "same" }).pipe(
      Effect.map(() => "enqueued twice"),
      Effect.catchTag("DuplicateJob", (error) => Effect.succeed(`held by ${error.holder}`)),
    );
    const queue = yield* spillway.enqueue(typed, { n: 1 }, { partition: "p", queue: "nowhere" }).pipe(
      Effect.map(() => "enqueued nowhere"),
      Effect.catchTag(["UnknownQueue", "UnknownPartition"], (error) => Effect.succeed(error._tag)),
    );
    return [holder, queue];
  });
  expect(await Effect.runPromise(Effect.provide(program, producer))).toEqual([
    "held by same",
    "UnknownQueue",
  ]);
});

test("a job that is buried fails the effect with its cause", async () => {
  const program = Effect.gen(function* () {
    const spillway = yield* Spillway;
    return yield* Effect.flip(spillway.execute("fails", undefined, { partition: "p" }));
  });
  const error = await Effect.runPromise(Effect.provide(program, running));
  expect(error).toMatchObject({ _tag: "JobBuried", cause: { code: "JobFailed" } });
});

test("options that do not hold fail the layer", async () => {
  const layer = Spillway.layer({ threads: 0 });
  const exit = await Effect.runPromise(Effect.flip(Effect.provide(Spillway.use(Effect.succeed), layer)));
  expect(exit).toMatchObject({ _tag: "InvalidOptions", problems: [expect.stringContaining("threads")] });
});

test("a mistake in a program is a defect, not a failure", async () => {
  const program = Spillway.use(({ cancel }) => cancel(Symbol("no text") as never, "id"));
  const exit = await Effect.runPromiseExit(Effect.provide(program, producer));
  expect(Exit.hasDies(exit)).toBe(true);
  expect(Exit.hasFails(exit)).toBe(false);
});

test("events are a stream that begins when it is run and ends with the runtime", async () => {
  const runtime = await Runtime.start({ broker: memory(), logger: quiet, partitions: { p: { default: 0 } } });
  const program = Effect.gen(function* () {
    const spillway = yield* Spillway;
    const reading = yield* Effect.forkChild(Stream.runCollect(spillway.events), { startImmediately: true });
    yield* spillway.enqueue(typed, { n: 1 }, { partition: "p", id: "seen" });
    yield* Effect.promise(() => runtime.stop());
    return yield* Fiber.join(reading);
  });
  const events = await Effect.runPromise(Effect.provide(program, Spillway.fromRuntime(runtime)));
  expect(events).toContainEqual(expect.objectContaining({ type: "job.enqueued", id: "seen" }));
});

test("an interrupted wait ends, and the job goes on", async () => {
  const program = Effect.gen(function* () {
    const spillway = yield* Spillway;
    const handle = yield* spillway.enqueue(typed, { n: 1 }, { partition: "p" });
    const waiting = yield* Effect.forkChild(spillway.result(handle), { startImmediately: true });
    yield* Fiber.interrupt(waiting);
    const [queue] = yield* Effect.promise(() => spillway.runtime.queues.list());
    return queue;
  });
  const queue = await Effect.runPromise(Effect.provide(program, producer));
  expect(queue).toMatchObject({ partition: "p", queue: "default", ready: 1 });
});
