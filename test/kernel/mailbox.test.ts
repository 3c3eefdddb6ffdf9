import { expect, test } from "vitest";
import { DEFAULT_CAPACITY, type MailboxOptions } from "../../src/kernel/index.ts";
import { actor, setup, worker } from "./helpers.ts";

async function box(mailbox: MailboxOptions) {
  const { kernel, settle } = setup();
  const seen: number[] = [];
  const ref = await kernel.start(
    actor<number>((message) => seen.push(message), { mailbox }),
    undefined,
  );
  return { ref, seen, settle };
}

test("a full mailbox refuses by default, and keeps what it has", async () => {
  const { ref, seen, settle } = await box({ capacity: 3 });
  expect([1, 2, 3, 4, 5].map((n) => ref.cast(n))).toEqual([true, true, true, false, false]);
  await settle();
  expect(seen).toEqual([1, 2, 3]);
  expect(ref.cast(6)).toBe(true);
});

test("drop-oldest keeps the newest", async () => {
  const { ref, seen, settle } = await box({ capacity: 3, overflow: "drop-oldest" });
  expect([1, 2, 3, 4, 5].map((n) => ref.cast(n))).toEqual([true, true, true, true, true]);
  await settle();
  expect(seen).toEqual([3, 4, 5]);
});

test("the default bound is 1,048,576 messages", async () => {
  const { ref } = await box({});
  for (let i = 0; i < DEFAULT_CAPACITY; i++) ref.cast(i);
  expect(DEFAULT_CAPACITY).toBe(1_048_576);
  expect(ref.cast(0)).toBe(false);
});

test("the kernel's own messages go past the bound: a full mailbox hides no exit", async () => {
  const { kernel, settle } = setup();
  const seen: string[] = [];
  const parent = await kernel.start(
    actor<string>((message) => seen.push(message), { mailbox: { capacity: 1 }, exited: () => "exited" }),
    undefined,
  );
  const child = await kernel.startUnder(parent, worker([], "child"), undefined);
  expect([parent.cast("fills it"), parent.cast("refused")]).toEqual([true, false]);
  await kernel.kill(child);
  await settle();
  expect(seen).toEqual(["fills it", "exited"]);
});

test("a step's cast that a full mailbox refuses is a warning, once an actor", async () => {
  const { kernel, settle } = setup();
  const warnings: string[] = [];
  const listener = (warning: Error): void => {
    if (warning.name === "SpillwayWarning") warnings.push(warning.message);
  };
  process.on("warning", listener);
  const small = await kernel.start(
    actor<string>(() => {}, { mailbox: { capacity: 1 } }),
    undefined,
    {
      name: "small",
    },
  );
  const flood = await kernel.start(
    actor<string>((_message, out) => {
      for (let i = 0; i < 5; i++) out.cast(small, "drop");
    }),
    undefined,
  );
  flood.cast("go");
  await settle();
  process.off("warning", listener);
  expect(warnings).toEqual([expect.stringContaining("the mailbox of small holds its most of 1 messages")]);
});
