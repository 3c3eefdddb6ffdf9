/** createJob and prepare: checked, frozen jobs, and envelopes made of them. */
import { expect, expectTypeOf, test } from "vitest";
import { z } from "zod";
import { decodeEnvelope } from "../../src/jobs/codec.ts";
import {
  checkPayload,
  createJob,
  encodeJob,
  envelopeOf,
  type Job,
  Prepared,
  prepare,
} from "../../src/jobs/create.ts";
import { defineJob } from "../../src/jobs/definition.ts";
import { Envelope } from "../../src/jobs/envelope.ts";
import { InvalidArgs, InvalidJob, PayloadTooLarge } from "../../src/jobs/errors.ts";

const resize = defineJob({
  name: "resize",
  args: z.object({ id: z.number() }),
  queue: (args) => (args.id > 100 ? "large" : "small"),
  queueKey: (args) => `resize:${args.id}`,
  executionKey: (args) => (args.id === 0 ? undefined : `user:${args.id}`),
  maxExecutionTime: "30 seconds",
  perform: (args) => args.id,
});
const plain = defineJob({ name: "plain", perform: (args: unknown) => args });
const late = defineJob({
  name: "late",
  args: z.object({ id: z.number().refine(async (id) => id > 0, "must be positive") }),
  queueKey: (args) => `late:${args.id}`,
  perform: (args) => args.id,
});

test("a job has its id, its keys, its queue and its args", () => {
  const job = createJob(resize, { id: 7 });
  expect(job).toMatchObject({
    job: "resize",
    args: { id: 7 },
    argsText: '{"id":7}',
    queue: "small",
    queueKey: "resize:7",
    executionKey: "user:7",
    maxExecutionTimeMs: 30_000,
  });
  expect(job.id).toMatch(/^[-0-9A-Z_a-z]{27}$/);
  expectTypeOf(job).toEqualTypeOf<Job<{ id: number }, number>>();
});

test("a key function may say that there is no key", () => {
  expect(createJob(resize, { id: 0 }).executionKey).toBeUndefined();
});

test("a job is frozen all the way down, apart from what the caller holds", () => {
  const args = { list: [{ x: 1 }] };
  const job = createJob(plain, args);
  args.list.push({ x: 2 });
  expect(job.args).toEqual({ list: [{ x: 1 }] });
  expect(() => Object.assign(job, { id: "other" })).toThrow(TypeError);
  expect(() => (job.args as typeof args).list.push({ x: 3 })).toThrow(TypeError);
  expect(Object.isFrozen((job.args as typeof args).list[0])).toBe(true);
});

test("a caller's id is kept, a bad one is refused", () => {
  expect(createJob(resize, { id: 1 }, { id: "mine" }).id).toBe("mine");
  expect(() => createJob(resize, { id: 1 }, { id: "" })).toThrow(InvalidJob);
  expect(() => createJob(resize, { id: 1 }, { id: "a\nb" })).toThrow(
    'job "resize": id: an id has no control',
  );
  expect(() => createJob(resize, { id: 1 }, { id: "x".repeat(256) })).toThrow("at most 255 bytes");
});

test.each([
  ["a queue that is no name", { queue: () => "a.b" }, "queue: the function's answer is no name"],
  ["a queue that is nothing", { queue: () => undefined }, "queue: the function's answer is no name"],
  ["a key that is a number", { queueKey: () => 5 }, "queueKey: the function's answer is no key"],
  [
    "an empty key",
    { executionKey: () => "" },
    "executionKey: the function's answer is no key: a key is not empty",
  ],
  ["a promise of a key", { queueKey: async () => "x" }, "queueKey: the function's answer is no key"],
])("%s is refused", (_what, fields, problem) => {
  const define = defineJob as (options: unknown) => typeof plain;
  const job = define({ name: "bad", perform: () => 1, ...fields });
  expect(() => createJob(job, 1)).toThrow(InvalidJob);
  expect(() => createJob(job, 1)).toThrow(problem);
});

test("a key function that throws is the job's problem, with its cause", () => {
  const cause = new TypeError("args.user is undefined");
  const job = defineJob({
    name: "bad",
    queueKey: () => {
      throw cause;
    },
    perform: (args: unknown) => args,
  });
  expect(() => createJob(job, 1)).toThrow(expect.objectContaining({ code: "InvalidJob", cause }));
});

test("args above the payload limit are refused, counted in bytes of UTF-8", () => {
  const limit = { payloadLimitBytes: 100 };
  expect(createJob(plain, "x".repeat(98), limit).argsText.length).toBe(100);
  expect(() => createJob(plain, "x".repeat(99), limit)).toThrow(PayloadTooLarge);
  expect(() => createJob(plain, "é".repeat(50), limit)).toThrow("are 102 bytes, the limit is 100");
  expect(createJob(plain, "é".repeat(49), limit).argsText.length).toBe(51);
});

test("args that fail the schema are refused before any key function is called", () => {
  const wrong = { id: "7" } as unknown as { id: number };
  expect(() => createJob(resize, wrong)).toThrow(InvalidArgs);
});

test("createJob sends a schema that answers later to enqueue", () => {
  expect(() => createJob(late, { id: 1 })).toThrow(InvalidArgs);
  expect(() => createJob(late, { id: 1 })).toThrow("enqueue the args instead");
  expect(() => createJob(late, { id: -1 })).toThrow("enqueue the args instead");
});

test("prepare makes no promise where the schema makes none", () => {
  expect(prepare(resize, { id: 1 })).toBeInstanceOf(Prepared);
  expect(prepare(plain, { id: 1 })).toBeInstanceOf(Prepared);
});

test("prepare waits for a schema that answers later", async () => {
  const prepared = prepare(late, { id: 5 }, { id: "mine" });
  expect(prepared).toBeInstanceOf(Promise);
  expect(await prepared).toMatchObject({ id: "mine", job: "late", queueKey: "late:5", argsText: '{"id":5}' });
  await expect(prepare(late, { id: -5 })).rejects.toMatchObject({
    code: "InvalidArgs",
    issues: [{ path: "id", message: "must be positive" }],
  });
});

test("without a schema the key functions get the args as they were given", () => {
  const given = { at: new Date(5) };
  let seen: unknown;
  const job = defineJob({
    name: "plain",
    queueKey: (args: { at: Date }) => {
      seen = args;
      return "k";
    },
    perform: (args: { at: Date }) => args.at,
  });
  prepare(job, given);
  expect(seen).toBe(given);
});

test("an envelope is a first attempt, in the place that it is given", () => {
  const job = createJob(resize, { id: 7 }, { id: "mine" });
  expect(envelopeOf(job, { partition: "p", now: 5 })).toEqual(
    new Envelope({
      id: "mine",
      job: "resize",
      partition: "p",
      queue: "small",
      queueKey: "resize:7",
      executionKey: "user:7",
      maxExecutionTimeMs: 30_000,
      enqueuedAt: 5,
      argsText: '{"id":7}',
    }),
  );
  const other = envelopeOf(job, {
    partition: "p",
    queue: "q",
    now: 5,
    levels: [1],
    replyTo: "n",
    trace: "t",
  });
  expect(other).toMatchObject({ queue: "q", levels: [1], replyTo: "n", trace: "t" });
});

test("a created job can be written to the wire and read back", () => {
  const job = createJob(resize, { id: 7 });
  const decoded = decodeEnvelope(encodeJob(job, "myapp"));
  expect(decoded).toMatchObject({
    ok: true,
    envelope: { id: job.id, job: "resize", partition: "myapp", queue: "small", argsText: '{"id":7}' },
  });
  expect(decodeEnvelope(encodeJob(job))).toMatchObject({ ok: true, envelope: { partition: "default" } });
  expect(() => encodeJob(job, "a.b")).toThrow(InvalidJob);
});

test("args may be left out where the schema or perform takes none", () => {
  const tick = defineJob({ name: "tick", perform() {} });
  expect(createJob(tick)).toMatchObject({ args: undefined, argsText: "null" });
  // @ts-expect-error resize has args
  expect(() => createJob(resize)).toThrow(InvalidArgs);
});

test("what is no definition is refused before anything is made of it", () => {
  const lookalike = { name: "resize", queue: "default", perform: () => 1 };
  for (const wrong of [undefined, "resize", {}, lookalike]) {
    expect(() => createJob(wrong as unknown as typeof plain, 1)).toThrow("made by defineJob");
  }
});

test("a job that was created elsewhere can be held against a limit", () => {
  expect(() => checkPayload("resize", "x".repeat(101), 100)).toThrow(PayloadTooLarge);
  expect(() => checkPayload("resize", "é".repeat(51), 100)).toThrow("are 102 bytes");
  checkPayload("resize", "é".repeat(50), 100);
});

test("a schema may answer with a thenable of its own", async () => {
  const validate = (value: unknown) =>
    // biome-ignore lint/suspicious/noThenProperty: the thenable is what is tested
    ({ then: (done: (result: unknown) => void) => done({ value: [value] }) }) as never;
  const args = { "~standard": { version: 1, vendor: "t", validate } } as const;
  const job = defineJob({ name: "thenable", args, queueKey: (out) => `${out}`, perform: () => 1 });
  const prepared = prepare(job, 5);
  expect(prepared).toBeInstanceOf(Promise);
  expect(await prepared).toMatchObject({ queueKey: "5" });
});
