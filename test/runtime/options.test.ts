import fc from "fast-check";
import { expect, test } from "vitest";
import { rabbitmq } from "../../src/amqp/index.ts";
import { memory } from "../../src/embedded/index.ts";
import type { InvalidOptions } from "../../src/runtime/errors.ts";
import { checkOptions, optionNames } from "../../src/runtime/options.ts";

const defaults = { broker: memory, node: () => "node-1" };

function problems(options: unknown): readonly string[] {
  try {
    checkOptions(options, defaults);
    return [];
  } catch (error) {
    expect(error).toMatchObject({ code: "InvalidOptions" });
    return (error as InvalidOptions).problems;
  }
}

test("nothing given is the documented defaults", () => {
  const options = checkOptions({ threads: 4 }, defaults);
  expect(options).toMatchObject({
    node: "node-1",
    threads: 4,
    spares: 1,
    watermark: 4,
    maxWedged: 4,
    graceMs: { timeout: 0, cancel: 1_000, shutdown: 1_000 },
    captureStack: true,
    retryLevels: [1, 3, 5, 10, 20, 35, 60, 100, 200, 400, 1000, 1800],
    maxCrashes: 3,
    payloadLimitBytes: 262_144,
    resultLimitBytes: 262_144,
    shutdownTimeoutMs: 15_000,
    partitions: {},
    callbacks: [],
  });
  expect(checkOptions({ threads: 4, jobsPerThread: 50 }, defaults).watermark).toBe(200);
  expect(checkOptions({}, defaults).threads).toBeGreaterThanOrEqual(2);
});

const orders = { exchange: "orders", type: "fanout", toJob: () => ({ job: "order" }) };

const queue = (more: object) => ({ partitions: { a: { q: { concurrency: 1, ...more } } } });

const onRabbit = (more: object) => ({ broker: rabbitmq(), ...queue({ bindings: [{ ...orders, ...more }] }) });

test.each([
  [{ thread: 2 }, 'there is no option "thread"; did you mean "threads"?'],
  [{ grace: { cancell: 1 } }, 'there is no option "grace.cancell"; did you mean "grace.cancel"?'],
  [
    { callbacks: { onBurried: () => {} } },
    'there is no option "callbacks.onBurried"; did you mean "callbacks.onBuried"?',
  ],
  [{ zebra: 1 }, 'there is no option "zebra"'],
  [{ jobsPerThread: 0 }, "jobsPerThread: expected a value between 1 and 1000"],
  [{ pools: { a: {} } }, "pools.a.threads: "],
  [{ pools: { "a b": { threads: 1 } } }, 'pools: "a b"'],
  [{ pools: { a: { thread: 1 } } }, 'there is no option "pools.a.thread"; did you mean "pools.a.threads"?'],
  [
    { pools: { a: { threads: 1, memoryLimit: "1 MB" } } },
    "pools.a.memoryLimit: a thread itself takes some 8 MB",
  ],
  [{ memoryLimit: "lots" }, 'memoryLimit: expected a number of bytes, or text like "256 MB"'],
  [{ memoryLimit: "8 MB" }, 'memoryLimit: a thread itself takes some 8 MB; give at least "16 MB"'],
  [
    { memoryLimit: "1 GB", resourceLimits: { maxOldGenerationSizeMb: 512 } },
    "memoryLimit is 1024 MB and must lie below resourceLimits.maxOldGenerationSizeMb (512)",
  ],
  [{ recycle: { job: 5 } }, 'there is no option "recycle.job"; did you mean "recycle.jobs"?'],
  [{ recycle: { minutes: 0 } }, "recycle.minutes: expected a number of minutes above 0"],
  [{ recycle: { heap: "1 GB" }, memoryLimit: "512 MB" }, "recycle.heap must lie below memoryLimit"],
  [
    { recycle: { heap: "256 MB" }, pools: { a: { threads: 1, memoryLimit: "64 MB" } } },
    "recycle.heap must lie below pools.a.memoryLimit",
  ],
  [
    { memoryLimit: "1 GB", pools: { a: { threads: 1, resourceLimits: { maxOldGenerationSizeMb: 64 } } } },
    "pools.a.memoryLimit: the runtime's memoryLimit does not lie below this pool's resourceLimits",
  ],
  [
    { memoryLimit: "512 MB", processes: { memoryLimit: "512 MB" } },
    "processes.memoryLimit must lie above memoryLimit",
  ],
  [
    { grace: { shutdown: "2 minutes" }, shutdownTimeout: "30 seconds" },
    "grace.shutdown is longer than shutdownTimeout by over a minute",
  ],
  [{ pools: { a: { threads: 0 } } }, "pools.a.threads: expected a value between 1 and 256"],
  [{ threads: 0 }, "threads: expected a value between 1 and 256"],
  [{ threads: Number.NaN }, "threads: expected"],
  [{ threads: "2" }, "threads: expected"],
  [{ spares: -1 }, "spares: expected"],
  [{ threads: 2, watermark: 3 }, "watermark is 3, but 2 threads run one body each"],
  [{ threads: 2, jobsPerThread: 5, watermark: 11 }, "watermark is 11, but 2 threads run 5 bodies each"],
  [{ shutdownTimeout: "15 parsecs" }, "shutdownTimeout: "],
  [{ shutdownTimeout: -1 }, "shutdownTimeout: "],
  [{ grace: Number.POSITIVE_INFINITY }, "grace: "],
  [{ retryLevels: [0.5] }, "retryLevels: levels are whole seconds"],
  [{ partitions: { "a b": { default: 1 } } }, 'partitions: "a b"'],
  [{ partitions: { a: { "q.r": 1 } } }, 'partitions.a: "q.r"'],
  [{ partitions: { a: { q: 1.5 } } }, "partitions.a.q: expected an integer"],
  [{ partitions: { a: 5 } }, "partitions.a: expected"],
  [{ partitions: { a: { q: {} } } }, "partitions.a.q.concurrency: expected an integer"],
  [{ partitions: { a: { q: { concurrency: 1, binding: [] } } } }, 'did you mean "partitions.a.q.bindings"?'],
  [queue({ bindings: {} }), "partitions.a.q.bindings: expected a list"],
  [queue({ bindings: [orders] }), "partitions.a.q.bindings: needs rabbitmq({ … }); the memory broker has"],
  [onRabbit({ toJob: 5 }), "partitions.a.q.bindings[0].toJob: expected a function"],
  [onRabbit({ exchange: "" }), "partitions.a.q.bindings[0].exchange: the default exchange"],
  [onRabbit({ exchange: "x".repeat(256) }), "bindings[0].exchange: an exchange has at most 255 bytes"],
  [
    onRabbit({ type: "x-delayed-message" }),
    'bindings[0].type: expected "direct", "topic", "fanout" or "headers"',
  ],
  [onRabbit({ type: undefined }), 'bindings[0].type: expected "direct"'],
  [onRabbit({ durable: 1 }), "bindings[0].durable: expected true or false"],
  [onRabbit({ routingKey: 7 }), "bindings[0].routingKey: a routing key is text"],
  [
    onRabbit({ arguments: { a: {} } }),
    "bindings[0].arguments.a: expected a short text, a number, true or false",
  ],
  [onRabbit({ rountingKey: "a" }), 'did you mean "partitions.a.q.bindings[0].routingKey"?'],
  [{ broker: "memory" }, "broker: "],
  [{ broker: {} }, "broker: expected memory(), embedded({ path }) or rabbitmq({ url })"],
  [{ callbacks: { onError: 5 } }, "callbacks.onError: expected a function"],
  [{ logger: { info() {} } }, 'logger: has no function "debug"'],
  [{ payloadLimit: 0 }, "payloadLimit: expected"],
  [{ node: "" }, "node: expected"],
  [5, "options: expected"],
])("%j is refused: %s", (options, problem) => {
  expect(problems(options)).toEqual(expect.arrayContaining([expect.stringContaining(problem)]));
});

test("memory is bytes or text, minutes are a number or a duration", () => {
  const of = (options: object) => checkOptions(options, defaults);
  expect(of({ memoryLimit: 268_435_456 }).memoryLimitBytes).toBe(268_435_456);
  expect(of({ memoryLimit: "256 MB" }).memoryLimitBytes).toBe(268_435_456);
  expect(of({ memoryLimit: "1.5GiB" }).memoryLimitBytes).toBe(1_610_612_736);
  expect(of({ recycle: { jobs: 1_000, minutes: 1.5, heap: "64 MB" } }).recycle).toEqual({
    jobs: 1_000,
    ageMs: 90_000,
    heapBytes: 67_108_864,
  });
  expect(of({ recycle: { minutes: "90 seconds" } }).recycle).toEqual({ ageMs: 90_000 });
});

test("all problems are told at once", () => {
  expect(problems({ thread: 2, spares: -1, maxCrashes: 0 })).toHaveLength(3);
  expect(problems({ watermark: 9, threads: 2, shutdownTimeout: "x", retryLevels: [0] })).toHaveLength(3);
});

test("whatever is given, the answer is checked options or InvalidOptions with a reason", () => {
  const value = fc.oneof(fc.anything(), fc.constantFrom(0, -1, 1, 2, "1 second", [], {}, true));
  const options = fc.dictionary(fc.constantFrom(...optionNames, "other"), value, { maxKeys: 4 });
  fc.assert(fc.property(options, (given) => void problems(given)));
});
