/**
 * Admission and time: slots that each hold a body for one unit of a clock that only the test moves. What stands in one
 * partition delays another's job by one job a slot, whatever its length, between 2 and 1,000 partitions.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type AdmissionAnswer,
  type AdmissionEffect,
  type AdmissionMessage,
  admissionState,
  stepAdmission,
} from "../../src/actors/admission.ts";
import type { GivesWay } from "../../src/actors/others.ts";
import { fakeRef, Recorder } from "../../src/testing/recorder.ts";

const to = fakeRef<AdmissionAnswer<number>>("worker-supervisor");
const owner = fakeRef<GivesWay>("consumer");

/** Bodies take one unit; the entry of a job is its partition. */
class Node {
  readonly #state;
  readonly #out = new Recorder<AdmissionMessage<number>, AdmissionEffect>();
  /** When each body that runs ends, oldest first. */
  readonly #ends: number[] = [];
  readonly ran: number[] = [];
  now = 0;
  #places = 0;

  constructor(slots: number, partitions: number) {
    this.#state = admissionState<number>({
      watermark: slots,
      threads: slots,
      maxWedged: 0,
      handAhead: 16,
      announceWaiting: () => false,
      pool: 0,
      shares: false,
    });
    for (let lane = 0; lane < partitions; lane++)
      this.#step({ t: "open", lane, partition: `p${lane}`, queue: "q", concurrency: 16, owner });
  }

  enqueue(lane: number): void {
    const place = ++this.#places;
    this.#step({
      t: "ask",
      lane,
      to,
      entry: lane,
      type: 0,
      ahead: false,
      suspect: undefined,
      place,
      again: false,
    });
  }

  /** To the end of the body that ends next. */
  advance(): void {
    this.now = this.#ends.shift() ?? this.now;
    this.#step({ t: "done", type: 0, aheadUs: 0, suspect: undefined, durationMs: 50, ran: true });
  }

  resize(slots: number): void {
    this.#step({ t: "resize", watermark: slots, threads: slots });
  }

  /** Lets bodies end until one of this partition starts; the units that it took. */
  delayOf(lane: number): number {
    const from = this.now;
    const had = this.ran.filter((one) => one === lane).length;
    this.enqueue(lane);
    while (this.ran.filter((one) => one === lane).length === had) this.advance();
    return this.now - from;
  }

  #step(message: AdmissionMessage<number>): void {
    stepAdmission(this.#state, message, 0, this.#out);
    for (const op of this.#out.take()) {
      const answer = op.op === "cast" ? (op.message as AdmissionAnswer<number>) : undefined;
      if (answer?.t !== "start") continue;
      this.ran.push(answer.entry);
      this.#ends.push(this.now + 1);
    }
  }
}

test("a backlog of 100,000 in one partition delays another's job by one job's time a slot", () => {
  for (const slots of [1, 2, 8]) {
    const node = new Node(slots, 2);
    for (let i = 0; i < 100_000; i++) node.enqueue(0);
    for (let i = 0; i < 20; i++) expect(node.delayOf(1), `${slots} slots`).toBeLessThanOrEqual(2);
  }
});

test.each([2, 10, 100, 1_000])(
  "%i partitions with backlogs have equal shares, and a lone job waits one turn",
  (count) => {
    const slots = 4;
    const node = new Node(slots, count + 1);
    for (let i = 0; i < 20; i++) for (let lane = 0; lane < count; lane++) node.enqueue(lane);
    while (node.ran.length < count * 10) node.advance();
    const shares = new Map<number, number>();
    for (const lane of node.ran) shares.set(lane, (shares.get(lane) ?? 0) + 1);
    expect(Math.max(...shares.values()) - Math.min(...shares.values())).toBeLessThanOrEqual(slots);
    expect(shares.size).toBe(count);
    expect(node.delayOf(count)).toBeLessThanOrEqual(Math.ceil(count / slots) + 1);
  },
);

test("whatever stands where, and however the node is resized, a lone job waits one job of each partition a slot", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(60), { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 6 }),
      fc.nat(40),
      (backlogs, before, slots, ends) => {
        const lone = backlogs.length;
        const node = new Node(before, lone + 1);
        for (const [lane, count] of backlogs.entries()) for (let i = 0; i < count; i++) node.enqueue(lane);
        const total = backlogs.reduce((a, b) => a + b, 0);
        for (let i = 0; i < Math.min(ends, total); i++) node.advance();
        node.resize(slots);
        // those beyond a lowered watermark end first
        const beyond = Math.max(0, before - slots);
        expect(node.delayOf(lone)).toBeLessThanOrEqual(Math.ceil((lone + beyond) / slots) + 1);
        while (node.ran.length < total + 1) node.advance();
        const counts = backlogs.map((_, lane) => node.ran.filter((one) => one === lane).length);
        expect(counts).toEqual(backlogs);
      },
    ),
  );
});
