import { expect, test } from "vitest";
import type { Out } from "../../src/kernel/index.ts";
import { actor, setup } from "./helpers.ts";

type Script = (out: Out<string | Script, never>) => void;

/** An actor that runs the scripts it is cast, and keeps every other message with its time. */
async function scripted() {
  const all = setup();
  const seen: string[] = [];
  const ref = await all.kernel.start(
    actor<string | Script>((message, out, now) => {
      if (typeof message === "string") seen.push(`${message}@${now}`);
      else message(out);
    }),
    undefined,
  );
  const run = async (script: Script): Promise<void> => {
    ref.cast(script);
    await all.settle();
  };
  return { ...all, ref, seen, run };
}

test("a timer's message arrives when it is due", async () => {
  const { clock, seen, run } = await scripted();
  await run((out) => out.timer("t", 100, "tick"));
  await clock.advance(99);
  expect(seen).toEqual([]);
  await clock.advance(1);
  expect(seen).toEqual(["tick@100"]);
  await clock.advance(1_000);
  expect(seen).toHaveLength(1);
});

test("a timer of the same name is replaced, another name runs beside it", async () => {
  const { clock, seen, run } = await scripted();
  await run((out) => {
    out.timer("a", 100, "old");
    out.timer("b", 100, "b");
    out.timer("a", 200, "new");
  });
  await clock.advance(300);
  expect(seen).toEqual(["b@100", "new@200"]);
});

test("a cancelled timer sends nothing, and its name can be used again", async () => {
  const { clock, seen, run } = await scripted();
  await run((out) => {
    out.timer("a", 100, "never");
    out.cancelTimer("a");
    out.cancelTimer("unknown");
  });
  await clock.advance(150);
  await run((out) => out.timer("a", 10, "again"));
  await clock.advance(10);
  expect(seen).toEqual(["again@160"]);
});

test("a timer set from its own message keeps on", async () => {
  const { kernel, clock } = setup();
  const at: number[] = [];
  const ref = await kernel.start(
    actor<string>((message, out, now) => {
      at.push(now);
      out.timer("tick", 10, message);
    }),
    undefined,
  );
  ref.cast("tick");
  await clock.advance(35);
  expect(at).toEqual([0, 10, 20, 30]);
});

test("timers end with their actor", async () => {
  const { kernel, ref, clock, seen, run } = await scripted();
  await run((out) => {
    out.timer("a", 100, "never");
    out.idle(100, "never");
  });
  await kernel.kill(ref);
  expect(clock.pending).toBe(0);
  await clock.advance(200);
  expect(seen).toEqual([]);
});

test("a timer with no end is none", async () => {
  const { clock, seen, run } = await scripted();
  await run((out) => out.timer("a", Number.POSITIVE_INFINITY, "never"));
  await clock.advance(1e12);
  expect(seen).toEqual([]);
});

test("the idle message arrives when nothing else has for that long, once", async () => {
  const { clock, seen, run } = await scripted();
  await run((out) => out.idle(100, "idle"));
  await clock.advance(99);
  expect(seen).toEqual([]);
  await clock.advance(500);
  expect(seen).toEqual(["idle@100"]);
});

test("any message ends the idleness, and a step that wants it again says so", async () => {
  const { ref, clock, seen, run } = await scripted();
  await run((out) => out.idle(100, "idle"));
  await clock.advance(50);
  ref.cast("hello");
  await clock.advance(500);
  expect(seen).toEqual(["hello@50"]);
  await run((out) => out.idle(100, "idle"));
  await clock.advance(60);
  await run((out) => out.idle(100, "idle"));
  await clock.advance(99);
  expect(seen).toEqual(["hello@50"]);
  await clock.advance(1);
  expect(seen).toEqual(["hello@50", "idle@710"]);
});

test("a shorter idle time takes the place of a longer one", async () => {
  const { clock, seen, run } = await scripted();
  await run((out) => out.idle(1_000, "long"));
  await run((out) => out.idle(10, "short"));
  await clock.advance(10);
  expect(seen).toEqual(["short@10"]);
  await clock.advance(2_000);
  expect(seen).toHaveLength(1);
});
