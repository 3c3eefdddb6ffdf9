/**
 * One holder at a time: a second process, a second runtime, and a folder that is taken away while it is open.
 */
import { existsSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { BrokerInUse, StoreTaken } from "../../src/broker/errors.ts";
import { collect, Heard, job, jobs, Q, until } from "../conformance/harness.ts";
import { brokerOn, child, exited, folder, opened, said } from "./files.ts";

test("a second process is refused, told who holds the folder, and let in when the holder was killed", async () => {
  const path = folder();
  const holder = child("hold.mjs", path);
  await said(holder, "ready");
  const second = brokerOn(path).open(new Heard());
  await expect(second).rejects.toBeInstanceOf(BrokerInUse);
  await expect(second).rejects.toMatchObject({ holder: { pid: holder.pid, node: "holder" } });
  await expect(second).rejects.toThrow(`process ${holder.pid}`);
  const link = join(folder(), "link");
  symlinkSync(path, link);
  await expect(brokerOn(link).open(new Heard()), "by another name").rejects.toBeInstanceOf(BrokerInUse);
  holder.kill("SIGKILL");
  await exited(holder);
  const { broker } = await opened(path);
  expect(broker.counts(Q)).toMatchObject({ available: 3 });
});

test("a second runtime of the same process is refused, and the first goes on", async () => {
  const path = folder();
  const { broker } = await opened(path, {}, { node: "first" });
  await broker.declare([Q]);
  const second = brokerOn(path).open(new Heard());
  await expect(second).rejects.toMatchObject({
    code: "BrokerInUse",
    holder: { pid: process.pid, node: "first" },
  });
  expect(await broker.publish(job())).toBeUndefined();
  await broker.close();
  const { broker: third } = await opened(path);
  expect(third.counts(Q)).toMatchObject({ available: 1 });
});

test("holder.json says who, and is gone after close", async () => {
  const path = folder();
  const { broker } = await opened(path, {}, { node: "me" });
  expect(JSON.parse(readFileSync(join(path, "holder.json"), "utf8"))).toMatchObject({
    pid: process.pid,
    node: "me",
  });
  await broker.close();
  expect(existsSync(join(path, "holder.json"))).toBe(false);
});

for (const [name, take] of [
  ["the data file is deleted", (path: string) => rmSync(join(path, "jobs.db"))],
  ["its log is deleted", (path: string) => rmSync(join(path, "jobs.db-wal"))],
  ["the folder is moved away", (path: string) => renameSync(path, `${path}-moved`)],
  [
    "another process has written holder.json",
    (path: string) => writeFileSync(join(path, "holder.json"), '{"token":"x"}'),
  ],
] as const) {
  test(`when ${name} while it is open, the runtime stops with StoreTaken`, async () => {
    const path = folder();
    const { broker, heard } = await opened(path, { checkEveryMs: 20 });
    await broker.declare([Q]);
    await broker.publishMany(jobs(3));
    const { inbox } = collect(broker, 1);
    const held = await inbox.next();
    take(path);
    await until(
      () => heard.errors.length,
      (count) => count > 0,
    );
    expect(heard.errors[0]).toBeInstanceOf(StoreTaken);
    await expect(broker.publish(job())).rejects.toBeInstanceOf(StoreTaken);
    broker.complete(held);
    await broker.discard(held);
    expect(inbox.all, "nothing more is handed out").toHaveLength(1);
    await broker.close();
    rmSync(`${path}-moved`, { recursive: true, force: true });
  });
}
