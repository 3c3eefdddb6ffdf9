/**
 * What stands beside a buried job: it comes back as it was, it always fits, and anything at all can be read.
 *
 * SPILLWAY_SEED repeats a run.
 */
import type { ConsumeMessage } from "amqplib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buriedJobOf, headersOf, messageIdOf, unroutableJobOf } from "../../src/amqp/epitaph.ts";
import { decodeEnvelope, encodeEnvelope } from "../../src/jobs/codec.ts";
import { Envelope } from "../../src/jobs/envelope.ts";
import type { BuriedRecord, Failure } from "../../src/jobs/failure.ts";
import { withFailure } from "../../src/jobs/history.ts";
import { requeued } from "../../src/jobs/retry.ts";
import { envelopeFrom, Random } from "../jobs/generators.ts";

const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 2 ** 31);
const RUNS = process.env.SPILLWAY_LONG === undefined ? 1_000 : 50_000;
/** amqplib writes a message's headers into a buffer of this size. */
const HEADERS_MAX = 64 * 1024;

const failure: Failure = {
  kind: "error",
  name: "Error",
  message: "no mail server",
  stack: "at mail.js:1",
  final: false,
};
const record: BuriedRecord = { reason: "failed", buriedAt: 1_700_000_000_000, error: failure };

function message(content: Uint8Array | string, properties: Record<string, unknown> = {}): ConsumeMessage {
  return {
    content: Buffer.from(content),
    properties,
    fields: { routingKey: "p.q" },
  } as unknown as ConsumeMessage;
}

/** A name, its length, and a value with a length of four bytes; the table itself has one too. */
function bytesOf(headers: Record<string, unknown>): number {
  return Object.entries(headers).reduce(
    (sum, [name, value]) => sum + 6 + name.length + Buffer.byteLength(String(value)),
    4,
  );
}

const envelopes = fc.integer().map((seed) => envelopeFrom(new Random(seed)));
const texts = fc.oneof(fc.string({ unit: "binary" }), fc.string(), fc.constant(""));
/** Now and then of a size that nobody expects. */
const long = fc.oneof(
  texts,
  fc
    .tuple(fc.constantFrom("x", "é", "😀", '"', "\u0000", "\ud800"), fc.integer({ min: 1, max: 60_000 }))
    .map(([unit, times]) => unit.repeat(times)),
);
const failures: fc.Arbitrary<Failure> = fc
  .record({
    name: long,
    message: long,
    stack: fc.option(long, { nil: undefined }),
    code: fc.option(long, { nil: undefined }),
    frames: fc.nat({ max: 300 }),
  })
  .map(({ name, message: words, stack, code, frames }) => ({
    kind: "timeout" as const,
    name,
    message: words,
    stack,
    final: false,
    ...(code === undefined ? {} : { code }),
    report: {
      stack,
      frames: Array.from({ length: frames }, (_, line) => ({
        function: "f".repeat(50),
        file: "/a/b.js",
        line,
        column: 1,
      })),
      state: { name },
      children: [1, 2],
      steps: [{ step: "terminate" as const, ms: 3, outcome: words }],
    },
  }));

describe("a buried job", () => {
  test(`comes back with its record and its last attempt (seed ${SEED})`, () => {
    fc.assert(
      fc.property(envelopes, (envelope) => {
        const last = new Envelope({
          ...envelope,
          history: withFailure(envelope.history, envelope.attempt, failure, 1),
        });
        const headers = headersOf(record, last);
        // its bytes are those of the message as it came, before the last attempt
        const job = buriedJobOf(message(encodeEnvelope(envelope), { headers }));
        expect(job).toEqual({ id: envelope.id, envelope: last, record, raw: undefined });
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });

  test("that could not be decoded comes back with its bytes and the id of its message", () => {
    const bytes = Uint8Array.from([0, 255, 10, 13]);
    const undecodable: BuriedRecord = { ...record, reason: "undecodable" };
    const headers = headersOf(undecodable, undefined);
    expect(buriedJobOf(message(bytes, { headers, messageId: "m1" }))).toEqual({
      id: "m1",
      envelope: undefined,
      record: undecodable,
      raw: bytes,
    });
  });

  test.each([
    ["failed"],
    ["non-retryable"],
    ["poison"],
    ["undecodable"],
    ["unknown-job"],
    ["unroutable"],
    ["duplicate"],
  ] as const)("for the reason %s comes back with that", (reason) => {
    const headers = headersOf({ ...record, reason }, undefined);
    expect(buriedJobOf(message("x", { headers })).record.reason).toBe(reason);
  });

  test("keeps a report that fits", () => {
    const report = { stack: "s", frames: [], state: {}, children: [7], steps: [] };
    const headers = headersOf({ ...record, error: { ...failure, report } }, undefined);
    expect(buriedJobOf(message("x", { headers })).record.error.report).toEqual(report);
  });

  test("gives its report up first, and then the ends of its texts", () => {
    const report = { stack: "s".repeat(40_000), frames: [], state: {}, children: [], steps: [] };
    const first = headersOf({ ...record, error: { ...failure, report } }, undefined);
    expect(buriedJobOf(message("x", { headers: first })).record).toEqual(record);
    const second = headersOf({ ...record, error: { ...failure, stack: "s".repeat(40_000) } }, undefined);
    const { error } = buriedJobOf(message("x", { headers: second })).record;
    expect(error).toMatchObject({ ...failure, stack: expect.stringMatching(/^s{1000,2000}…$/) });
  });

  test(`always fits into the headers, whatever has failed (seed ${SEED})`, () => {
    fc.assert(
      fc.property(envelopes, failures, (envelope, error) => {
        let history = envelope.history;
        for (let attempt = 0; attempt < 5; attempt++) history = withFailure(history, attempt, error, 1);
        const headers = headersOf({ ...record, error }, new Envelope({ ...envelope, history }));
        expect(bytesOf(headers)).toBeLessThan(HEADERS_MAX);
        const read = buriedJobOf(message(encodeEnvelope(envelope), { headers }));
        expect(read.record.reason).toBe("failed");
        expect(read.record.error.name.slice(0, 100)).toBe(error.name.slice(0, 100));
      }),
      { numRuns: RUNS / 10, seed: SEED },
    );
  });
});

describe("what was put there by hand", () => {
  const envelope = new Envelope({ id: "a", job: "mail", partition: "p", queue: "q", argsText: "{}" });
  const body = encodeEnvelope(envelope);

  test("has a record that says so", () => {
    for (const properties of [
      {},
      { headers: undefined },
      { headers: {} },
      { headers: { "spillway-record": "{" } },
    ]) {
      const job = buriedJobOf(message(body, properties));
      expect(job.envelope).toEqual(envelope);
      expect(job.record).toMatchObject({
        reason: "failed",
        error: { message: "it was put here by hand, or by another version" },
      });
    }
  });

  test.each([
    ["null"],
    ["[]"],
    ['"failed"'],
    ['{"reason":"failed","buriedAt":1}'],
    ['{"reason":"failed","buriedAt":1,"error":null}'],
    ['{"reason":"failed","buriedAt":1,"error":[]}'],
    ['{"reason":"failed","buriedAt":1,"error":{"message":5}}'],
    ['{"reason":"failed","buriedAt":"1","error":{"kind":"error","name":"E","message":"m"}}'],
    ['{"reason":"bored","buriedAt":1,"error":{"kind":"error","name":"E","message":"m"}}'],
  ])("a record that is none: %s", (text) => {
    const { error } = buriedJobOf(message(body, { headers: { "spillway-record": text } })).record;
    expect(error.message).toContain("put here by hand");
  });

  test.each([
    ['{"attempt":1.5}'],
    ['{"attempt":-1}'],
    ['{"hop":1e400}'],
    ['{"hop":99999999999}'],
    ['{"history":["x"]}'],
    ['{"history":[{"attempt":0}]}'],
    ['{"history":{}}'],
    ["[]"],
    ["null"],
  ])("a last attempt that is none leaves the job as it came: %s", (text) => {
    const job = buriedJobOf(message(body, { headers: { "spillway-job": text } }));
    expect(job.envelope).toEqual(envelope);
  });

  test(`anything at all is read, and what is a job can be enqueued again (seed ${SEED})`, () => {
    const value = fc.oneof(fc.string(), fc.json(), fc.constant(undefined), fc.integer(), fc.object());
    const counts = fc.oneof(fc.double(), fc.integer(), fc.constant("1"), fc.constant(null));
    const last = fc.record({ attempt: counts, hop: counts, history: fc.anything() }).map((parts) => {
      try {
        return JSON.stringify(parts) ?? "";
      } catch {
        return "";
      }
    });
    const bytes = fc.oneof(fc.constant(body), fc.string(), fc.uint8Array());
    fc.assert(
      fc.property(bytes, value, fc.oneof(value, last), value, (content, one, two, messageId) => {
        const headers = { "spillway-record": one, "spillway-job": two };
        const job = buriedJobOf(message(content, { headers, messageId }));
        expect(typeof job.id).toBe("string");
        expect(typeof job.record.error.message).toBe("string");
        expect(job.raw === undefined).toBe(job.envelope !== undefined);
        if (job.envelope !== undefined)
          expect(decodeEnvelope(encodeEnvelope(requeued(job.envelope)))).toMatchObject({ ok: true });
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });
});

test("what stands in $unroutable is buried for that reason", () => {
  const envelope = new Envelope({ id: "a", job: "mail", partition: "p", queue: "q", argsText: "{}" });
  const job = unroutableJobOf(message(encodeEnvelope(envelope)), 7);
  expect(job).toMatchObject({ id: "a", envelope, record: { reason: "unroutable", buriedAt: 7 } });
  expect(unroutableJobOf(message("?", { messageId: "m" }), 7)).toMatchObject({
    id: "m",
    envelope: undefined,
  });
});

test("a message without an id is known by its bytes, each time it is looked at", () => {
  const [one, two] = [message("one"), message("two")];
  expect(messageIdOf(one)).toBe(messageIdOf(message("one")));
  expect(messageIdOf(one)).not.toBe(messageIdOf(two));
  for (const messageId of ["", 5, null, undefined])
    expect(messageIdOf(message("one", { messageId }))).toBe(messageIdOf(one));
  expect(messageIdOf(message("one", { messageId: "m" }))).toBe("m");
});
