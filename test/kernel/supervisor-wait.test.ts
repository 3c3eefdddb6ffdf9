import { expect, test } from "vitest";
import { states, take, workerSpec } from "./helpers.ts";
import { breakable, supervised } from "./supervised.ts";

test("backoff waits before each restart, longer each time, shown as waiting", async () => {
  const spec = { backoff: { firstMs: 100, factor: 2, maxMs: 1_000 } };
  const { kernel, ref, clock, log, send } = await breakable({ spec });
  await send("b", "crash");
  expect(take(log)).toBe("xb");
  expect(kernel.tree(ref)[0]?.children[1]).toMatchObject({ name: "b", state: "waiting", pid: 0 });
  await clock.advance(99);
  expect(take(log)).toBe("");
  await clock.advance(1);
  expect(take(log)).toBe("+b");
  await send("b", "crash");
  await clock.advance(199);
  expect(take(log)).toBe("xb");
  await clock.advance(1);
  expect(take(log)).toBe("+b");
});

test("a life longer than the backoff's most begins a new row", async () => {
  const spec = { backoff: { firstMs: 100, factor: 2, maxMs: 1_000 } };
  const { clock, log, send } = await breakable({ spec });
  await send("b", "crash");
  await clock.advance(100);
  await clock.advance(1_001);
  await send("b", "crash");
  take(log);
  await clock.advance(100);
  expect(take(log)).toBe("+b");
});

test("delayed restart: past the intensity it waits and tries again, for as long as it takes", async () => {
  const spec = { delayedRestartMs: 1_000 };
  const { kernel, ref, clock, log, send, broken } = await breakable({
    spec,
    intensity: { restarts: 1, periodMs: 5_000 },
  });
  broken.is = true;
  await send("b", "crash");
  expect(take(log)).toBe("xb +b");
  expect(await states(kernel, ref)).toBe("a:running b:waiting c:running");
  expect(kernel.tree(ref)[0]?.children.map((node) => `${node.name} ${node.state}`)).toEqual([
    "a running",
    "b waiting",
    "c running",
  ]);
  await clock.advance(20_000);
  expect(log.length).toBeGreaterThanOrEqual(10);
  expect(new Set(log.splice(0))).toEqual(new Set(["+b"]));
  broken.is = false;
  await clock.advance(1_000);
  expect(await states(kernel, ref)).toBe("a:running b:running c:running");
});

test("delayed restart under rest_for_one: those after it wait with it and start after it", async () => {
  const spec = { delayedRestartMs: 1_000 };
  const { kernel, ref, clock, log, send } = await breakable({
    strategy: "rest_for_one",
    spec,
    intensity: { restarts: 0, periodMs: 1 },
  });
  await send("b", "crash");
  expect(take(log)).toBe("xb -c");
  expect(await states(kernel, ref)).toBe("a:running b:waiting c:waiting");
  await clock.advance(1_000);
  expect(take(log)).toBe("+b +c");
});

test("a crash before the wait is over takes the waiting ones along, and the old wait starts nothing", async () => {
  const backoff = { firstMs: 1_000, factor: 1, maxMs: 1_000 };
  const { kernel, ref, clock, log, send } = await supervised({
    strategy: "rest_for_one",
    children: (lines) => [
      workerSpec(lines, "a", { backoff: { ...backoff, firstMs: 1_500, maxMs: 1_500 } }),
      workerSpec(lines, "b", { backoff }),
    ],
  });
  await send("b", "crash");
  await send("a", "crash");
  expect(take(log)).toBe("xb xa");
  await clock.advance(1_499);
  expect(take(log)).toBe("");
  expect(await states(kernel, ref)).toBe("a:waiting b:waiting");
  await clock.advance(1);
  expect(take(log)).toBe("+a +b");
  await clock.advance(10_000);
  expect(take(log)).toBe("");
});
