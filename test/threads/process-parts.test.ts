/** The parts of processes that need none: frames, how an end reads, what is passed on of our own command line. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { crashOf, withSteps } from "../../src/threads/process/ending.ts";
import { Frames, frame } from "../../src/threads/process/frames.ts";
import { inherited } from "../../src/threads/process/spawn.ts";
import type { Outcome } from "../../src/threads/types.ts";

test("values come out of a pipe as they went in, however it cuts them", () => {
  const value = fc.oneof(
    fc.anything({ withDate: true, withMap: true, withSet: true, withTypedArray: true, withBigInt: true }),
    fc.string({ unit: "binary", maxLength: 5_000 }),
  );
  fc.assert(
    fc.property(
      fc.array(value, { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 40 })),
      (values, cuts) => {
        const bytes = Buffer.concat(values.map(frame));
        const frames = new Frames();
        const out: unknown[] = [];
        let at = 0;
        for (let i = 0; at < bytes.length; i++) {
          const size = cuts.length === 0 ? bytes.length : (cuts[i % cuts.length] ?? 1);
          out.push(...frames.push(bytes.subarray(at, at + size)));
          at += size;
        }
        expect(out).toEqual(values.map((one) => structuredClone(one)));
      },
    ),
    { numRuns: 500 },
  );
});

test("bytes that are no frames throw, and never give a value for ever", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 5, maxLength: 200 }), (bytes) => {
      const values = () => [...new Frames().push(Buffer.from(bytes))];
      const length = Buffer.from(bytes).readUInt32LE();
      if (length > 2 ** 30) expect(values).toThrow("a frame of");
      else if (length > bytes.length - 4) expect(values()).toEqual([]);
    }),
  );
});

test("what cannot be cloned throws where it is written", () => {
  expect(() => frame([() => {}])).toThrow("could not be cloned");
  expect(() => frame(new SharedArrayBuffer(8))).toThrow();
});

const exit = { code: null, signal: null, lastWords: "" };

test.each([
  [
    { ...exit, signal: "SIGSEGV" as const },
    undefined,
    { kind: "crash", code: "SIGSEGV", message: "its process was ended by SIGSEGV" },
  ],
  [{ ...exit, code: 3 }, undefined, { kind: "crash", message: "its process ended with code 3" }],
  [
    { ...exit, signal: "SIGKILL" as const },
    undefined,
    { kind: "crash", message: expect.stringContaining("not by this runtime") },
  ],
  [
    { ...exit, signal: "SIGKILL" as const },
    "it said what cannot be read",
    { kind: "crash", message: "its process was ended: it said what cannot be read" },
  ],
  [
    {
      ...exit,
      signal: "SIGABRT" as const,
      lastWords: "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
    },
    undefined,
    { kind: "memory", stack: expect.stringContaining("FATAL ERROR") },
  ],
  [
    { ...exit, signal: "SIGABRT" as const, lastWords: "Assertion failed" },
    undefined,
    { kind: "crash", stack: "Assertion failed" },
  ],
])("the end of a body whose process ended by itself: %j", (how, because, failure) => {
  expect(crashOf(how, because, 5)).toMatchObject({
    kind: "failed",
    durationMs: 5,
    failure: { final: false, ...failure },
  });
});

test("what was done to the process stands behind what its own ladder did", () => {
  const report = { stack: undefined, frames: [], state: {}, children: [1], steps: [] };
  const aborted: Outcome = { kind: "aborted", reason: "cancel", report };
  const step = { step: "sigkill", ms: 1, outcome: "sent" } as const;
  expect(withSteps(aborted, [step], [1, 2])).toEqual({
    ...aborted,
    report: { ...report, children: [1, 2], steps: [step] },
  });
  const completed: Outcome = { kind: "completed", value: 1, durationMs: 1 };
  expect(withSteps(completed, [step], [])).toBe(completed);
});

test("loaders and limits are passed on to a process, scripts and debuggers are not", () => {
  const given = [
    "--import",
    "tsx",
    "--inspect=9229",
    "--max-old-space-size=512",
    "-e",
    "code",
    "--watch",
    "--input-type=module",
  ];
  expect(inherited(given)).toEqual(["--import", "tsx", "--max-old-space-size=512"]);
});
