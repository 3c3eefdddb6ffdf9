/** The two signals of a body, recognized across copies of the package. */
import { expect, test } from "vitest";
import { isNonRetryable, isSnooze, NonRetryable, Snooze } from "../../src/jobs/signals.ts";

test("a NonRetryable is an error with its cause", () => {
  const cause = new Error("no such user");
  const error = new NonRetryable("give up", { cause });
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ name: "NonRetryable", message: "give up", cause });
  expect(isNonRetryable(error)).toBe(true);
  expect(isSnooze(error)).toBe(false);
});

test("a Snooze carries its delay in milliseconds", () => {
  const snooze = new Snooze("5 minutes");
  expect(snooze).toMatchObject({ name: "Snooze", delayMs: 300_000 });
  expect(isSnooze(snooze)).toBe(true);
  expect(isNonRetryable(snooze)).toBe(false);
  expect(new Snooze(0).delayMs).toBe(0);
});

test("a delay that is none is a mistake of the body", () => {
  expect(() => new Snooze(-1)).toThrow("snooze delay: -1 is negative");
});

test("both are recognized when thrown by another copy of the package", async () => {
  const path = "../../src/jobs/signals.ts?copy";
  const other = (await import(/* @vite-ignore */ path)) as typeof import("../../src/jobs/signals.ts");
  expect(other.NonRetryable).not.toBe(NonRetryable);
  expect(isNonRetryable(new other.NonRetryable("x"))).toBe(true);
  expect(isSnooze(new other.Snooze(5))).toBe(true);
});

test("subclasses are recognized too", () => {
  class Gone extends NonRetryable {}
  expect(isNonRetryable(new Gone("x"))).toBe(true);
});

test("nothing else is, and asking never throws", () => {
  const hostile = new Proxy(
    {},
    {
      get() {
        throw new Error("no");
      },
    },
  );
  const unset = { [Symbol.for("spillway.NonRetryable")]: false, [Symbol.for("spillway.Snooze")]: false };
  for (const thrown of [
    undefined,
    null,
    1,
    "NonRetryable",
    new Error("x"),
    { name: "Snooze" },
    unset,
    hostile,
  ]) {
    expect(isNonRetryable(thrown)).toBe(false);
    expect(isSnooze(thrown)).toBe(false);
  }
});

test("a branded object without a delay is no Snooze", () => {
  expect(isSnooze({ [Symbol.for("spillway.Snooze")]: true })).toBe(false);
  expect(isSnooze({ [Symbol.for("spillway.Snooze")]: true, delayMs: -1 })).toBe(false);
});
