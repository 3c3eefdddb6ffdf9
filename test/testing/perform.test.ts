/**
 * `perform`: a body without a thread, under the same rules for what goes in and comes out.
 */
import * as v from "valibot";
import { expect, test } from "vitest";
import { createJob } from "../../src/jobs/create.ts";
import { defineJob } from "../../src/jobs/definition.ts";
import { Snooze } from "../../src/jobs/signals.ts";
import { perform, testContext } from "../../src/testing/index.ts";

const sum = defineJob({
  name: "sum",
  args: v.object({ a: v.number(), b: v.optional(v.number(), 10) }),
  perform: ({ a, b }) => a + b,
});

test("a body runs inline: the schema's output goes in, its result comes out", async () => {
  const result: number = await perform(sum, { a: 1 });
  expect(result).toBe(11);
});

test("a job that createJob made is performed with its own args and id", async () => {
  const whoami = defineJob({ name: "whoami", perform: (args: { n: number }, { id }) => `${id}:${args.n}` });
  expect(await perform(whoami, createJob(whoami, { n: 2 }, { id: "me" }))).toBe("me:2");
});

test("args that enqueue would refuse are refused", async () => {
  await expect(perform(sum, { a: "1" } as never)).rejects.toMatchObject({ code: "InvalidArgs" });
});

test("args travel as JSON, as they would to a thread", async () => {
  const kind = defineJob({ name: "kind", perform: (args: { at: Date }) => typeof args.at });
  expect(await perform(kind, { at: new Date(0) })).toBe("string");
});

test("a result that could not leave a thread is refused", async () => {
  const leaks = defineJob({ name: "leaks", perform: () => () => 1 });
  await expect(perform(leaks, undefined)).rejects.toMatchObject({ name: "DataCloneError" });
});

test("what a body throws is what perform rejects with, a snooze too", async () => {
  const fails = defineJob({
    name: "fails",
    perform() {
      throw new RangeError("too far");
    },
  });
  const sleeps = defineJob({
    name: "sleeps",
    perform: (_: undefined, context) => context.snooze("1 minute"),
  });
  await expect(perform(fails, undefined)).rejects.toThrow(new RangeError("too far"));
  const snoozed = await perform(sleeps, undefined).catch((error: unknown) => error);
  expect(snoozed).toBeInstanceOf(Snooze);
  expect(snoozed).toMatchObject({ delayMs: 60_000 });
});

test("the context says what it was told to, and a test reads what the body said", async () => {
  const talks = defineJob({
    name: "talks",
    perform(_: undefined, { attempt, partition, queue, progress, log }) {
      progress({ half: true });
      log.warn("careful", { attempt });
      return [partition, queue, attempt];
    },
  });
  const context = testContext({ attempt: 3, queue: "slow" });
  expect(await perform(talks, undefined, context)).toEqual(["test", "slow", 3]);
  expect(context.progressed).toEqual([{ half: true }]);
  expect(context.logged).toEqual([{ level: "warn", text: "careful", data: { attempt: 3 } }]);
});

test("a test may abort a body that listens, before it starts or later", async () => {
  const listens = defineJob({
    name: "listens",
    perform: (_: undefined, context) =>
      new Promise<boolean>((resolve) => {
        if (context.signal.aborted) return resolve(context.isCancelled());
        context.signal.addEventListener("abort", () => resolve(context.isCancelled()));
        context.log.info("listening");
      }),
  });
  const early = testContext();
  early.abort();
  expect(await perform(listens, undefined, early)).toBe(true);
  const late = testContext({ log: { ...early.log, info: () => setImmediate(() => late.abort("enough")) } });
  expect(await perform(listens, undefined, late)).toBe(true);
  expect(late.signal.reason).toBe("enough");
});
