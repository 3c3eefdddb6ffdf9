import { expect, test } from "vitest";
import { type From, Kernel, type Ref, systemClock } from "../../src/kernel/index.ts";
import { MESSAGES_A_TURN } from "../../src/kernel/run-loop.ts";
import { actor, setup } from "./helpers.ts";

/** A kernel that counts the turns of the event loop it waits for. */
function counting() {
  let turns = 0;
  const clock = {
    ...systemClock,
    turn(callback: () => void) {
      turns++;
      systemClock.turn(callback);
    },
  };
  return { kernel: new Kernel({ clock }), turns: () => turns };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a long mailbox yields to the event loop within a bound", async () => {
  const { kernel } = setup();
  let handled = 0;
  const ref = await kernel.start(
    actor<number>(() => handled++),
    undefined,
  );
  for (let i = 0; i < 20_000; i++) ref.cast(i);
  const marks: number[] = [];
  while (handled < 20_000) {
    const before = handled;
    await turn();
    marks.push(handled - before);
  }
  expect(Math.max(...marks)).toBeLessThanOrEqual(MESSAGES_A_TURN);
  expect(marks.length).toBeGreaterThanOrEqual(4);
});

test("actors that keep each other busy for ever do not keep the event loop from turning", async () => {
  const { kernel } = setup();
  let count = 0;
  const refs: Ref<number>[] = [];
  const player = (other: number) =>
    actor<number>((message, out) => {
      count++;
      const to = refs[other];
      if (to !== undefined) out.cast(to, message + 1);
    });
  refs.push(await kernel.start(player(1), undefined), await kernel.start(player(0), undefined));
  refs[0]?.cast(0);
  for (let i = 0; i < 3; i++) await turn();
  expect(count).toBeGreaterThan(MESSAGES_A_TURN);
  expect(count).toBeLessThanOrEqual(6 * MESSAGES_A_TURN);
  for (const ref of refs) await kernel.kill(ref);
});

test("a caller that awaits one call after the other lets the event loop turn too", async () => {
  const { kernel } = counting();
  const ref = await kernel.start(
    actor<From<number>>((from, out) => out.reply(from, 1)),
    undefined,
  );
  let turned = false;
  void turn().then(() => {
    turned = true;
  });
  let calls = 0;
  while (!turned && calls < 100_000) {
    await kernel.call<From<number>, number>(ref, (from) => from);
    calls++;
  }
  expect(calls).toBeLessThanOrEqual(MESSAGES_A_TURN + 1);
});

test("a message that arrives while the loop waits for its turn starts no second loop", async () => {
  const { kernel, turns } = counting();
  let handled = 0;
  const ref = await kernel.start(
    actor<number>(() => handled++),
    undefined,
  );
  for (let i = 0; i < MESSAGES_A_TURN + 10; i++) ref.cast(i);
  await Promise.resolve();
  await Promise.resolve();
  expect(handled).toBe(MESSAGES_A_TURN);
  for (let i = 0; i < 5; i++) ref.cast(i);
  const other = await kernel.start(
    actor<number>(() => handled++),
    undefined,
  );
  other.cast(1);
  await Promise.resolve();
  expect(handled).toBe(MESSAGES_A_TURN);
  expect(turns()).toBe(1);
  await turn();
  expect(handled).toBe(MESSAGES_A_TURN + 16);
  expect(turns()).toBe(1);
});

test("a busy actor does not keep the others waiting for all of its mailbox", async () => {
  const { kernel, settle } = setup();
  const order: string[] = [];
  const busy = await kernel.start(
    actor<number>(() => order.push("busy")),
    undefined,
  );
  const other = await kernel.start(
    actor<number>(() => order.push("other")),
    undefined,
  );
  for (let i = 0; i < 1_000; i++) busy.cast(i);
  other.cast(1);
  await settle();
  expect(order.indexOf("other")).toBeLessThanOrEqual(256);
  expect(order).toHaveLength(1_001);
});

test("the loop goes on after an actor has crashed in the middle of a batch", async () => {
  const { kernel, settle } = setup();
  const seen: number[] = [];
  const bad = await kernel.start(
    actor<number>((message) => {
      if (message === 1) throw new Error("boom");
    }),
    undefined,
  );
  const good = await kernel.start(
    actor<number>((message) => seen.push(message)),
    undefined,
  );
  for (let i = 0; i < 4; i++) {
    bad.cast(i);
    good.cast(i);
  }
  await settle();
  expect(seen).toEqual([0, 1, 2, 3]);
});
