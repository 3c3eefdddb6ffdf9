/**
 * What is a request, and what is none: every kind as it is written, each of its fields wrong, and anything at all.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readRequest } from "../../../src/amqp/coordinator/read-request.ts";
import type { Request } from "../../../src/amqp/coordinator/requests.ts";

const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 2 ** 31);

const held = { executionKey: "x", id: "1", token: 3 };
const requests: readonly Request[] = [
  { t: "reserve", key: "k", id: "1" },
  { t: "reserve", key: "k", id: "1", hop: 2 },
  { t: "published", key: "k", id: "1", ok: false },
  { t: "published", key: "k", id: "1", ok: true, hop: 2 },
  { t: "purge", queue: "q" },
  { t: "suspect", id: "1" },
  { t: "started", id: "1", alone: true },
  { t: "crashed", id: "1" },
  { t: "cleared", id: "1", kept: false },
  { t: "begin", id: "1", hop: 0, attempt: 1, token: 2 },
  { t: "begin", id: "1", hop: 0, attempt: 1, queueKey: "k", executionKey: "x", token: 2 },
  { t: "withdraw", ...held },
  { t: "end", id: "1", hop: 0, attempt: 1, ended: true, buried: false },
  {
    t: "end",
    id: "1",
    hop: 0,
    attempt: 1,
    queueKey: "k",
    executionKey: "x",
    token: 1,
    ended: true,
    buried: true,
  },
  { t: "dropped", ids: ["1", "2"] },
  { t: "mark", id: "1" },
  { t: "unmark", ids: [] },
  { t: "pause", queue: "q", paused: true },
  { t: "announce", epoch: 1, serial: 0, holds: [held], awaits: [] },
  { t: "replica" },
  { t: "is-queued", key: "k" },
  { t: "is-executing", key: "k" },
  { t: "release-queued", key: "k" },
  { t: "release-executing", key: "k" },
  { t: "holders" },
];
const OPTIONAL = ["hop", "queueKey", "executionKey", "token"];

describe.each(requests.map((request) => [JSON.stringify(request), request] as const))(
  "%s",
  (_text, request) => {
    test("is read as it is, without what does not belong to it", () => {
      expect(readRequest({ ...request, more: 1, from: "nobody" })).toEqual(request);
    });

    test("is none with a field that is wrong, or left out", () => {
      for (const [field, value] of Object.entries(request)) {
        for (const wrong of [null, {}, [null], typeof value === "string" ? "" : "text", -1, 0.5, Number.NaN])
          expect(readRequest({ ...request, [field]: wrong }), `${field}: ${wrong}`).toBeUndefined();
        const rest = Object.fromEntries(Object.entries(request).filter(([name]) => name !== field));
        if (!OPTIONAL.includes(field)) expect(readRequest(rest), field).toBeUndefined();
      }
    });
  },
);

test("ids and keys have 1 to 255 bytes of UTF-8 and no control characters", () => {
  expect(readRequest({ t: "mark", id: "ä".repeat(127) })).toBeDefined();
  for (const id of ["ä".repeat(128), "a\nb", "\ud800", 1])
    expect(readRequest({ t: "mark", id })).toBeUndefined();
});

test("lists have limits, and nothing wrong in them", () => {
  expect(readRequest({ t: "unmark", ids: Array(1_000).fill("1") })).toBeDefined();
  expect(readRequest({ t: "unmark", ids: Array(1_001).fill("1") })).toBeUndefined();
  expect(readRequest({ t: "dropped", ids: ["1", 2] })).toBeUndefined();
  const announced = { t: "announce", epoch: 1, serial: 0, holds: [] };
  expect(readRequest({ ...announced, awaits: Array(200_000).fill(held) })).toBeDefined();
  expect(readRequest({ ...announced, awaits: Array(200_001).fill(held) })).toBeUndefined();
});

test(`anything at all gives a request that reads as itself, or nothing (seed ${SEED})`, () => {
  const field = fc.constantFrom(...new Set(requests.flatMap((one) => Object.keys(one))));
  const kind = fc.constantFrom(...requests.map(({ t }) => t));
  const fields = fc.dictionary(
    field,
    fc.oneof(fc.anything(), fc.constantFrom("1", 1, true, [], [held], ["1"])),
  );
  const value = fc.oneof(
    fc.anything(),
    fc.tuple(kind, fields).map(([t, rest]) => ({ ...rest, t })),
  );
  const told = fc.property(value, (one) => {
    const request = readRequest(one);
    if (request !== undefined) expect(readRequest(JSON.parse(JSON.stringify(request)))).toEqual(request);
  });
  fc.assert(told, { numRuns: 5_000, seed: SEED });
});
