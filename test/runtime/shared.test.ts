/** Bodies that share threads, through the whole runtime: what a rescue costs a job, and what it does not. */
import { EventEmitter, once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { brokers, collect, next, Place, start } from "./support.ts";

const [memory] = brokers;
const waits = new URL("../fixtures/jobs/waits.mjs", import.meta.url);
const blocks = new URL("../fixtures/jobs/blocks.mjs", import.meta.url);

/** Answers when `until` have asked in all, and from then on at once; `asked` resolves when so many have. */
async function serve(until: number): Promise<{ url: string; asked(count: number): Promise<void> }> {
  const held: (() => void)[] = [];
  const asks = new EventEmitter();
  let count = 0;
  const server: Server = createServer((_, response) => {
    held.push(() => response.end("hello"));
    asks.emit(String(++count));
    if (count >= until) for (const answer of held.splice(0)) answer();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const asked = async (wanted: number) => void (count < wanted && (await once(asks, String(wanted))));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, asked };
}

test("500 jobs wait for HTTP at once on two threads", async () => {
  const runtime = await start(memory, new Place(), {
    jobs: waits,
    threads: 2,
    jobsPerThread: 250,
    partitions: { p: { default: 500 } },
  });
  const { url } = await serve(500);
  const given = Array.from({ length: 500 }, () => ({ way: "http", url }));
  const handles = await runtime.enqueueMany("waits", given, { partition: "p" });
  expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(given.map(() => "hello"));
});

test("jobs beside one that blocks their thread run again: no attempt spent, and the event says why", async () => {
  const runtime = await start(memory, new Place(), {
    jobs: [waits, blocks],
    threads: 1,
    jobsPerThread: 6,
    partitions: { p: { default: 6 } },
  });
  const rescued = collect(runtime, "job.rescued");
  const killed = next(runtime, "job.killed");
  const buried = next(runtime, "job.buried");
  // each of the five asks twice
  const { url, asked } = await serve(10);
  const others = Array.from({ length: 5 }, () => ({ way: "http", url }));
  const handles = await runtime.enqueueMany("waits", others, { partition: "p" });
  await asked(5);
  const blocker = await runtime.enqueue("blocks", undefined, { partition: "p" });
  expect(await buried).toMatchObject({ id: blocker.id, error: { kind: "timeout" } });
  expect(await killed).toMatchObject({ id: blocker.id, reason: "timeout" });
  expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(others.map(() => "hello"));
  expect(rescued.map(({ id }) => id).sort()).toEqual(handles.map(({ id }) => id).sort());
  for (const event of rescued)
    expect(event).toMatchObject({ attempt: 0, reason: `timeout of job ${blocker.id}` });
});
