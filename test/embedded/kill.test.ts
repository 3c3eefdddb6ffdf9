/**
 * `kill -9` at random moments, and the store held to what it had confirmed.
 *
 * 15 kills a path, 100 in the long run: jobs that are all indexed, and jobs most of which are plain; several a file, some in a row without a clean close between them. Prints its
 * seed and totals; SPILLWAY_SEED repeats a run's choices (not its timing).
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { collect } from "../conformance/harness.ts";
import { child, exited, folder, inspect, opened, said } from "./files.ts";

const LONG = process.env.SPILLWAY_LONG !== undefined;
const KILLS = LONG ? 100 : 15;
const PER_FILE = 5;
const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 1_000_000);
const QUEUE = { partition: "p", queue: "q" };

type Kind = "indexed" | "plain";

/** What the ledger says of each job. */
function readLedger(path: string) {
  const sets = new Map<string, Set<string>>();
  const attempts = new Map<string, number>();
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  // the last line may have been cut
  for (const line of text.slice(0, text.lastIndexOf("\n") + 1).split("\n")) {
    const [word = "", id = "", attempt] = line.split(" ");
    const set = sets.get(word) ?? new Set<string>();
    sets.set(word, set.add(id));
    if (word === "R") attempts.set(id, Number(attempt));
  }
  const of = (word: string) => sets.get(word) ?? new Set<string>();
  return {
    confirmed: of("C"),
    refused: of("REFUSED"),
    started: of("S"),
    ending: of("E"),
    ended: of("D"),
    buried: of("B"),
    lost: of("LOST"),
    attempts,
  };
}

async function everything(path: string) {
  const { broker } = await opened(path);
  const { jobs } = await broker.list(QUEUE, 1_000_000);
  const graves = new Set<string>();
  for (let after: string | undefined; ; ) {
    const page = await broker.listBuried(
      QUEUE,
      after === undefined ? { limit: 1000 } : { limit: 1000, after },
    );
    for (const grave of page) graves.add(grave.id);
    after = page.at(-1)?.id;
    if (after === undefined) break;
  }
  const counts = broker.counts(QUEUE);
  await broker.close();
  return { waiting: new Map(jobs.map((job) => [job.envelope.id, job.envelope.attempt])), graves, counts };
}

/** Kills one child after `afterMs` of work. */
async function killOnce(path: string, kind: Kind, seed: number, afterMs: number): Promise<void> {
  const writers = [1, 20, 200][seed % 3] ?? 1;
  const process_ = child("ledger.mjs", path, join(path, "ledger"), String(seed), String(writers), kind);
  await said(process_, "ready");
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  process_.kill("SIGKILL");
  await exited(process_);
}

const noTotals = () => ({
  kills: 0,
  confirmed: 0,
  started: 0,
  ended: 0,
  buried: 0,
  repeated: 0,
  mostRepeated: 0,
});

async function check(path: string, totals: ReturnType<typeof noTotals>): Promise<void> {
  const ledger = readLedger(join(path, "ledger"));
  const { waiting, graves, counts } = await everything(path);
  const lost = [...ledger.confirmed].filter(
    (id) => !waiting.has(id) && !graves.has(id) && !ledger.ending.has(id),
  );
  expect(lost, "confirmed, not ended, not there").toEqual([]);
  const back = [...ledger.ended].filter((id) => waiting.has(id) || graves.has(id));
  expect(back, "durably ended, and there again").toEqual([]);
  expect(
    [...ledger.buried].filter((id) => !graves.has(id)),
    "buried, and not there",
  ).toEqual([]);
  for (const [id, attempt] of ledger.attempts) {
    if (waiting.has(id)) expect(waiting.get(id), `attempt of ${id}`).toBeGreaterThanOrEqual(attempt);
  }
  expect([...ledger.refused], "no id was ever used twice").toEqual([]);
  expect([...ledger.lost], "the store was never lost").toEqual([]);
  expect(counts).toMatchObject({ unsettled: 0, buried: graves.size });
  expect((counts?.available ?? 0) + (counts?.scheduled ?? 0)).toBe(waiting.size);
  expect(inspect(path)).toMatchObject({
    integrity: ["ok"],
    wrong: [],
    orphans: 0,
    bodiless: 0,
    left: 0,
    clean: 1,
  });
  const again = [...ledger.ending].filter((id) => waiting.has(id)).length;
  totals.repeated += again;
  totals.mostRepeated = Math.max(totals.mostRepeated, again);
}

for (const kind of ["indexed", "plain"] as const) {
  test(`after ${KILLS} kills every confirmed job is there or has ended, and none that had ended is back (${kind})`, {
    timeout: LONG ? 1_200_000 : 180_000,
  }, async () => {
    const totals = noTotals();
    let state = SEED;
    const random = () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
      return state / 0x7fffffff;
    };
    for (let kills = 0; kills < KILLS; kills += PER_FILE) {
      const path = folder();
      for (let i = 0; i < PER_FILE; i++) {
        await killOnce(path, kind, SEED + kills + i, 20 + random() * 500);
        totals.kills += 1;
        // every second crash is followed by another one without a clean close
        if (i % 2 === 0) await check(path, totals);
      }
      const ledger = readLedger(join(path, "ledger"));
      totals.confirmed += ledger.confirmed.size;
      totals.started += ledger.started.size;
      totals.ended += ledger.ended.size;
      totals.buried += ledger.buried.size;
    }
    process.stdout.write(`kill -9, ${kind}: seed ${SEED}, ${JSON.stringify(totals)}\n`);
    expect(totals.confirmed).toBeGreaterThan(KILLS * 10);
  });

  test(`a reopen after a kill hands everything out, what may have run as suspects (${kind})`, async () => {
    const path = folder();
    await killOnce(path, kind, SEED, 400);
    const { broker } = await opened(path);
    const waiting = broker.counts(QUEUE)?.available ?? 0;
    const { inbox } = collect(broker, waiting, QUEUE);
    await inbox.count(waiting);
    const ledger = readLedger(join(path, "ledger"));
    const ran = inbox.all.filter((one) => ledger.started.has(one.envelope.id) && one.envelope.attempt === 0);
    expect(ran.filter((one) => one.suspect === undefined).map((one) => one.envelope.id)).toEqual([]);
    expect(ran.every((one) => one.redelivered)).toBe(true);
  });
}
