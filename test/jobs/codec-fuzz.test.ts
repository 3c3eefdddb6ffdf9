/**
 * The decoder against random and damaged input: it never throws, and what it takes for a job is one.
 *
 * 10⁴ inputs here, 10⁶ with SPILLWAY_LONG. SPILLWAY_SEED repeats a run; the seed is in every failure's message.
 */
import { expect, test } from "vitest";
import { decodeEnvelope, encodeEnvelope } from "../../src/jobs/codec.ts";
import type { Envelope } from "../../src/jobs/envelope.ts";
import { checkId, checkJobName, checkKey, checkName } from "../../src/jobs/names.ts";
import { levelsProblem } from "../../src/jobs/retry.ts";
import { envelopeFrom, mutated, mutatedBytes, noise, Random } from "./generators.ts";

const RUNS = process.env.SPILLWAY_LONG === undefined ? 10_000 : 1_000_000;
const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 2 ** 31);

/** What an executor relies on; read off the envelope, not off the decoder. */
function problemOf(e: Envelope): string | undefined {
  const problems = [
    checkId(e.id),
    checkJobName(e.job),
    checkName(e.partition),
    checkName(e.queue),
    e.queueKey === undefined ? undefined : checkKey(e.queueKey),
    e.executionKey === undefined ? undefined : checkKey(e.executionKey),
    e.levels === undefined ? undefined : levelsProblem(e.levels),
    e.history.length > 5 ? "history is too long" : undefined,
    e.argsText === "" || e.argsText.includes("\n") ? "args are not one line" : undefined,
  ];
  for (const count of [e.attempt, e.hop, e.maxExecutionTimeMs, e.enqueuedAt, e.startedAt]) {
    problems.push(Number.isSafeInteger(count) && count >= 0 ? undefined : `${count} is no count`);
  }
  return problems.find((problem) => problem !== undefined);
}

/** Fails with what is needed to see the input again. Plain comparisons: `expect` is too slow for 10⁶ runs. */
function check(input: string | Uint8Array, run: number): boolean {
  const told = () => `seed ${SEED}, run ${run}: ${JSON.stringify(Buffer.from(input).toString("latin1"))}`;
  let read: ReturnType<typeof decodeEnvelope>;
  try {
    read = decodeEnvelope(input);
  } catch (error) {
    throw new Error(`the decoder threw on ${told()}`, { cause: error });
  }
  if (!read.ok) {
    if (read.reason === "" || read.reason.includes("\n")) throw new Error(`a bad reason for ${told()}`);
    return false;
  }
  const problem = problemOf(read.envelope);
  if (problem !== undefined) throw new Error(`took ${told()} although ${problem}`);
  const text = encodeEnvelope(read.envelope);
  const again = decodeEnvelope(text);
  if (!again.ok) throw new Error(`took, and then refused (${again.reason}), ${told()}`);
  if (encodeEnvelope(again.envelope) !== text) throw new Error(`changed on its second way: ${told()}`);
  return true;
}

test(`every valid envelope comes back as it was (seed ${SEED})`, () => {
  const random = new Random(SEED);
  for (let run = 0; run < RUNS / 10; run++) {
    const envelope = envelopeFrom(random);
    const text = encodeEnvelope(envelope);
    const input = random.chance(0.5) ? text : Buffer.from(text);
    expect(decodeEnvelope(input), `seed ${SEED}, run ${run}`).toEqual({ ok: true, envelope });
  }
});

test(`damaged messages give a valid job or a reason (seed ${SEED})`, { timeout: 600_000 }, () => {
  const random = new Random(SEED + 1);
  let taken = 0;
  for (let run = 0; run < RUNS; run++) {
    const text = encodeEnvelope(envelopeFrom(random));
    if (check(random.chance(0.7) ? mutated(random, text) : mutatedBytes(random, text), run)) taken++;
  }
  // Damage in the args or in a text field leaves a valid message: both outcomes must have been met.
  expect(taken).toBeGreaterThan(RUNS / 100);
  expect(taken).toBeLessThan(RUNS * 0.9);
});

test(`noise gives a reason (seed ${SEED})`, { timeout: 600_000 }, () => {
  const random = new Random(SEED + 2);
  let taken = 0;
  for (let run = 0; run < RUNS; run++) {
    const bytes = noise(random);
    if (check(random.chance(0.5) ? bytes : Buffer.from(bytes).toString("latin1"), run)) taken++;
  }
  expect(taken).toBe(0);
});
