/**
 * The option `persister` on the brokers of one process: what is paused and cancelled is kept there, whatever becomes of the
 * runtime; what fails keeps the partition waiting, with the reason.
 */
import { describe, expect, test } from "vitest";
import { embedded, memory } from "../../src/embedded/index.ts";
import { defineJob } from "../../src/jobs/definition.ts";
import { filesystem } from "../../src/persist/filesystem.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { startRuntime } from "../../src/runtime/runtime.ts";
import { FakePool } from "../../src/testing/fake-pool.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { HeapPersister } from "../persist/memory-persister.ts";
import { brokers, type Kind, next, Place, start } from "./support.ts";

const body = (_args: { x: number }) => undefined;
const plain = defineJob({ name: "plain", perform: body });
const keyed = defineJob({ name: "keyed", queueKey: ({ x }) => (x < 0 ? undefined : `k${x}`), perform: body });

/** Instead of doing what it is asked. */
const fails = (why: string) => (): unknown => {
  throw new Error(why);
};

const WRONGS: readonly [call: "init" | "load" | "store", wrong: () => unknown, why: RegExp][] = [
  ["init", fails("no rights"), /failed in init: no rights/],
  ["load", fails("no disk"), /failed in load: no disk/],
  ["load", () => Buffer.from("rubbish"), /does not begin as a state does/],
  ["load", () => "text", /gave a string, not bytes/],
  ["store", fails("disk full"), /failed in store: disk full/],
];

type Persister = NonNullable<Parameters<typeof start>[2]>["persister"];

/** A node whose bodies never end. */
function node(
  kind: Kind,
  place: Place,
  persister: Persister | undefined,
  queues: Readonly<Record<string, number>> | undefined = { default: 5 },
): Promise<Runtime> {
  const given = persister === undefined ? {} : { persister };
  return start(
    kind,
    place,
    { jobs: [plain, keyed], partitions: { p: queues }, shutdownTimeout: 50, grace: 0, ...given },
    { pool: () => new FakePool(2) },
  );
}

const running = async (runtime: Runtime) => (await runtime.node.runningJobs("p")).length;

describe.each(brokers)("on $kind", (kind) => {
  test("a pause and a cancelled id are there again after a restart, from a file", async () => {
    const place = new Place();
    const path = place.path();
    const before = await node(kind, place, filesystem({ path }));
    await before.queues.pause("p", "default");
    expect(await before.cancel("p", "never-seen")).toEqual({ was: "marked" });
    await before.stop();

    const after = await node(kind, place, filesystem({ path }));
    expect(await after.queues.paused("p")).toEqual(["default"]);
    expect(await after.isCancelled("p", "never-seen")).toBe(true);
    const cancelled = next(after, "job.cancelled", "never-seen");
    const other = await after.enqueue(plain, { x: 1 }, { partition: "p" });
    await after.enqueue(plain, { x: 1 }, { partition: "p", id: "never-seen" });
    expect(await running(after)).toBe(0);
    const started = next(after, "job.started", other.id);
    await after.queues.resume("p", "default");
    await Promise.all([cancelled, started]);
    await after.stop();

    const last = await node(kind, place, filesystem({ path }));
    expect(await last.queues.paused("p")).toEqual([]);
    expect(await last.isCancelled("p", "never-seen")).toBe(false);
    await last.stop();

    const elsewhere = await node(kind, place, filesystem({ path: place.path() }));
    expect(await elsewhere.isCancelled("p", "never-seen")).toBe(false);
  });

  test("a persister of the user's own keeps them, is asked in order, and closed at the end", async () => {
    const place = new Place();
    const own = new HeapPersister();
    const before = await node(kind, place, own);
    expect(own.calls).toEqual(["init", "load", "store"]);
    await before.queues.pause("p", "default");
    await before.cancel("p", "a");
    await before.queues.resume("p", "default");
    await before.queues.pause("p", "default");
    expect(own.calls.slice(3)).toEqual(["append", "append", "append", "append"]);
    await before.stop();
    expect(own.isClosed).toBe(true);
    const after = await node(kind, place, own);
    expect(await after.queues.paused("p")).toEqual(["default"]);
    expect(await after.isCancelled("p", "a")).toBe(true);
  });

  test("one without append keeps pauses and cancelled ids, and is refused for queue keys", async () => {
    const place = new Place();
    const own = new HeapPersister();
    const before = await node(kind, place, own.withoutAppend);
    await before.queues.pause("p", "default");
    await before.cancel("p", "a");
    const refused = { code: "QueueKeyRefused", job: "keyed" };
    await expect(before.enqueue(keyed, { x: 1 }, { partition: "p" })).rejects.toMatchObject(refused);
    await expect(before.enqueue(keyed, { x: 1 }, { partition: "p" })).rejects.toThrow(
      /append\(partition, bytes\)/,
    );
    // a job whose key is undefined has none
    await before.enqueue(keyed, { x: -1 }, { partition: "p" });
    const many = before.enqueueMany(keyed, [{ x: -1 }, { x: 2 }], { partition: "p" });
    await expect(many).rejects.toMatchObject({
      code: "EnqueueManyFailed",
      outcomes: [{ index: 0 }, { index: 1, error: refused }],
    });
    await before.stop();
    const after = await node(kind, place, own.withoutAppend);
    expect(await after.queues.paused("p")).toEqual(["default"]);
    expect(await after.isCancelled("p", "a")).toBe(true);
  });

  test("one with append takes jobs with queue keys: they stay with their jobs", async () => {
    const place = new Place();
    const own = new HeapPersister();
    const runtime = await node(kind, place, own);
    await runtime.enqueue(keyed, { x: 1 }, { partition: "p" });
    expect(await runtime.keys.isQueued("p", "k1")).toBe(true);
    expect(own.count("append")).toBe(0);
  });

  test('"none" keeps nothing over the end of the runtime', async () => {
    const place = new Place();
    const before = await node(kind, place, "none");
    await before.queues.pause("p", "default");
    await before.cancel("p", "a");
    expect(await before.queues.paused("p")).toEqual(["default"]);
    expect(await before.isCancelled("p", "a")).toBe(true);
    await before.enqueue(plain, { x: 1 }, { partition: "p" });
    expect(await running(before)).toBe(0);
    await before.stop();
    const after = await node(kind, place, "none");
    expect(await after.queues.paused("p")).toEqual([]);
    expect(await after.isCancelled("p", "a")).toBe(false);
  });

  test("a pause holds for a queue that is added later", async () => {
    const own = new HeapPersister();
    const place = new Place();
    const before = await node(kind, place, own, { default: 5, late: 5 });
    await before.queues.pause("p", "late");
    await before.stop();
    const after = await node(kind, place, own);
    await after.partitions.reconfigure("p", { default: 5, late: 5 });
    expect(await after.queues.paused("p")).toEqual(["late"]);
    await after.enqueue(plain, { x: 1 }, { partition: "p", queue: "late" });
    expect(await running(after)).toBe(0);
  });

  test.each(WRONGS)(
    "where %s fails the partition waits, with the reason; it starts by itself when that is mended",
    async (name, wrong, why) => {
      const place = new Place();
      const own = new HeapPersister();
      const before = await node(kind, place, own);
      await before.queues.pause("p", "default");
      await before.stop();
      const bytes = own.kept.get("p");
      own.instead.set(name, wrong);

      const after = await start(
        kind,
        place,
        { partitions: {}, persister: own },
        { pool: () => new FakePool(2) },
      );
      const waiting = next(after, "partition.waiting");
      expect(await after.partitions.start("p", { default: 5 })).toBe("waiting");
      const { error } = await waiting;
      expect(error).toMatchObject({ code: "PersisterFailed", partition: "p", call: name });
      expect(error.message).toMatch(why);
      expect(own.kept.get("p")).toBe(bytes);
      const isRunning = next(after, "partition.running");
      own.instead.clear();
      await isRunning;
      expect(await after.queues.paused("p")).toEqual(["default"]);
    },
  );

  test.each(["append", "store"] as const)(
    "where %s fails later the call rejects, nothing of it holds, and the next may work",
    async (name) => {
      const place = new Place();
      const own = new HeapPersister();
      const runtime = await node(kind, place, name === "append" ? own : own.withoutAppend);
      await runtime.cancel("p", "a");
      own.instead.set(name, fails("disk full"));
      const failed = { code: "PersisterFailed", partition: "p", call: name, why: "disk full" };
      await expect(runtime.queues.pause("p", "default")).rejects.toMatchObject(failed);
      await expect(runtime.cancel("p", "b")).rejects.toMatchObject({ code: "PersisterFailed" });
      expect(await runtime.queues.paused("p").catch(() => [])).toEqual([]);
      own.instead.clear();
      expect(await runtime.isCancelled("p", "a")).toBe(true);
      expect(await runtime.isCancelled("p", "b")).toBe(false);
      const started = next(runtime, "job.started");
      await runtime.enqueue(plain, { x: 1 }, { partition: "p" });
      await started;
      await runtime.queues.pause("p", "default");
      await runtime.stop();
      const after = await node(kind, place, own);
      expect(await after.queues.paused("p")).toEqual(["default"]);
    },
  );
});

test("one that never answers in load keeps it waiting; it is asked again when it has answered", async () => {
  const clock = new VirtualClock(1_000_000);
  const own = new HeapPersister();
  let answer: () => void = () => {};
  const silence = new Promise<void>((resolve) => {
    answer = resolve;
  });
  own.instead.set("load", () => silence);
  const runtime = await start(
    brokers[0],
    new Place(),
    { jobs: [plain], partitions: {}, persister: own },
    { clock, pool: () => new FakePool(2) },
  );
  const isWaiting = next(runtime, "partition.waiting");
  const state = runtime.partitions.start("p", { default: 1 });
  await clock.advance(10_000);
  const why = "load did not answer within 10 s";
  expect((await isWaiting).error).toMatchObject({ code: "PersisterFailed", why });
  expect(await state).toBe("waiting");
  const isRunning = next(runtime, "partition.running");
  own.instead.clear();
  answer();
  await clock.advance(1_000);
  await isRunning;
});

test.each([
  ["throws", fails("no")],
  ["never answers", () => new Promise(() => {})],
])("one whose close %s holds up no stop for long", async (_what, close) => {
  const clock = new VirtualClock(1_000_000);
  const own = Object.assign(new HeapPersister(), { close });
  const options = { jobs: [plain], persister: own };
  const runtime = await start(brokers[0], new Place(), options, { clock, pool: () => new FakePool(2) });
  const stopped = runtime.stop();
  await clock.advance(6_000);
  await stopped;
});

describe("on embedded", () => {
  const kind = brokers[1];

  test("what the store has from before is taken over once, and is the persister's from then on", async () => {
    const place = new Place();
    const own = new HeapPersister();
    const before = await node(kind, place, undefined);
    await before.queues.pause("p", "default");
    await before.cancel("p", "a");
    await before.stop();
    const first = await node(kind, place, own);
    expect(await first.queues.paused("p")).toEqual(["default"]);
    expect(await first.isCancelled("p", "a")).toBe(true);
    await first.queues.resume("p", "default");
    await first.stop();
    const second = await node(kind, place, own);
    expect(await second.queues.paused("p")).toEqual([]);
    expect(await second.isCancelled("p", "a")).toBe(true);
  });
});

describe("what is no persister", () => {
  const of = (persister: unknown) =>
    startRuntime({ broker: memory(), persister: persister as never }, { pool: () => new FakePool(1) });

  test.each([
    ["some text", "some", /expected filesystem\({ path }\), "none", or an object/],
    ["null", null, /expected filesystem/],
    ["an empty object", {}, /expected filesystem/],
    ["one without store", { init() {}, load() {} }, /persister: has no function "store"/],
    [
      "one whose append is no function",
      { init() {}, load() {}, store() {}, append: 1 },
      /has no function "append"/,
    ],
  ])("%s is refused at start", async (_what, persister, why) => {
    await expect(of(persister)).rejects.toMatchObject({ code: "InvalidOptions" });
    await expect(of(persister)).rejects.toThrow(why);
  });

  test("a folder is needed, and only known options", () => {
    expect(() => filesystem({} as never)).toThrow(/expected a folder/);
    expect(embedded({ path: "x" }).kind).toBe("embedded");
  });
});
