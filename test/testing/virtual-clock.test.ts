import fc from "fast-check";
import { expect, test } from "vitest";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";

test("time stands still until it is moved", async () => {
  const clock = new VirtualClock(1_000);
  expect(clock.now()).toBe(1_000);
  await clock.settle();
  expect(clock.now()).toBe(1_000);
  await clock.advance(250);
  expect(clock.now()).toBe(1_250);
});

test("timers fire in the order they are due, those of one instant in the order they were armed", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat({ max: 50 }), { maxLength: 30 }), async (delays) => {
      const clock = new VirtualClock();
      const fired: number[] = [];
      const at: number[] = [];
      delays.forEach((ms, i) => {
        clock.timer(ms, () => {
          fired.push(i);
          at.push(clock.now());
        });
      });
      await clock.advance(50);
      const expected = delays.map((ms, i) => ({ ms, i })).sort((a, b) => a.ms - b.ms || a.i - b.i);
      expect(fired).toEqual(expected.map((one) => one.i));
      expect(at).toEqual(expected.map((one) => one.ms));
    }),
    { numRuns: 30 },
  );
});

test("a timer that is armed by another fires in the same advance when it is due", async () => {
  const clock = new VirtualClock();
  const at: number[] = [];
  const again = (): void => {
    at.push(clock.now());
    clock.timer(10, again);
  };
  clock.timer(10, again);
  await clock.advance(35);
  expect(at).toEqual([10, 20, 30]);
  expect([clock.now(), clock.pending, clock.nextDue]).toEqual([35, 1, 40]);
});

test("what a timer sets off by promises and turns is through before the next one fires", async () => {
  const clock = new VirtualClock();
  const log: string[] = [];
  clock.timer(1, () => {
    void Promise.resolve().then(() => log.push("microtask"));
    clock.turn(() => clock.turn(() => log.push("second turn")));
  });
  clock.timer(2, () => log.push("next timer"));
  await clock.advance(2);
  expect(log).toEqual(["microtask", "second turn", "next timer"]);
});

test("a cancelled timer does not fire", async () => {
  const clock = new VirtualClock();
  let fired = 0;
  const cancel = clock.timer(10, () => fired++);
  clock.timer(10, () => fired++);
  cancel();
  cancel();
  await clock.advance(20);
  expect(fired).toBe(1);
});

test("an endless exchange of turns is an error, not a test that hangs", async () => {
  const clock = new VirtualClock();
  let on = true;
  const again = (): void => {
    if (on) clock.turn(again);
  };
  again();
  await expect(clock.settle()).rejects.toThrow("still busy");
  on = false;
});
