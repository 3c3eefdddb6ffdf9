/** Three schema libraries through the same door: types flow, refusals name the path, the input travels. */
import * as Schema from "effect/Schema";
import * as v from "valibot";
import { expect, expectTypeOf, test } from "vitest";
import { z } from "zod";
import { parseArgs, validateArgs } from "../../src/jobs/args.ts";
import { createJob } from "../../src/jobs/create.ts";
import { defineJob, type InputOf } from "../../src/jobs/definition.ts";
import { InvalidArgs } from "../../src/jobs/errors.ts";

interface In {
  readonly user: { readonly id: string };
  readonly tags: readonly string[];
}
interface Out {
  readonly user: { readonly id: number };
  readonly tags: readonly string[];
}

const withZod = defineJob({
  name: "zod",
  args: z.object({
    user: z.object({ id: z.string().regex(/^\d+$/).transform(Number) }),
    tags: z.array(z.string()),
  }),
  queueKey: (args) => `user:${args.user.id + 1}`,
  perform: (args) => args,
});

const withValibot = defineJob({
  name: "valibot",
  args: v.object({
    user: v.object({ id: v.pipe(v.string(), v.digits(), v.transform(Number)) }),
    tags: v.array(v.string()),
  }),
  queueKey: (args) => `user:${args.user.id + 1}`,
  perform: (args) => args,
});

const withEffect = defineJob({
  name: "effect",
  args: Schema.toStandardSchemaV1(
    Schema.Struct({
      user: Schema.Struct({ id: Schema.FiniteFromString }),
      tags: Schema.Array(Schema.String),
    }),
  ),
  queueKey: (args) => `user:${args.user.id + 1}`,
  perform: (args) => args,
});

const all = [withZod, withValibot, withEffect] as const;

test("input and output types come out of each library", () => {
  for (const job of all) {
    expectTypeOf<InputOf<typeof job>>().toExtend<In>();
    expectTypeOf<Parameters<typeof job.perform>[0]>().toExtend<Out>();
    expect(job.args).toBeDefined();
  }
});

test.each(all)("$name: keys get the output, the input travels", (definition) => {
  const args = { user: { id: "41" }, tags: ["a"] };
  const job = createJob(definition as typeof withZod, args);
  expect(job.queueKey).toBe("user:42");
  expect(parseArgs(job.argsText)).toEqual(args);
});

test.each(all)("$name: what passes at enqueue passes again in the thread", (definition) => {
  const { args: schema, name } = definition as typeof withZod;
  const job = createJob(definition as typeof withZod, { user: { id: "7" }, tags: [] });
  if (schema === undefined) throw new Error("no schema");
  expect(validateArgs(name, schema, job.argsText)).toEqual({ user: { id: 7 }, tags: [] });
});

test.each(all)("$name: a refusal names the path of each wrong place", (definition) => {
  const wrong = { user: { id: "x" }, tags: ["a", 5] } as unknown as InputOf<typeof withZod>;
  const error = thrownBy(() => createJob(definition as typeof withZod, wrong));
  expect(error).toBeInstanceOf(InvalidArgs);
  const paths = (error as InvalidArgs).issues.map((issue) => issue.path);
  expect(paths).toEqual(["user.id", "tags[1]"]);
  expect((error as InvalidArgs).message).toContain(`job "${definition.name}"`);
});

test("values that JSON changes are judged as they arrive", () => {
  const dated = defineJob({ name: "dated", args: z.object({ at: z.date() }), perform: () => 1 });
  expect(thrownBy(() => createJob(dated, { at: new Date() }))).toMatchObject({ issues: [{ path: "at" }] });
  const coerced = defineJob({
    name: "dated",
    args: z.object({ at: z.coerce.date<Date | string>() }),
    queueKey: (args) => args.at.toISOString(),
    perform: () => 1,
  });
  const at = new Date("2026-01-02T03:04:05Z");
  expect(createJob(coerced, { at }).queueKey).toBe("2026-01-02T03:04:05.000Z");
});

test("an optional schema takes no args at all", () => {
  const job = defineJob({
    name: "maybe",
    args: z.object({ id: z.number() }).optional(),
    perform: (args) => args?.id,
  });
  expect(createJob(job).argsText).toBe("null");
  expect(createJob(job, { id: 1 }).argsText).toBe('{"id":1}');
});

function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}
