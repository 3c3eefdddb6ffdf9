/** defineJob: the frozen definition, every refusal, and the types that flow. */
import { expect, expectTypeOf, test } from "vitest";
import { z } from "zod";
import type { JobContext } from "../../src/jobs/context.ts";
import {
  type AnyJobDefinition,
  defineJob,
  type InputOf,
  isJobDefinition,
  type ResultOf,
} from "../../src/jobs/definition.ts";
import { InvalidJob } from "../../src/jobs/errors.ts";

const perform = () => 1;
const loose = defineJob as (options: unknown) => AnyJobDefinition;

function problemOf(options: unknown): string {
  try {
    loose(options);
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidJob);
    return (error as InvalidJob).message;
  }
  throw new Error("was not refused");
}

test("a definition has its defaults and is frozen", () => {
  const job = defineJob({ name: "resize", perform });
  expect(job).toMatchObject({
    name: "resize",
    args: undefined,
    queue: "default",
    queueKey: undefined,
    executionKey: undefined,
    maxExecutionTimeMs: 0,
    retry: false,
    runsIn: "thread",
    pool: undefined,
    perform,
  });
  expect(Object.isFrozen(job)).toBe(true);
  expect(isJobDefinition(job)).toBe(true);
});

test("every field is taken over, durations in milliseconds", () => {
  const levels = [1, 10, 60];
  const job = defineJob({
    name: "resize",
    queue: "images",
    queueKey: (args: { id: number }) => `resize:${args.id}`,
    executionKey: () => undefined,
    maxExecutionTime: "30 seconds",
    retry: { levels },
    runsIn: "process",
    perform(args: { id: number }) {
      return args.id;
    },
  });
  expect(job).toMatchObject({
    queue: "images",
    maxExecutionTimeMs: 30_000,
    retry: { levels: [1, 10, 60] },
    runsIn: "process",
  });
  levels.push(5);
  expect(job.retry).toEqual({ levels: [1, 10, 60] });
  expect(job.queueKey?.({ id: 7 })).toBe("resize:7");
});

test.each([
  ["no object", 5, "takes an object"],
  ["nothing", undefined, "takes an object"],
  ["no name", { perform }, "name: a job's name is text, got nothing"],
  ["an empty name", { name: "", perform }, "name: a job's name has 1 to 128 characters"],
  ["a name with a line break", { name: "a\nb", perform }, "no control characters"],
  ["no perform", { name: "a" }, "perform: expected a function, got nothing"],
  [
    "args that are no schema",
    { name: "a", perform, args: { id: "number" } },
    "args: expected a Standard Schema",
  ],
  ["null as args", { name: "a", perform, args: null }, "args: expected a Standard Schema"],
  ["a bad queue", { name: "a", perform, queue: "a.b" }, "queue: a name has 1 to 64 letters"],
  [
    "a key that is text",
    { name: "a", perform, queueKey: "x" },
    'queueKey: expected a function of the args, got "x"',
  ],
  ["an execution key", { name: "a", perform, executionKey: 1 }, "executionKey: expected a function"],
  ["a time of 0", { name: "a", perform, maxExecutionTime: 0 }, "maxExecutionTime: 0 means nothing here"],
  ["a bad unit", { name: "a", perform, maxExecutionTime: "3 secnds" }, 'did you mean "3 seconds"?'],
  ["retry as a number", { name: "a", perform, retry: 3 }, "retry: expected true, false or { levels"],
  ["retry as a list", { name: "a", perform, retry: [1] }, "retry: expected true, false or { levels"],
  ["levels that are none", { name: "a", perform, retry: { levels: 5 } }, "retry: levels is a list"],
  ["levels of 0", { name: "a", perform, retry: { levels: [0] } }, "retry: levels are whole seconds from 1"],
  ["fractions of seconds", { name: "a", perform, retry: { levels: [1.5] } }, "got 1.5"],
  ["65 levels", { name: "a", perform, retry: { levels: new Array(65).fill(1) } }, "at most 64 entries"],
  ["a mistyped level", { name: "a", perform, retry: { levels: [1], level: 2 } }, 'did you mean "levels"?'],
  ["a worker beside a body", { name: "a", perform, runsIn: { worker: "py" } }, "the worker has the body"],
  ["a worker of no name", { name: "a", runsIn: { worker: "" } }, "runsIn: worker: "],
  ["no body", { name: "a" }, "perform: expected a function"],
  [
    "a moon",
    { name: "a", perform, runsIn: "moon" },
    '"moon" is not known; "thread", "process" and { worker: "type" } are',
  ],
  ["a pool that is no name", { name: "a", perform, pool: "a b" }, "pool: "],
  [
    "a pool for a process",
    { name: "a", perform, pool: "image", runsIn: "process" },
    "pool: only threads are in pools",
  ],
  ["a mistyped key", { name: "a", perform, quueKey: 1 }, 'unknown key "quueKey" (did you mean "queueKey"?)'],
])("%s is refused", (_what, options, problem) => {
  expect(problemOf(options)).toContain(problem);
});

test("all problems are named at once, with the job's name", () => {
  const message = problemOf({ name: "resize", queue: "", maxExecutionTime: -1, perform: 1 });
  expect(message).toMatch(/^job "resize": .*queue: .*perform: .*maxExecutionTime: .*docs\/jobs\.md/);
});

test("a function with ~standard is a schema too", () => {
  const schema = Object.assign(() => {}, {
    "~standard": { version: 1, vendor: "t", validate: (v: unknown) => ({ value: v }) } as const,
  });
  expect(loose({ name: "a", args: schema, perform }).args).toBe(schema);
});

test("asking whether a value is a definition never throws", () => {
  const hostile = new Proxy(
    {},
    {
      get() {
        throw new Error("no");
      },
    },
  );
  for (const value of [undefined, null, 1, {}, { name: "a", perform }, hostile]) {
    expect(isJobDefinition(value)).toBe(false);
  }
});

// Types: the assertions below are checked by tsc (`npm run check`); at run time they only have to be called.

test("with a schema, input and output go their own ways", () => {
  const job = defineJob({
    name: "resize",
    args: z.object({ id: z.string().transform(Number), scale: z.number().default(1) }),
    queueKey(args) {
      expectTypeOf(args).toEqualTypeOf<{ id: number; scale: number }>();
      return `${args.id}`;
    },
    queue: (args) => `q${args.scale}`,
    async perform(args, context) {
      expectTypeOf(args).toEqualTypeOf<{ id: number; scale: number }>();
      expectTypeOf(context).toEqualTypeOf<JobContext>();
      return { bytes: args.id };
    },
  });
  expectTypeOf(job.name).toEqualTypeOf<"resize">();
  expectTypeOf<InputOf<typeof job>>().toEqualTypeOf<{ id: string; scale?: number | undefined }>();
  expectTypeOf<ResultOf<typeof job>>().toEqualTypeOf<{ bytes: number }>();
  expect(job.queueKey?.({ id: 3, scale: 1 })).toBe("3");
});

test("without a schema, perform's annotation says what args are", () => {
  const job = defineJob({ name: "mail", perform: async (args: { to: string }) => args.to.length });
  expectTypeOf<InputOf<typeof job>>().toEqualTypeOf<{ to: string }>();
  expectTypeOf<ResultOf<typeof job>>().toEqualTypeOf<number>();
  const method = defineJob({
    name: "mail",
    perform(args: { to: string }, context) {
      expectTypeOf(context).toEqualTypeOf<JobContext>();
      return args.to;
    },
  });
  expectTypeOf<InputOf<typeof method>>().toEqualTypeOf<{ to: string }>();
  expect(method.module).toBe(job.module);
});

test("without a parameter there are no args", () => {
  const job = defineJob({ name: "tick", async perform() {} });
  expectTypeOf<InputOf<typeof job>>().toEqualTypeOf<void>();
  expectTypeOf<ResultOf<typeof job>>().toEqualTypeOf<void>();
  expect(job.args).toBeUndefined();
});

test("definitions of any args fit into one list", () => {
  const list: readonly AnyJobDefinition[] = [
    defineJob({ name: "a", args: z.object({ id: z.number() }), perform: (args) => args.id }),
    defineJob({ name: "b", queueKey: (args: string) => args, perform: (args: string) => args }),
    defineJob({ name: "c", perform() {} }),
  ];
  expect(list.map((job) => job.name)).toEqual(["a", "b", "c"]);
});

test("what does not fit is found by the compiler", () => {
  const options = { name: "a", args: z.object({ id: z.number() }) };
  // @ts-expect-error the schema has no `name`
  defineJob({ ...options, perform: (args) => args.name });
  // @ts-expect-error perform takes other args than the schema gives
  defineJob({ ...options, perform: (args: { id: string }) => args });
  expect(() => {
    // @ts-expect-error a unit that does not exist
    defineJob({ name: "a", maxExecutionTime: "5 fortnights", perform });
  }).toThrow(InvalidJob);
  expect(() => {
    // @ts-expect-error perform is missing
    defineJob({ name: "a" });
  }).toThrow(InvalidJob);
});
