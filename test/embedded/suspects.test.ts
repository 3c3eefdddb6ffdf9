/**
 * Who took the process down: suspects after a crash, crashes counted for the guilty only, poison buried.
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { collect, counted, jobs, OTHER, P, Q, until } from "../conformance/harness.ts";
import { child, exited, folder, inspect, opened, plainId, said } from "./files.ts";
import { DatabaseSync } from "./sqlite.ts";

/** Runs the store's jobs in a process of its own until it ends; true when it was killed. */
async function runOnce(path: string, maxCrashes: number, ...how: string[]): Promise<boolean> {
  const process_ = child("poison.mjs", path, String(maxCrashes), ...how);
  await said(process_, "ready");
  await exited(process_);
  return process_.signalCode === "SIGKILL";
}

for (const [poisons, most] of [
  [1, 4],
  [2, 8],
] as const) {
  test(`${poisons} poison among 120 jobs: buried after 3 crashes of its own, no innocent is`, {
    timeout: 60_000,
  }, async () => {
    const path = folder();
    const { broker: first } = await opened(path);
    await first.declare([Q]);
    const sent = jobs(120);
    const bad = Array.from({ length: poisons }, (_, at) => jobs(1, { id: `poison-${at}` })).flat();
    await first.publishMany([...sent.slice(0, 40), ...bad, ...sent.slice(40)]);
    await first.close();
    let crashes = 0;
    while (crashes <= most && (await runOnce(path, 3))) crashes += 1;
    expect(crashes).toBeGreaterThanOrEqual(3);
    expect(crashes).toBeLessThanOrEqual(most);
    const { broker } = await opened(path);
    const graves = await broker.listBuried(Q);
    expect(graves.map((one) => one.id).sort()).toEqual(bad.map((one) => one.id).sort());
    expect(graves[0]?.record).toMatchObject({ reason: "poison", error: { kind: "crash" } });
    expect(graves[0]?.envelope?.argsText, "its bytes are kept").toBe(bad[0]?.argsText);
    await counted(broker, { available: 0, unsettled: 0, buried: poisons });
    await broker.close();
    expect(inspect(path)).toMatchObject({ integrity: ["ok"], wrong: [] });
  });
}

test("a poison among plain jobs is found out as any other, and no innocent is charged", {
  timeout: 60_000,
}, async () => {
  const path = folder();
  const { broker: first } = await opened(path);
  await first.declare([Q]);
  await first.close();
  let crashes = Number(await runOnce(path, 3, "plain"));
  while (crashes <= 4 && (await runOnce(path, 3))) crashes += 1;
  expect(crashes).toBeGreaterThanOrEqual(3);
  expect(crashes).toBeLessThanOrEqual(4);
  const { broker } = await opened(path);
  const graves = await broker.listBuried(Q);
  expect(graves.map((one) => one.id)).toEqual([plainId("poison-40")]);
  expect(graves[0]?.envelope?.argsText, "its bytes are kept").toBe("1");
  await counted(broker, { available: 0, unsettled: 0, buried: 1 });
  await broker.close();
  expect(inspect(path)).toMatchObject({ integrity: ["ok"], wrong: [], left: 0 });
});

/** Opens the store, does something, and leaves it as a crash would: nothing is closed. */
async function crash(path: string, ...how: string[]): Promise<void> {
  const process_ = child("hold.mjs", path, ...how);
  await said(process_, "ready");
  process_.kill("SIGKILL");
  await exited(process_);
}

test("after an unclean end what may have been handed out is a suspect; after a close in order nothing is", async () => {
  const path = folder();
  await crash(path);
  const { broker } = await opened(path);
  await broker.declare([OTHER]);
  const { inbox, subscription } = collect(broker, 10);
  const held = await inbox.take(3);
  // that process handed out nothing: its frontier was before the first job
  expect(held.every((one) => one.suspect === undefined)).toBe(true);
  await subscription.cancel();
  for (const one of held) broker.release(one);
  await broker.close();
  const { broker: third } = await opened(path);
  const again = collect(third, 10);
  expect((await again.inbox.take(3)).every((one) => one.suspect === undefined && !one.redelivered)).toBe(
    true,
  );
});

for (const kind of ["indexed", "plain"]) {
  test(`what was in hand at a crash is a suspect, what is far behind it is not (${kind})`, async () => {
    const path = folder();
    await crash(path, "take", kind);
    const { broker } = await opened(path);
    const { inbox } = collect(broker, 400);
    await inbox.count(303);
    const [a, b] = inbox.all;
    expect(a).toMatchObject({ redelivered: true, suspect: { crashes: 0, alone: false } });
    expect(b).toMatchObject({ redelivered: true, suspect: { crashes: 0, alone: false } });
    const suspects = inbox.all.filter((one) => one.suspect !== undefined);
    expect(suspects.length, "two in hand, and the frontier's lead").toBeLessThan(150);
    expect(inbox.all.at(-1)).toMatchObject({ redelivered: false, suspect: undefined });
  });
}

test("a crash is a job's own only if it ran alone", async () => {
  const path = folder();
  const { broker: first } = await opened(path);
  await first.declare([Q]);
  const cases = [
    { crashes: 0, alone: 0, becomes: 1 },
    { crashes: 1, alone: 0, becomes: 1 },
    { crashes: 2, alone: 0, becomes: 2 },
    { crashes: 0, alone: 1, becomes: 1 },
    { crashes: 1, alone: 1, becomes: 2 },
    { crashes: 2, alone: 1, becomes: "buried" },
  ];
  const sent = jobs(cases.length);
  await first.publishMany(sent);
  await first.close();
  const db = new DatabaseSync(join(path, "jobs.db"));
  db.exec("UPDATE meta SET value=0 WHERE key='clean'");
  for (const [at, { crashes, alone }] of cases.entries()) {
    const rid = `(SELECT rid FROM jobs WHERE id='${sent[at]?.id}')`;
    db.exec(
      `UPDATE jobs SET crashes=${crashes} WHERE rid=${rid}; INSERT INTO run VALUES(${rid}, 0, ${alone})`,
    );
  }
  db.close();
  const { broker } = await opened(path, {}, { maxCrashes: 3 });
  const { inbox } = collect(broker, 10);
  await inbox.count(5);
  expect(inbox.all.map((one) => one.suspect)).toEqual(
    cases.filter((one) => one.becomes !== "buried").map((one) => ({ crashes: one.becomes, alone: true })),
  );
  expect((await broker.listBuried(Q)).map((one) => one.id)).toEqual([sent[5]?.id]);
});

test("a stored start is charged with nothing when it was handed back, or the store closed in order", async () => {
  const path = folder();
  const { broker } = await opened(path);
  await broker.declare([Q]);
  await broker.publishMany(jobs(2));
  const { inbox, subscription } = collect(broker, 2);
  const [a, b] = await inbox.take(2);
  if (a !== undefined) await broker.markStarted(a, true);
  if (b !== undefined) await broker.markStarted(b, true);
  await subscription.cancel();
  if (a !== undefined) broker.release(a);
  await broker.close();
  const second = await opened(path);
  const again = collect(second.broker, 2);
  expect((await again.inbox.take(2)).map((one) => one.suspect)).toEqual([undefined, undefined]);
  expect(second.heard.burials).toEqual([]);
});

test("a poison buried at open is told to whoever opened the store, once", { timeout: 60_000 }, async () => {
  const path = folder();
  const { broker: first } = await opened(path);
  await first.declare([Q]);
  await first.publishMany(jobs(1, { id: "poison-x", queueKey: "k" }));
  await first.close();
  // the first crash makes it a suspect, the second is counted at the open after it
  await runOnce(path, 1);
  await runOnce(path, 1);
  const { broker, heard } = await opened(path, {}, { maxCrashes: 1 });
  await until(
    () => heard.burials.length,
    (count) => count === 1,
  );
  expect(heard.burials).toMatchObject([
    { partition: P, queue: Q.queue, id: "poison-x", record: { reason: "poison" } },
  ]);
  expect(await broker.holderOf(P, "k"), "its key is free").toBeUndefined();
  await broker.close();
  const { heard: later } = await opened(path);
  expect(later.burials).toEqual([]);
});
