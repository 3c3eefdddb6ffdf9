/** Gloom's daemon on raw sockets: each word, each answer, each error, as the original's server had them. */
import { describe, expect, test } from "vitest";
import { counted, daemon, frame, frameOfText, master, slave } from "./gloom-support.ts";

const echo = { action: "join", type: "echo" };
const job = (id: unknown, more: object = {}) => ({ action: "submit", id, type: "echo", body: id, ...more });

describe("a job", () => {
  test("goes to a slave of its type, and its answer to the master", async () => {
    const gloom = await daemon();
    const worker = await slave(gloom);
    expect(await worker.ask(echo)).toEqual({ ok: true });
    const boss = await master(gloom);
    expect(await boss.ask(job("a", { body: [1, { x: null }] }))).toEqual({ ok: true, id: "a" });
    expect(await worker.hear()).toEqual({ action: "job", id: "a", type: "echo", body: [1, { x: null }] });
    expect(await worker.ask({ action: "respond", body: { y: 2 } })).toEqual({ ok: true });
    expect(await boss.hear()).toEqual({ id: "a", body: { y: 2 } });
  });

  test("waits for a slave of its type, and for no other", async () => {
    const gloom = await daemon();
    const other = await slave(gloom, "other");
    const boss = await master(gloom);
    await boss.ask(job("a"));
    const worker = await slave(gloom, "echo");
    expect(await worker.hear()).toMatchObject({ id: "a" });
    expect(await other.ask({ action: "respond", body: 1 })).toMatchObject({ reason: "not_processing" });
  });

  test("of a higher priority goes first; among equals the oldest", async () => {
    const gloom = await daemon();
    const boss = await master(gloom);
    for (const [id, priority] of Object.entries({ a: 0, b: undefined, c: 5, d: 3, e: -2, f: 5 }))
      await boss.ask(job(id, { priority }));
    const worker = await slave(gloom, "echo");
    const order: unknown[] = [];
    for (let n = 0; n < 6; n += 1) {
      const { id } = (await worker.hear()) as { id: string };
      order.push(id);
      await worker.ask({ action: "respond", body: null });
    }
    expect(order.join("")).toBe("cfdabe");
  });

  test("reaches a slave only when that has answered the one before, and after its ok", async () => {
    const gloom = await daemon();
    const worker = await slave(gloom, "echo");
    const boss = await master(gloom);
    await boss.ask(job("a"));
    await boss.ask(job("b"));
    expect(await worker.hear()).toMatchObject({ id: "a" });
    worker.say({ action: "nonsense" });
    expect(await worker.hear()).toEqual({ error: "unknown_type", reason: "nonsense" });
    worker.say({ action: "respond", body: 1 });
    expect([await worker.hear(), await worker.hear()]).toMatchObject([{ ok: true }, { id: "b" }]);
  });

  test("goes round among idle slaves", async () => {
    const gloom = await daemon();
    const workers = [await slave(gloom, "echo"), await slave(gloom, "echo"), await slave(gloom, "echo")];
    const boss = await master(gloom);
    for (const worker of [...workers, ...workers]) {
      await boss.ask(job("a"));
      await worker.hear();
      await worker.ask({ action: "respond", body: 1 });
      await boss.hear();
    }
  });

  test("has an id, a type and a body of any JSON, which travel as they were written", async () => {
    const gloom = await daemon();
    const worker = await slave(gloom);
    const boss = await master(gloom);
    await worker.write(frameOfText('{"type" : null, "action":"join"}')).hear();
    for (const id of ["null", "9007199254740993", '{"a":[1,"}"]}', '"\\u0061\\"\\\\"', "5.0"]) {
      const body = `{"deep":[1e400, -0.0, "\\"}{"] , "n":12345678901234567890}`;
      boss.write(frameOfText(`{ "action":"submit", "id": ${id} , "type":null,"body":${body}}`));
      expect(await boss.text()).toBe(`{"ok":true,"id":${id}}`);
      expect(await worker.text()).toBe(`{"action":"job","id":${id},"type":null,"body":${body}}`);
      worker.write(frameOfText(`{"action":"respond","body":${body}}`));
      expect(await boss.text()).toBe(`{"id":${id},"body":${body}}`);
      expect(await worker.text()).toBe('{"ok":true}');
    }
  });
});

describe("what a master is told", () => {
  const table: readonly (readonly [string, object, object])[] = [
    ["no action", {}, { error: "missing_field", reason: "type" }],
    ["an unknown action", { action: "frob" }, { error: "unknown_action", reason: "frob" }],
    ["an action that is no text", { action: [1] }, { error: "unknown_action", reason: [1] }],
    ["Spillway's word for a slave", { action: "pong" }, { error: "unknown_action", reason: "pong" }],
    ["join", { action: "join", type: "echo" }, { error: "invalid_action", reason: "not_a_slave" }],
    ["respond", { action: "respond", body: 1 }, { error: "invalid_action", reason: "not_a_slave" }],
    ["no id", { action: "submit", type: "t", body: 1 }, { error: "missing_field", reason: "id" }],
    ["no type", { action: "submit", id: 1, body: 1 }, { error: "missing_field", reason: "type" }],
    ["no body", { action: "submit", id: 1, type: "t" }, { error: "missing_field", reason: "body" }],
    ["a priority in text", job(1, { priority: "5" }), { error: "invalid_type", reason: "priority" }],
    ["a priority of null", job(1, { priority: null }), { error: "invalid_type", reason: "priority" }],
    ["a broken priority", job(1, { priority: 1.5 }), { error: "invalid_type", reason: "priority" }],
  ];
  test.each(table)("%s", async (_what, said, told) => {
    const boss = await master(await daemon());
    expect(await boss.ask(said)).toEqual(told);
    expect(await boss.ask(job("after"))).toEqual({ ok: true, id: "after" });
  });

  test("a priority of 5.0 is no integer, a body of null is one", async () => {
    const boss = await master(await daemon());
    boss.write(frameOfText('{"action":"submit","id":1,"type":"t","priority":5.0,"body":null}'));
    expect(await boss.hear()).toEqual({ error: "invalid_type", reason: "priority" });
    expect(await boss.ask(job(1, { body: null }))).toEqual({ ok: true, id: 1 });
  });

  test("an id that lives: taken first, then told; any connection's, until it is answered", async () => {
    const gloom = await daemon();
    const [one, two] = [await master(gloom), await master(gloom)];
    await one.ask(job("a"));
    expect([await two.ask(job("a")), await two.hear()]).toEqual([
      { ok: true, id: "a" },
      { error: "id_exists", reason: "a" },
    ]);
    const worker = await slave(gloom, "echo");
    await worker.hear();
    await worker.ask({ action: "respond", body: 1 });
    expect(await one.hear()).toEqual({ id: "a", body: 1 });
    expect(await two.ask(job("a"))).toEqual({ ok: true, id: "a" });
    expect(await worker.hear()).toMatchObject({ id: "a" });
  });

  test("that there are too many jobs, or too many bytes of them", async () => {
    const boss = await master(await daemon({ maxJobs: 2, maxBytes: 1_000 }));
    expect(await boss.ask(job("x", { body: "b".repeat(1_000) }))).toEqual({
      error: "queue_full",
      reason: "x",
    });
    await boss.ask(job("a"));
    await boss.ask(job("b"));
    expect(await boss.ask(job("c"))).toEqual({ error: "queue_full", reason: "c" });
  });
});

describe("what a slave is told", () => {
  const table: readonly (readonly [string, object, object])[] = [
    ["no action", {}, { error: "missing_field", reason: "type" }],
    ["an unknown action", { action: "frob" }, { error: "unknown_type", reason: "frob" }],
    ["Spillway's words, unannounced", { action: "fail" }, { error: "unknown_type", reason: "fail" }],
    ["submit", job(1), { error: "invalid_action", reason: "not_a_master" }],
    ["join without a type", { action: "join" }, { error: "missing_field", reason: "job_type" }],
    [
      "respond without a job",
      { action: "respond", body: 1 },
      { error: "invalid_state", reason: "not_processing" },
    ],
    [
      "respond without a job and a body",
      { action: "respond" },
      { error: "invalid_state", reason: "not_processing" },
    ],
  ];
  test.each(table)("%s", async (_what, said, told) => {
    const worker = await slave(await daemon());
    expect(await worker.ask(said)).toEqual(told);
    expect(await worker.ask(echo)).toEqual({ ok: true });
    expect(await worker.ask(said)).toEqual(told);
  });

  test("respond without a body, and it still has its job", async () => {
    const gloom = await daemon();
    const worker = await slave(gloom, "echo");
    const boss = await master(gloom);
    await boss.ask(job("a"));
    await worker.hear();
    expect(await worker.ask({ action: "respond" })).toEqual({ error: "missing_field", reason: "body" });
    expect(await worker.ask({ action: "respond", body: null })).toEqual({ ok: true });
    expect(await boss.hear()).toEqual({ id: "a", body: null });
    expect(await worker.ask({ action: "respond", body: 2 })).toMatchObject({ reason: "not_processing" });
  });
});

describe("frames that end a connection", () => {
  const roles = [
    ["a master", master],
    ["a slave", slave],
  ] as const;
  describe.each(roles)("of %s", (_role, peer) => {
    test.each([
      ["no JSON", "{nonsense"],
      ["something behind the JSON", '{"action":"join"} x'],
      ["nothing", ""],
      ["only blanks", "  "],
    ])("%s: told with its text", async (_what, text) => {
      const one = await peer(await daemon());
      one.write(frameOfText(text)).say({ action: "join", type: "late" });
      expect(await one.rest()).toEqual([{ error: "invalid_json", reason: text }]);
    });

    test("bytes that are no UTF-8", async () => {
      const one = await peer(await daemon());
      one.write(frameOfText(Buffer.from([0x22, 0xff, 0x22])));
      expect(await one.rest()).toEqual([{ error: "invalid_json", reason: '"\ufffd"' }]);
    });

    test("more bytes than may be", async () => {
      const one = await peer(await daemon({ maxFrame: 100 }));
      one.write(frame("x".repeat(98))); // 100 with its quotes: read, and no object
      expect(await one.rest()).toEqual([]);
      const other = await peer(await daemon({ maxFrame: 100 }));
      other.write(Buffer.from([0, 0, 0, 101]));
      expect(await other.rest()).toEqual([{ error: "size_error", reason: "length too large" }]);
    });

    test.each([
      ["a list", []],
      ["a text", "x"],
      ["a number", 1],
      ["null", null],
    ])("%s: nothing is told", async (_what, value) => {
      const one = await peer(await daemon());
      expect(await one.say(value).rest()).toEqual([]);
    });
  });

  test("split and joined at any byte", async () => {
    const gloom = await daemon();
    const boss = await master(gloom);
    const bytes = Buffer.concat([frame(job("é1")), frame({}), frame(job("2", { body: "ü".repeat(50) }))]);
    for (const byte of bytes) boss.write(Buffer.from([byte]));
    expect([await boss.hear(), await boss.hear(), await boss.hear()]).toMatchObject([
      { id: "é1" },
      { error: "missing_field" },
      { id: "2" },
    ]);
    for (let at = 1; at < bytes.length; at += 7) {
      const other = await master(await daemon());
      other.write(bytes.subarray(0, at)).write(bytes.subarray(at));
      expect([await other.hear(), await other.hear(), await other.hear()]).toHaveLength(3);
    }
  });
});

describe("who leaves", () => {
  test("a slave: its job goes to another, four times at most, then the master is told and the id is free", async () => {
    const gloom = await daemon();
    const boss = await master(gloom);
    await boss.ask(job("a"));
    for (let delivery = 1; delivery <= 4; delivery += 1) {
      const worker = await slave(gloom, "echo");
      expect(await worker.hear()).toMatchObject({ id: "a" });
      worker.end();
    }
    expect(await boss.hear()).toEqual({ error: "job_failed", reason: "a" });
    expect(gloom.counts.jobs).toBe(0);
    expect(await boss.ask(job("a"))).toEqual({ ok: true, id: "a" });
  });

  test("a job that comes back keeps its place: before younger ones, behind those of higher priority", async () => {
    const gloom = await daemon();
    const boss = await master(gloom);
    await boss.ask(job("old"));
    const dying = await slave(gloom, "echo");
    await dying.hear();
    await boss.ask(job("young"));
    await boss.ask(job("urgent", { priority: 1 }));
    dying.end();
    await counted(gloom, { slaves: 0 });
    const worker = await slave(gloom, "echo");
    for (const id of ["urgent", "old", "young"]) {
      expect(await worker.hear()).toMatchObject({ id });
      await worker.ask({ action: "respond", body: 1 });
    }
  });

  test("a master: what waits is cleared, what runs goes on, and its slave is free afterwards", async () => {
    const gloom = await daemon();
    const leaving = await master(gloom);
    await leaving.ask(job("runs"));
    await leaving.ask(job("waits"));
    const worker = await slave(gloom, "echo");
    expect(await worker.hear()).toMatchObject({ id: "runs" });
    leaving.end();
    await counted(gloom, { masters: 0, jobs: 1 });
    const boss = await master(gloom);
    expect([await boss.ask(job("runs")), await boss.hear()]).toMatchObject([
      { ok: true },
      { error: "id_exists" },
    ]);
    await boss.ask(job("next"));
    worker.say({ action: "respond", body: 1 });
    expect([await worker.hear(), await worker.hear()]).toMatchObject([{ ok: true }, { id: "next" }]);
    expect(await boss.ask(job("runs"))).toEqual({ ok: true, id: "runs" });
  });

  test("a master, and then the slave that had its job: nothing is left", async () => {
    const gloom = await daemon();
    const leaving = await master(gloom);
    await leaving.ask(job("a"));
    const worker = await slave(gloom, "echo");
    await worker.hear();
    leaving.end();
    await counted(gloom, { masters: 0 });
    worker.end();
    expect(await counted(gloom, { slaves: 0 })).toEqual({ masters: 0, slaves: 0, jobs: 0 });
  });

  test("nobody: a slave that joins again while it is busy answers first, and then has its new type", async () => {
    const gloom = await daemon();
    const boss = await master(gloom);
    const worker = await slave(gloom, "echo");
    await boss.ask(job("a"));
    await worker.hear();
    await boss.ask(job("b"));
    await boss.ask(job("c", { type: "other" }));
    expect(await worker.ask({ action: "join", type: "other" })).toEqual({ ok: true });
    worker.say({ action: "respond", body: "A" });
    expect([await worker.hear(), await worker.hear()]).toMatchObject([
      { ok: true },
      { id: "c", type: "other" },
    ]);
    expect(await boss.hear()).toEqual({ id: "a", body: "A" });
  });
});
