/**
 * A snapshot of 10⁵ queue keys: written in slices of the event loop's time, by the writer's own measure of work, whatever
 * the machine does beside.
 */
import { expect, test } from "vitest";
import { readRecord, type StateRecord } from "../../../src/amqp/coordinator/records.ts";
import { snapshotOf } from "../../../src/amqp/coordinator/snapshot.ts";
import { CoordinatorState } from "../../../src/amqp/coordinator/state.ts";
import { Tape } from "../../../src/amqp/coordinator/tape.ts";
import { JOURNAL_LIMITS, Writer } from "../../../src/amqp/coordinator/writer.ts";
import { VirtualClock } from "../../../src/testing/virtual-clock.ts";

const KEYS = 100_000;
/** Looks at the clock between two turns: one a change, each a hundredth of a millisecond. */
const MOST_LOOKS = 100 * JOURNAL_LIMITS.turnMs;

class WorkClock extends VirtualClock {
  looks = 0;
  longest = 0;
  taken = 0;
  override now = (): number => 1_000 + ++this.looks / 100;
  override turn(callback: () => void): void {
    this.longest = Math.max(this.longest, this.looks);
    this.looks = 0;
    this.taken += 1;
    setImmediate(callback);
  }
}

test("takes a turn after each 5 ms of work, and changes that come meanwhile do not wait for its end", async () => {
  const clock = new WorkClock();
  const state = new CoordinatorState(3_000);
  for (let at = 0; at < KEYS; at++) state.kept.set(`key-${at}`, `id-${at}`);
  const records: StateRecord[] = [];
  const tape: Tape = new Tape({
    clock,
    isBlocked: () => false,
    failed: (error) => expect.unreachable(error.message),
    publish: (bytes, seq, confirmed) => {
      const record = readRecord(bytes);
      if (record !== undefined && record.kind !== "marker") records.push(record);
      setImmediate(() => {
        confirmed();
        tape.came(seq, seq);
      });
    },
  });
  const writer = new Writer({
    tape,
    clock,
    head: { epoch: 1, writer: "w" },
    limits: JOURNAL_LIMITS,
    snapshot: () => snapshotOf(state),
    letGo: () => {},
    failed: (error) => expect.unreachable(error.message),
  });
  await writer.open({ epoch: 0, seq: 0 });
  records.length = 0;
  Object.assign(clock, { looks: 0, longest: 0, taken: 0 });

  let isWritten = false;
  const compacted = writer.compact().then(() => {
    isWritten = true;
  });
  let meanwhile = 0;
  while (!isWritten && meanwhile < 10) {
    await writer.append([{ c: "pause", queue: `q${meanwhile}`, paused: true }]);
    if (!isWritten) meanwhile += 1;
  }
  await compacted;

  expect(clock.longest).toBeLessThanOrEqual(MOST_LOOKS + 10);
  expect(clock.taken).toBeGreaterThan(KEYS / MOST_LOOKS / 2);
  expect(meanwhile).toBe(10);
  const slices = records.filter(({ kind }) => kind === "slice");
  expect(slices.length).toBeGreaterThan(10);
  expect(slices.flatMap(({ changes }) => changes)).toHaveLength(KEYS);
});
