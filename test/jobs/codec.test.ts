/** The wire format: what it looks like, that it round-trips, and each reason for which a message is refused. */
import { expect, test } from "vitest";
import { decodeEnvelope, encodeEnvelope } from "../../src/jobs/codec.ts";
import { Envelope } from "../../src/jobs/envelope.ts";

const fields = { id: "a", job: "resize", partition: "myapp", queue: "default", argsText: '{"id":1}' };
const header = {
  v: 1,
  id: "a",
  job: "resize",
  partition: "myapp",
  queue: "default",
  attempt: 0,
  hop: 0,
  maxExecutionTime: 0,
  enqueuedAt: 0,
  startedAt: 0,
};
const entry = { attempt: 0, at: 5, kind: "error", message: "no" };

function decoded(changes: object, argsText = "1") {
  return decodeEnvelope(`${JSON.stringify({ ...header, ...changes })}\n${argsText}`);
}

test("a message is two lines of JSON: header and args", () => {
  expect(encodeEnvelope(new Envelope({ ...fields, enqueuedAt: 7 }))).toBe(
    '{"v":1,"id":"a","job":"resize","partition":"myapp","queue":"default","attempt":0,"hop":0,' +
      '"maxExecutionTime":0,"enqueuedAt":7,"startedAt":0}\n{"id":1}',
  );
});

test("every field comes back, from text and from bytes", () => {
  const envelope = new Envelope({
    ...fields,
    id: 'quote " backslash \\ größe 😀',
    queueKey: "k:1",
    executionKey: "e\u2028",
    attempt: 3,
    hop: 9,
    levels: [1, 10, 60],
    history: [
      { attempt: 1, at: 5, kind: "timeout", message: "line\nbreak \u0000 \ud800" },
      { attempt: 2, at: 6, kind: "error", message: "", stack: "Error\n  at x" },
    ],
    maxExecutionTimeMs: 30_000,
    enqueuedAt: 1_700_000_000_000,
    startedAt: 1_700_000_000_001,
    replyTo: "node-1",
    trace: "00-abc-def-01",
  });
  const text = encodeEnvelope(envelope);
  expect(text.split("\n")).toHaveLength(2);
  expect(decodeEnvelope(text)).toEqual({ ok: true, envelope });
  expect(decodeEnvelope(Buffer.from(text))).toEqual({ ok: true, envelope });
});

test("a decoded envelope is an Envelope, so that all share one shape", () => {
  const read = decodeEnvelope(encodeEnvelope(new Envelope(fields)));
  expect(read.ok && read.envelope).toBeInstanceOf(Envelope);
});

test("args are not parsed: a broken second line is found in the thread", () => {
  expect(decoded({}, "{ no json")).toMatchObject({ ok: true, envelope: { argsText: "{ no json" } });
});

test("fields of a newer version are dropped, also ones named like parts of every object", () => {
  const text = `{"__proto__":{"id":"evil"},"constructor":1,"toString":2,${JSON.stringify(header).slice(1)}\n1`;
  const read = decodeEnvelope(text);
  expect(read).toEqual({ ok: true, envelope: new Envelope({ ...fields, argsText: "1" }) });
  expect(decoded({ priority: 5, nested: { id: "x:y", list: [{ a: 1 }] } }).ok).toBe(true);
});

test("a prototype does not stand in for a field that is missing", () => {
  const { id: _id, ...rest } = header;
  const text = `{"__proto__":{"id":"evil"},${JSON.stringify(rest).slice(1)}\n1`;
  expect(decodeEnvelope(text)).toEqual({ ok: false, reason: "header field id: an id is text, got nothing" });
});

test("white space in the header is JSON's own business", () => {
  expect(decodeEnvelope(`  ${JSON.stringify(header).replaceAll(",", " ,\t\r ")}  \n1`).ok).toBe(true);
});

test("minus zero is zero", () => {
  const read = decodeEnvelope(`${JSON.stringify(header).replace('"hop":0', '"hop":-0')}\n1`);
  expect(read.ok && Object.is(read.envelope.hop, 0)).toBe(true);
});

test.each([
  ["nothing", "", "no line break after a header"],
  ["one line", JSON.stringify(header), "no line break after a header"],
  ["no args line", `${JSON.stringify(header)}\n`, "the second line (args) is empty"],
  ["three lines", `${JSON.stringify(header)}\n1\n2`, "a line break within or after the args"],
  ["a line break at the end", `${JSON.stringify(header)}\n1\n`, "a line break within or after the args"],
  ["no JSON", "hello\n1", "the first line (header) is not JSON"],
  ["an empty header", "\n1", "the first line (header) is not JSON"],
  ["a list", "[1]\n1", "the header is not a JSON object"],
  ["null", "null\n1", "the header is not a JSON object"],
  ["a BOM", `\ufeff${JSON.stringify(header)}\n1`, "the first line (header) is not JSON"],
  ["a lone surrogate", `${JSON.stringify(header)}\n"\ud800"`, "not valid UTF-8"],
  ["a huge header", `${JSON.stringify({ ...header, x: "x".repeat(65_536) })}\n1`, "longer than 65536 bytes"],
  ["a field twice", `{"id":"b",${JSON.stringify(header).slice(1)}\n1`, "the header names a field twice"],
  ["an escaped name twice", `{"\\u0069d":"b",${JSON.stringify(header).slice(1)}\n1`, "names a field twice"],
  ["__proto__ twice", `{"__proto__":1,"__proto__":2,${JSON.stringify(header).slice(1)}\n1`, "a field twice"],
])("%s is refused", (_what, message, reason) => {
  for (const input of [message, Buffer.from(message.replace("\ud800", "x"))]) {
    if (typeof input !== "string" && message.includes("\ud800")) continue;
    const read = decodeEnvelope(input);
    expect(read).toEqual({ ok: false, reason: expect.stringContaining(reason) });
  }
});

test.each([
  ["a cut character", [0xc3]],
  ["an overlong form", [0xc0, 0xaf]],
  ["a surrogate", [0xed, 0xa0, 0x80]],
  ["a byte that never occurs", [0xff]],
])("bytes with %s are not UTF-8", (_what, bytes) => {
  const before = Buffer.from(JSON.stringify(header));
  expect(decodeEnvelope(Buffer.concat([before, Buffer.from([10, ...bytes])]))).toEqual({
    ok: false,
    reason: "not valid UTF-8",
  });
  expect(decodeEnvelope(Buffer.concat([Buffer.from(bytes), before, Buffer.from("\n1")])).ok).toBe(false);
});

test.each([
  [{ v: 2 }, "the header's version is 2; this node reads version 1"],
  [{ v: "1" }, 'the header\'s version is "1"'],
  [{ v: undefined }, "the header's version is nothing"],
  [{ id: "" }, "header field id: an id is not empty"],
  [{ id: 5 }, "header field id: an id is text, got 5"],
  [{ id: "a\nb" }, "header field id: an id has no control characters"],
  [{ id: "x".repeat(256) }, "header field id: an id has at most 255 bytes"],
  [{ id: "\ud800" }, "header field id: an id has no control characters and no lone surrogates"],
  [{ job: "" }, "header field job"],
  [{ job: null }, "header field job"],
  [{ partition: "a.b" }, "header field partition"],
  [{ queue: "$retry" }, "header field queue"],
  [{ queueKey: "" }, "header field queueKey"],
  [{ queueKey: null }, "header field queueKey"],
  [{ executionKey: ["x"] }, "header field executionKey"],
  [{ attempt: -1 }, "header field attempt: expected a whole number from 0"],
  [{ attempt: undefined }, "header field attempt: expected a whole number from 0 to 2147483647, got nothing"],
  [{ attempt: 2 ** 31 }, "header field attempt"],
  [{ hop: 1.5 }, "header field hop: expected a whole number"],
  [{ hop: "1" }, 'got "1"'],
  [{ maxExecutionTime: 2 ** 53 }, "header field maxExecutionTime"],
  [{ enqueuedAt: 8.64e15 + 1 }, "header field enqueuedAt"],
  [{ startedAt: true }, "header field startedAt"],
  [{ levels: [0] }, "header field levels: levels are whole seconds"],
  [{ levels: new Array(65).fill(1) }, "header field levels: levels has at most 64"],
  [{ levels: "1" }, "header field levels"],
  [{ history: {} }, "header field history: expected a list"],
  [{ history: [5] }, "header field history: expected objects"],
  [{ history: new Array(6).fill(entry) }, "header field history: at most 5 entries, got 6"],
  [{ history: [{ ...entry, kind: "boredom" }] }, 'header field history: unknown kind "boredom"'],
  [{ history: [{ ...entry, message: 5 }] }, "header field history: message is 5"],
  [{ history: [{ ...entry, stack: null }] }, "header field history: stack is null"],
  [{ history: [{ ...entry, at: -5 }] }, "header field at"],
  [{ history: [{ ...entry, stack: "x".repeat(17_000) }] }, "header field history: more than 16384 bytes"],
  [{ replyTo: 5 }, "header field replyTo"],
  [{ trace: "x".repeat(4097) }, "header field trace: a trace has at most 4096 bytes"],
])("a header with %j is refused", (changes, reason) => {
  expect(decoded(changes)).toEqual({ ok: false, reason: expect.stringContaining(reason) });
});

test("a number too large for JSON's own is refused", () => {
  const read = decodeEnvelope(`${JSON.stringify(header).replace('"hop":0', '"hop":1e400')}\n1`);
  expect(read).toEqual({ ok: false, reason: expect.stringContaining("header field hop") });
});

test("a reason is one short line, whatever the message holds", () => {
  const read = decoded({ partition: `\n${"x".repeat(5000)}` });
  expect(!read.ok && read.reason.length).toBeLessThan(200);
  expect(!read.ok && read.reason).not.toContain("\n");
});

test("a usual header is read the same on the short way and on the long one", () => {
  const text = (fields: Partial<Record<string, string>>) => {
    const all = { id: '"i"', job: '"j"', partition: '"p"', queue: '"q"', attempt: "0", hop: "0" };
    const times = { maxExecutionTime: "0", enqueuedAt: "1700000000000", startedAt: "0" };
    const members = Object.entries({ ...all, ...times, ...fields }).map(
      ([name, value]) => `"${name}":${value}`,
    );
    return `{"v":1,${members.join(",")}}\n{"a":1}`;
  };
  const counts = ["1", "999999999", "1000000000", "2147483647", "2147483648", "01", "-0", "1.0", "1e3", ""];
  const times = ["999999999999999", "1000000000000000", "8640000000000000", "8640000000000001"];
  const names = ["", "a b", "ä", "x".repeat(64), "x".repeat(65), "x".repeat(256), 'a\\"b', "a\\u0000"];
  const texts = [
    ...["attempt", "hop"].flatMap((field) => counts.map((value) => text({ [field]: value }))),
    ...["maxExecutionTime", "enqueuedAt", "startedAt"].flatMap((field) =>
      [...counts, ...times].map((value) => text({ [field]: value })),
    ),
    ...["id", "job", "partition", "queue"].flatMap((field) =>
      names.map((value) => text({ [field]: `"${value}"` })),
    ),
  ];
  expect(decodeEnvelope(text({})).ok).toBe(true);
  // a blank is all it takes for the long way
  for (const one of texts) expect(decodeEnvelope(one), one).toEqual(decodeEnvelope(one.replace("{", "{ ")));
});
