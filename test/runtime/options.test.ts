import fc from "fast-check";
import { expect, test } from "vitest";
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
  expect(checkOptions({}, defaults).threads).toBeGreaterThanOrEqual(2);
});

test.each([
  [{ thread: 2 }, 'there is no option "thread"; did you mean "threads"?'],
  [{ grace: { cancell: 1 } }, 'there is no option "grace.cancell"; did you mean "grace.cancel"?'],
  [
    { callbacks: { onBurried: () => {} } },
    'there is no option "callbacks.onBurried"; did you mean "callbacks.onBuried"?',
  ],
  [{ zebra: 1 }, 'there is no option "zebra"'],
  [{ jobsPerThread: 4 }, "jobsPerThread: more than 1 body a thread is not supported yet"],
  [{ pools: {} }, '"pools" is not supported yet'],
  [{ threads: 0 }, "threads: expected a value between 1 and 256"],
  [{ threads: Number.NaN }, "threads: expected"],
  [{ threads: "2" }, "threads: expected"],
  [{ spares: -1 }, "spares: expected"],
  [{ threads: 2, watermark: 3 }, "watermark is 3, but 2 threads run one body each"],
  [{ shutdownTimeout: "15 parsecs" }, "shutdownTimeout: "],
  [{ shutdownTimeout: -1 }, "shutdownTimeout: "],
  [{ grace: Number.POSITIVE_INFINITY }, "grace: "],
  [{ retryLevels: [0.5] }, "retryLevels: levels are whole seconds"],
  [{ partitions: { "a b": { default: 1 } } }, 'partitions: "a b"'],
  [{ partitions: { a: { "q.r": 1 } } }, 'partitions.a: "q.r"'],
  [{ partitions: { a: { q: 1.5 } } }, "partitions.a.q: expected an integer"],
  [{ partitions: { a: 5 } }, "partitions.a: expected"],
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

test("all problems are told at once", () => {
  expect(problems({ thread: 2, spares: -1, maxCrashes: 0 })).toHaveLength(3);
  expect(problems({ watermark: 9, threads: 2, shutdownTimeout: "x", retryLevels: [0] })).toHaveLength(3);
});

test("whatever is given, the answer is checked options or InvalidOptions with a reason", () => {
  const value = fc.oneof(fc.anything(), fc.constantFrom(0, -1, 1, 2, "1 second", [], {}, true));
  const options = fc.dictionary(fc.constantFrom(...optionNames, "other"), value, { maxKeys: 4 });
  fc.assert(fc.property(options, (given) => void problems(given)));
});
