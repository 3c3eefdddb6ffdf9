/**
 * A disk that is full and a flush that fails: what is known is said, what is unknown is called so, nothing is
 * lost.
 *
 * The really full disk is a small tmpfs where the test may mount one (Linux, root); else the same path is
 * taken by an injected `FULL`. One visible line says which ran.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { EnqueueOutcomeUnknown, StorageFull, StoreDamaged } from "../../src/broker/errors.ts";
import { DuplicateJob } from "../../src/jobs/errors.ts";
import {
  barrier,
  collect,
  counted,
  Heard,
  job,
  jobs,
  OTHER,
  Q,
  record,
  until,
} from "../conformance/harness.ts";
import { brokerOn, folder, inspect, opened, plainId } from "./files.ts";

const MIB = 1 << 20;

/** A file system of so many MiB, or nothing where none can be mounted. */
function smallDisk(mib: number): string | undefined {
  const path = mkdtempSync(join(tmpdir(), "spillway-disk-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${mib}m`, "tmpfs", path], { stdio: "ignore" });
    onTestFinished(() => void execFileSync("umount", ["-l", path], { stdio: "ignore" }));
    return path;
  } catch {
    return undefined;
  }
}

test("on a full disk enqueues are refused as not stored, completions pass, and then there is room again", async () => {
  const disk = smallDisk(24);
  const how = disk === undefined ? "an injected FULL (no mount allowed)" : "a tmpfs of 24 MiB";
  process.stdout.write(`full disk: ${how}\n`);
  const faults = disk === undefined ? { faults: { failCommit: { id: "last", kind: "FULL" as const } } } : {};
  const tuning = {
    reserveBytes: 0,
    ballastBytes: 6 * MIB,
    restoreBytes: 12 * MIB,
    checkEveryMs: 50,
    ...faults,
  };
  const { broker, heard } = await opened(disk ?? folder(), tuning);
  await broker.declare([Q]);
  if (disk !== undefined)
    await until(
      () => existsSync(join(disk, "ballast")),
      (there) => there,
    );
  const confirmed: string[] = [];
  const refusals: Error[] = [];
  for (let i = 0; i < 200 && refusals.length === 0; i++) {
    const some = jobs(25, { argsText: JSON.stringify("x".repeat(20_000)) });
    if (i === 20 && disk === undefined) some.push(job({ id: "last" }));
    const refused = await broker.publishMany(some);
    for (const one of some) if (refused?.has(one) !== true) confirmed.push(one.id);
    refusals.push(...(refused?.values() ?? []));
  }
  expect(refusals[0]).toBeInstanceOf(StorageFull);
  expect(heard.said).toContain("blocked");
  const { inbox } = collect(broker, 10);
  for (let i = 0; i < confirmed.length; i++) broker.complete(await inbox.next());
  await counted(broker, { available: 0, unsettled: 0 });
  expect(inbox.ids(), "every confirmed job, and no other").toEqual(confirmed);
  const after = job();
  expect(await broker.publish(after), "room again").toBeUndefined();
  await broker.discard(await inbox.next());
  expect(heard.said).not.toContain("lost");
});

test("with less free than the reserve enqueues are refused before the disk is full; the rest goes on", async () => {
  const path = folder();
  const { broker: first } = await opened(path);
  await first.declare([Q]);
  await first.publishMany(jobs(4));
  await first.close();
  const { broker, heard } = await opened(path, { reserveBytes: 2 ** 60, checkEveryMs: 20 });
  const refused = job();
  const error = (await broker.publish(refused))?.get(refused);
  expect(error).toMatchObject({ code: "StorageFull", freeBytes: expect.any(Number) });
  expect(heard.said).toContain("blocked");
  const { inbox } = collect(broker, 4);
  const [a, b, c, d] = await inbox.take(4);
  if (a !== undefined) broker.complete(a);
  if (b !== undefined) await broker.retry(b, b.envelope, Date.now() + 60_000);
  if (c !== undefined) await broker.bury(c, c.envelope, record());
  if (d !== undefined) await broker.discard(d);
  await counted(broker, { available: 0, scheduled: 1, buried: 1, unsettled: 0 });
});

for (const fresh of [false, true]) {
  test(`a full disk that stays full keeps what was settled and tries it again (${fresh ? "plain" : "indexed"})`, async () => {
    const faults = { failCommit: { id: plainId("late"), kind: "FULL" as const, times: 4 } };
    const { broker } = await opened(folder(), { faults });
    await broker.declare([Q]);
    const { inbox } = collect(broker, 2);
    await broker.publishMany(
      ["a", "b"].map((id) => job({ id: plainId(id) })),
      { fresh },
    );
    const [a, b] = await inbox.take(2);
    const late = job({ id: plainId("late") });
    const discarding = a === undefined ? undefined : broker.discard(a);
    const publishing = broker.publish(late, { fresh });
    if (b !== undefined) await broker.discard(b);
    await discarding;
    expect((await publishing)?.get(late)).toBeInstanceOf(StorageFull);
    await counted(broker, { available: 0, unsettled: 0 });
    expect(await broker.find(Q.partition, late.id)).toBe("absent");
  });
}

test("the ballast is written when there is room, given back when there is none", async () => {
  const path = folder();
  const { broker } = await opened(path, { ballastBytes: 2 * MIB, checkEveryMs: 20, restoreBytes: 1 });
  await until(
    () => existsSync(join(path, "ballast")),
    (there) => there,
  );
  await broker.close();
  const faults = { failCommit: { id: "refused", kind: "FULL" as const } };
  const again = await opened(path, {
    ballastBytes: 2 * MIB,
    checkEveryMs: 20,
    restoreBytes: 2 ** 60,
    faults,
  });
  await again.broker.declare([Q]);
  const refused = job({ id: "refused" });
  expect((await again.broker.publish(refused))?.get(refused)).toBeInstanceOf(StorageFull);
  expect(existsSync(join(path, "ballast"))).toBe(false);
  expect(await again.broker.publish(job())).toBeUndefined();
});

for (const [stored, fresh] of [
  [false, false],
  [true, false],
  [false, true],
  [true, true],
]) {
  const name = `${fresh ? "plain, " : ""}${stored ? "stored all the same" : "not stored"}`;
  test(`a flush that fails: enqueues are unknown (here ${name}), the store is opened anew, nothing is lost`, async () => {
    const path = folder();
    const faults = { failCommit: { id: plainId("unknown"), kind: "IOERR" as const, after: stored === true } };
    const { broker, heard } = await opened(path, { faults });
    await broker.declare([Q, OTHER]);
    const sent = [0, 1, 2, 3].map((at) => job({ id: plainId(`${at}`) }));
    const { inbox } = collect(broker, 3);
    await broker.publishMany(sent, { fresh: fresh === true });
    const [done, kept, retried] = await inbox.take(3);
    const unknown = job({ id: plainId("unknown") });
    const publishing = broker.publish(unknown, { fresh: fresh === true }).catch((error: unknown) => error);
    if (done !== undefined) broker.complete(done);
    const next = job({ ...sent[2], attempt: 1 });
    const retrying = retried === undefined ? undefined : broker.retry(retried, next, Date.now() + 60_000);
    expect(await publishing).toBeInstanceOf(EnqueueOutcomeUnknown);
    await until(
      () => heard.said.filter((word) => word === "connected").length,
      (count) => count === 2,
    );
    expect(heard.said.slice(0, 3)).toEqual(["connected", "lost", "connected"]);
    await retrying;
    if (kept !== undefined) broker.complete(kept); // void: it comes again
    const again = await broker.publish(unknown);
    if (stored) expect(again?.get(unknown)).toBeInstanceOf(DuplicateJob);
    else expect(again).toBeUndefined();
    // the fourth was handed out when the first was settled, and is void too
    await inbox.count(7);
    await barrier(broker);
    expect(inbox.ids().slice(4).sort(), "what was settled does not come back").toEqual(
      [sent[1]?.id, sent[3]?.id, unknown.id].sort(),
    );
    expect(inbox.all[4]).toMatchObject({ redelivered: true, suspect: undefined });
    await counted(broker, { unsettled: 3, scheduled: 1, available: 0 });
    for (const one of inbox.all.slice(4)) broker.complete(one);
    await counted(broker, { unsettled: 0, available: 0 });
    await broker.close();
    expect(inspect(path)).toMatchObject({ integrity: ["ok"], wrong: [], orphans: 0, left: 0 });
  });
}

test("what is published while the store is being opened anew waits for it", async () => {
  const { broker, heard } = await opened(folder(), { faults: { failCommit: { id: "x", kind: "IOERR" } } });
  await broker.declare([Q]);
  await broker.publish(job({ id: "x" })).catch(() => undefined);
  expect(heard.said).toContain("lost");
  const waiting = job();
  expect(await broker.publish(waiting)).toBeUndefined();
  const { inbox } = collect(broker, 5);
  await until(
    () => inbox.ids(),
    (ids) => ids.includes(waiting.id),
  );
});

for (const fresh of [false, true]) {
  test(`a store thread that ends in a transaction is a loss: unknown, opened anew, nothing lost (${fresh ? "plain" : "indexed"})`, async () => {
    const path = folder();
    const { broker, heard } = await opened(path, {
      faults: { failCommit: { id: plainId("x"), kind: "EXIT" } },
    });
    await broker.declare([Q]);
    const { inbox } = collect(broker, 1);
    const before = job({ id: plainId("before") });
    await broker.publish(before, { fresh });
    await inbox.count(1);
    await expect(broker.publish(job({ id: plainId("x") }), { fresh })).rejects.toBeInstanceOf(
      EnqueueOutcomeUnknown,
    );
    await until(
      () => heard.said.filter((word) => word === "connected").length,
      (count) => count === 2,
    );
    await inbox.count(2);
    expect(await broker.find(Q.partition, before.id)).toBe("unsettled");
    expect(await broker.find(Q.partition, plainId("x"))).toBe("absent");
    await broker.close();
    expect(inspect(path)).toMatchObject({ integrity: ["ok"], wrong: [], left: 0, clean: 1 });
  });
}

test("a broker that is closed while it is being opened, or opened anew, lets go of the folder", async () => {
  const path = folder();
  const first = brokerOn(path);
  const opening = first.open(new Heard());
  await Promise.all([first.close(), opening]);
  const { broker, heard } = await opened(path, { faults: { failCommit: { id: "x", kind: "IOERR" } } });
  await broker.declare([Q]);
  await broker.publish(job({ id: "x" })).catch(() => undefined);
  expect(heard.said).toContain("lost");
  const late = broker.publish(job());
  const refused = expect(late).rejects.toMatchObject({ code: "BrokerUnreachable" });
  await broker.close();
  await refused;
  const { broker: third } = await opened(path);
  expect(third.counts(Q)).toMatchObject({ available: 0 });
});

test("a damaged page met by a commit ends the runtime: StoreDamaged for all, and no reopening", async () => {
  const { broker, heard } = await opened(folder(), { faults: { failCommit: { id: "x", kind: "CORRUPT" } } });
  await broker.declare([Q]);
  await broker.publish(job());
  await expect(broker.publish(job({ id: "x" }))).rejects.toBeInstanceOf(StoreDamaged);
  expect(heard.errors[0]).toBeInstanceOf(StoreDamaged);
  await expect(broker.list(Q, 1)).rejects.toBeInstanceOf(StoreDamaged);
  await broker.close();
});
