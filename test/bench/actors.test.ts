/**
 * The pieces that all sides of the kernel suite share.
 */
import { expect, test } from "vitest";
import { byLives, LIVES, rateOf } from "../../bench/actors/system.ts";

test("no supervisor sees more crashes than it is to remember, and all of them together are as many as asked", async () => {
  const seen = async (count: number) => {
    const crashes: number[] = [];
    await byLives(count, async (some) => void crashes.push(some));
    return crashes;
  };
  expect(await seen(2 * LIVES + 3)).toEqual([LIVES, LIVES, 3]);
  expect(await seen(LIVES)).toEqual([LIVES]);
  expect(await seen(1)).toEqual([1]);
});

test("a rate tells what was done, not what was asked for", async () => {
  const { perSecond, done } = await rateOf(10, async () => 9);
  expect(done).toBe(9);
  expect(perSecond).toBeGreaterThan(0);
});
