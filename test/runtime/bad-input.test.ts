import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { createJob } from "../../src/jobs/create.ts";
import { defineJob } from "../../src/jobs/definition.ts";
import type { RuntimeOptions } from "../../src/runtime/options.ts";
import { startRuntime } from "../../src/runtime/runtime.ts";
import { brokers, jobs, Place, quiet, start } from "./support.ts";

const big = defineJob({ name: "sum", perform: (_args: { text: string }) => 0 });

describe.each(brokers)("on $kind", (kind) => {
  test("args that fail the schema are refused with their path, and nothing is enqueued", async () => {
    const runtime = await start(kind, new Place());
    const refused = runtime.enqueue("sum", { x: "one" }, { partition: "p" });
    await expect(refused).rejects.toMatchObject({ code: "InvalidArgs", issues: [{ path: "x" }] });
    expect((await runtime.node.counts()).accepted).toBe(0);
  });

  test("args that cannot travel as JSON are refused", async () => {
    const runtime = await start(kind, new Place());
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    for (const args of [cycle, { n: 1n }, () => {}])
      await expect(runtime.enqueue("hold", args, { partition: "p" })).rejects.toMatchObject({
        code: "InvalidArgs",
      });
  });

  test("a payload above the limit is refused, at it it is taken; also of a job made before", async () => {
    const runtime = await start(kind, new Place(), { payloadLimit: 100, partitions: { p: { default: 0 } } });
    const at = { text: "x".repeat(100 - '{"text":""}'.length) };
    const above = { text: `${at.text}x` };
    await runtime.enqueue(big, at, { partition: "p" });
    await expect(runtime.enqueue(big, above, { partition: "p" })).rejects.toMatchObject({
      code: "PayloadTooLarge",
      bytes: 101,
    });
    const made = createJob(big, above);
    await expect(runtime.enqueue(made, undefined, { partition: "p" })).rejects.toMatchObject({
      code: "PayloadTooLarge",
    });
  });

  test("an unknown partition and an unknown queue are refused by name", async () => {
    const runtime = await start(kind, new Place());
    await expect(runtime.enqueue("sum", { x: 1 }, { partition: "nope" })).rejects.toMatchObject({
      code: "UnknownPartition",
      partition: "nope",
    });
    await expect(runtime.enqueue("sum", { x: 1 }, { partition: "p", queue: "nope" })).rejects.toMatchObject({
      code: "UnknownQueue",
      queue: "nope",
    });
    await expect(runtime.buried.list("p", "nope")).rejects.toMatchObject({ code: "UnknownQueue" });
    await expect(runtime.queues.pause("nope", "default")).rejects.toMatchObject({ code: "UnknownPartition" });
    const bindings = [{ exchange: "orders", type: "fanout", toJob: () => ({ job: "sum" }) }] as const;
    await expect(
      runtime.partitions.start("p", { default: { concurrency: 1, bindings } }),
    ).rejects.toMatchObject({ code: "InvalidOptions", message: expect.stringContaining("needs rabbitmq") });
    await expect(runtime.partitions.stop("nope")).rejects.toMatchObject({ code: "PartitionNotRunning" });
  });

  test("names, ids and delays that break a rule are refused in words", async () => {
    const runtime = await start(kind, new Place());
    const enqueue = (options: object) => runtime.enqueue("sum", { x: 1 }, { partition: "p", ...options });
    await expect(enqueue({ partition: "a.b" })).rejects.toMatchObject({ code: "InvalidJob" });
    await expect(enqueue({ queue: "a b" })).rejects.toMatchObject({ code: "InvalidJob" });
    await expect(enqueue({ id: "a\u0000b" })).rejects.toMatchObject({ code: "InvalidJob" });
    await expect(enqueue({ id: "x".repeat(256) })).rejects.toMatchObject({ code: "InvalidJob" });
    await expect(enqueue({ runAt: new Date("never") })).rejects.toMatchObject({ code: "InvalidJob" });
    await expect(enqueue({ delay: 1, runAt: 2 })).rejects.toMatchObject({ code: "InvalidJob" });
    await expect(enqueue({ delay: "10000 days" })).rejects.toMatchObject({ code: "DelayTooLong" });
    await expect(enqueue({ delay: "soon" })).rejects.toThrow(/delay/);
  });

  test("some of many refused: each index has its handle or its error, and the good ones run", async () => {
    const runtime = await start(kind, new Place());
    const error = await runtime
      .enqueueMany("sum", [{ x: 1 }, { x: "two" }, { x: 3 }], { partition: "p" })
      .then(
        () => undefined,
        (thrown) => thrown,
      );
    expect(error).toMatchObject({
      code: "EnqueueManyFailed",
      outcomes: [{ index: 0 }, { index: 1, error: { code: "InvalidArgs" } }, { index: 2 }],
    });
    expect(await error.outcomes[0].handle.result()).toBe(2);
    expect(await error.outcomes[2].handle.result()).toBe(4);
  });

  test("a loop of enqueues never starves the process", async () => {
    const runtime = await start(kind, new Place(), { partitions: { p: { default: 0 } } });
    let turns = 0;
    const count = () => {
      turns++;
      timer = setImmediate(count);
    };
    let timer = setImmediate(count);
    for (let i = 0; i < 2_000; i++) await runtime.enqueue("sum", { x: 1 }, { partition: "p" });
    clearImmediate(timer);
    expect(turns).toBeGreaterThanOrEqual(7);
  });
});

test("a folder of jobs that is not there, and a module that is no job, are errors at start", async () => {
  const [kind] = brokers;
  const place = new Place();
  const broker = kind.of(place);
  const start = (jobs: unknown) => startRuntime({ broker, jobs, logger: quiet } as never, {});
  await expect(start(new URL("./nowhere/", import.meta.url))).rejects.toMatchObject({ code: "InvalidJob" });
  await expect(start([new URL("../fixtures/broken/nothing.mjs", import.meta.url)])).rejects.toMatchObject({
    code: "InvalidJob",
  });
  await expect(start([5])).rejects.toMatchObject({ code: "InvalidOptions" });
});

test("two jobs of one name are an error at start, in a folder and in a list", async () => {
  const [kind] = brokers;
  const place = new Place();
  const file = (name: string) => {
    const path = join(place.folder, name);
    writeFileSync(path, 'export default { name: "same", perform() {} };');
    return path;
  };
  const [first, second] = [file("a.mjs"), file("b.mjs")];
  const start = (jobs: NonNullable<RuntimeOptions["jobs"]>) =>
    startRuntime({ broker: kind.of(place), jobs, logger: quiet }, {});
  await expect(start(place.folder)).rejects.toMatchObject({
    code: "InvalidJob",
    message: expect.stringContaining("a.mjs and "),
  });
  const made = { ...defineJob({ name: "same", perform() {} }), module: pathToFileURL(second).href };
  await expect(start([made, first])).rejects.toMatchObject({
    code: "InvalidOptions",
    message: expect.stringMatching(/two jobs are named "same", in .*b\.mjs and .*a\.mjs/),
  });
});

test("what can only be known in a thread fails its jobs with that reason, and no other's", async () => {
  const [kind] = brokers;
  const broken = ["throws-here.mjs", "nothing-here.mjs"].map(
    (name) => new URL(`../fixtures/broken/${name}`, import.meta.url),
  );
  const runtime = await start(kind, new Place(), { jobs: [...broken, jobs] });
  const run = (job: string) => runtime.execute(job, { x: 1 }, { partition: "p" });
  await expect(run("throws-here")).rejects.toMatchObject({
    code: "JobBuried",
    message: expect.stringContaining("only the main thread may load this"),
  });
  await expect(run("nothing-here")).rejects.toMatchObject({
    code: "JobBuried",
    message: expect.stringContaining("has no job as its default export"),
  });
  expect(await run("sum")).toBe(2);
});

test("a folder that another runtime holds is BrokerInUse with its holder, and its own runtime goes on", async () => {
  const [, kind] = brokers;
  const place = new Place();
  const runtime = await start(kind, place, { node: "holder" });
  const second = startRuntime({ broker: kind.of(place), jobs, logger: quiet }, {});
  await expect(second).rejects.toMatchObject({
    code: "BrokerInUse",
    holder: { pid: process.pid, node: "holder" },
  });
  expect(await runtime.execute("sum", { x: 1 }, { partition: "p" })).toBe(2);
});
