/**
 * Seats on a real broker: one is elected, the next takes over with all that was stored, and nobody rules beside another.
 */
import { expect, onTestFinished, test } from "vitest";
import { markerBytes } from "../../../src/amqp/coordinator/records.ts";
import { until } from "../../conformance/harness.ts";
import { describeAmqp, describePrivate, PrivateBroker } from "../support/broker.ts";
import { Council, type TestSeat } from "./council.ts";

const pairs = (count: number, id = "x") =>
  Array.from({ length: count }, (_, n): [string, string] => [`k${n}`, `${id}${n}`]);

describeAmqp("an election", (url) => {
  test("a candidate alone is elected on a fresh journal, and its word is stored", async () => {
    const council = new Council(url);
    const alone = await council.seat();
    expect(await alone.rules()).toBe(1);
    await alone.put(["k", "a"]);
    await alone.seat.stop();
    expect(alone.reasons).toEqual(["it was stopped"]);
    expect(alone.seat.epoch).toBeUndefined();
    const next = await council.seat();
    expect(await next.rules()).toBe(2);
    expect(next.state).toEqual(new Map([["k", "a"]]));
  });

  test("of several that come at once to a fresh journal one is elected", async () => {
    const council = new Council(url);
    const seats = await Promise.all([council.seat(), council.seat(), council.seat()]);
    const first = await council.ruler();
    await first.put(["k", "a"]);
    const others = seats.filter((one) => one !== first);
    expect(others.map(({ epochs }) => epochs)).toEqual([[], []]);
    first.cut();
    const second = await Promise.any(others.map((one) => one.rules().then(() => one)));
    expect(second.epochs).toEqual([2]);
    expect(second.state).toEqual(first.state);
  });

  test("the first dies before its first snapshot is stored: the next is elected all the same", async () => {
    const council = new Council(url);
    const first = await council.seat({ graceMs: 60_000 });
    await first.stands();
    const next = await council.seat();
    await next.stands();
    first.cut();
    expect(await next.rules()).toBe(1);
    expect(first.epochs).toEqual([]);
  });

  test("a journal that was just made is not relied on before its grace is over", async () => {
    const council = new Council(url);
    const began = Date.now();
    const alone = await council.seat({ graceMs: 700 });
    await alone.rules();
    expect(Date.now() - began).toBeGreaterThanOrEqual(700);
    alone.seat.stop();
    const next = await council.seat({ graceMs: 60_000 });
    expect(await next.rules()).toBe(2);
  });

  test("a journal that was deleted begins above every epoch that is known", async () => {
    const council = new Council(url);
    const [alone] = (await council.seated(1)) as [TestSeat];
    alone.known = 41;
    const channel = await council.channel();
    await channel.deleteQueue(council.journal);
    await alone.isDeposed();
    expect(alone.reasons).toEqual(["the broker has taken the journal away"]);
    expect(await alone.rules()).toBe(42);
  });

  test("the ruler's connection is lost: the next in line has a higher epoch and the same state", async () => {
    const council = new Council(url);
    const [a, b, c] = (await council.seated(3)) as [TestSeat, TestSeat, TestSeat];
    await a.put(...pairs(50));
    await a.put(["k7", undefined], ["more", "y"]);
    a.cut();
    expect(await b.rules()).toBe(2);
    expect(b.state).toEqual(a.state);
    expect(c.epochs).toEqual([]);
    await a.isDeposed();
    await expect(a.seat.append([])).rejects.toThrow("not elected");
    await b.put(["k8", undefined]);
    b.cut();
    expect(await c.rules()).toBe(3);
    expect(c.state).toEqual(b.state);
    c.cut();
    expect((await council.ruler()).state).toEqual(c.state);
    for (const { warnings } of [a, b, c]) expect(warnings).toEqual([]);
  });

  test("stepping down hands over in order, and stands again behind the others", async () => {
    const council = new Council(url);
    const [a, b] = (await council.seated(2)) as [TestSeat, TestSeat];
    for (let round = 0; round < 3; round++) {
      const [from, to] = round % 2 === 0 ? [a, b] : [b, a];
      for (let n = 0; n < 200; n++) void from.put([`r${round}`, `${n}`]);
      await from.put(["last", `${round}`]);
      await from.seat.stepDown();
      expect(await to.rules()).toBe(round + 2);
      expect(to.state).toEqual(from.state);
      await from.stands();
    }
    expect(a.reasons).toEqual(["it stepped down", "it stepped down"]);
  });

  test("calls reach the one that is elected, from the moment on that it says so; the dead one's go with it", async () => {
    const council = new Council(url);
    const [a, b] = (await council.seated(2)) as [TestSeat, TestSeat];
    await council.calls('{"n":1}', "no JSON", '{"n":2}', '{"n":3}');
    const [first, second] = await a.called(3);
    second?.done();
    second?.done();
    await a.put(["k", "a"]);
    await a.seat.compact(); // what it lets go of has lower tags than the calls, and higher
    a.cut();
    await b.rules();
    await council.calls('{"n":1}');
    expect((await b.called(1)).map(({ body }) => body)).toEqual([{ n: 1 }]);
    first?.done(); // of a dead channel: nothing
    expect(a.calls.map(({ body }) => body)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  });

  test("one that has stepped down hears no calls any more, though its connection is there", async () => {
    const council = new Council(url);
    const [a, b] = (await council.seated(2)) as [TestSeat, TestSeat];
    await a.seat.stepDown();
    await b.rules();
    await council.calls('{"n":1}');
    await b.called(1);
    await b.seat.stepDown();
    expect(await a.rules()).toBe(3);
    await council.calls('{"n":2}');
    expect((await a.called(1)).map(({ body }) => body)).toEqual([{ n: 2 }]);
    expect(b.calls.map(({ body }) => body)).toEqual([{ n: 1 }]);
  });

  test("what strangers publish to the journal changes nothing", async () => {
    const council = new Council(url);
    const [a, b] = (await council.seated(2)) as [TestSeat, TestSeat];
    const channel = await council.channel();
    for (const text of ["no JSON", "[]", '["changes",9,1,"stranger",[]]', markerBytes("x").toString()])
      channel.sendToQueue(council.journal, Buffer.from(text));
    await channel.waitForConfirms();
    await a.put(["k", "a"]);
    await a.put(["k", "b"]); // by now it has let go of what came before the first
    a.cut();
    expect(await b.rules()).toBe(2);
    expect(b.state).toEqual(a.state);
  });

  test("a part of a journal is waited with, and taken over when the rest comes", async () => {
    const council = new Council(url);
    const [a] = (await council.seated(1)) as [TestSeat];
    await a.put(["k", "a"]);
    const next = await council.seat();
    next.known = 1; // as every node that runs the partition
    await next.stands();
    const tag = [...(a.channel as unknown as { consumers: Map<string, unknown> }).consumers.keys()][0] ?? "";
    await a.channel.cancel(tag); // what a seat never does: its records stay with it, new ones go to the next
    const lost = expect(a.put(["k", "b"])).rejects.toThrow();
    // a cancel may be answered before the queue knows of it: then that record is still given to who left, and wakes nobody
    await (await council.seat()).stands();
    await until(
      () => Promise.resolve(next.warnings),
      (warnings) => warnings.length > 0,
    );
    expect(next.warnings[0]).toMatch(
      /waits for the rest of .*journal: (epoch 1 lacks|it is empty, and was not)/,
    );
    expect(next.epochs).toEqual([]);
    a.cut();
    expect(await next.rules()).toBe(2);
    await lost; // it was never told that it is stored, though it was confirmed
    expect(next.state).toEqual(new Map([["k", "b"]]));
  });
});

describeAmqp("a compaction", (url) => {
  test("keeps the state while changes go on, and shrinks the journal", async () => {
    const council = new Council(url);
    const limits = { compactAt: 50, recordBytes: 1_000 };
    const [a, b] = (await council.seated(2, { limits })) as [TestSeat, TestSeat];
    for (let n = 0; n < 300; n += 2)
      await Promise.all([a.put([`k${n % 97}`, `${n}`]), a.put([`k${(n + 1) % 97}`, `${n + 1}`])]);
    expect(a.seat.records).toBeLessThan(150);
    const going = Array.from({ length: 50 }, (_, n) => a.put([`k${n}`, undefined], [`m${n}`, "z"]));
    await a.seat.compact();
    await Promise.all(going);
    await a.seat.compact();
    expect(a.seat.records).toBeLessThan(10);
    a.cut();
    await b.rules();
    expect(b.state).toEqual(a.state);
    await b.seat.stop();
    await a.rules();
    await a.seat.stop();
    const channel = await council.channel();
    await until(
      () => channel.checkQueue(council.journal),
      ({ messageCount }) => messageCount > 0 && messageCount < 10,
    );
  });

  test("in whose middle the ruler dies costs nothing", async () => {
    const council = new Council(url);
    const limits = { recordBytes: 500, turnMs: 0 };
    const [a, b] = (await council.seated(2, { limits })) as [TestSeat, TestSeat];
    await a.put(...pairs(2_000));
    const before = a.seat.records ?? 0;
    void a.seat.compact();
    const going = a.put(["k1", undefined]);
    await until(
      () => Promise.resolve(a.seat.records ?? 0),
      (records) => records > before + 20,
    );
    await going;
    a.cut();
    await b.rules();
    expect(b.state).toEqual(a.state);
  });
});

describeAmqp("through three fail-overs", (url) => {
  test("nothing is lost of 5,000 changes that were stored", { timeout: 120_000 }, async () => {
    const council = new Council(url);
    await council.seated(3, { limits: { compactAt: 300, recordBytes: 20_000 } });
    const stored = new Map<string, string>();
    let next = 0;
    const deaths = [1_000, 2_300, 3_600];
    const work = async () => {
      while (next < 5_000) {
        const n = next++;
        if (n === deaths[0]) {
          deaths.shift();
          (await council.ruler()).cut();
        }
        for (;;) {
          const ruler = await council.ruler();
          const ok = await ruler.put([`k${n}`, `${n}`]).then(
            () => true,
            () => false,
          );
          if (ok) break;
        }
        stored.set(`k${n}`, `${n}`);
      }
    };
    await Promise.all(Array.from({ length: 40 }, work));
    const last = await council.ruler();
    const times = last.reasons.length;
    last.cut();
    await last.isDeposed(times + 1);
    const end = await council.ruler();
    expect(stored.size).toBe(5_000);
    expect(end.state).toEqual(stored);
    expect(end.seat.epoch).toBe(5);
  });
});

describePrivate("a broker that is killed", () => {
  test("gives all that was stored to whoever is elected next, with acknowledgements that were lost", {
    timeout: 240_000,
  }, async () => {
    const broker = await PrivateBroker.start();
    onTestFinished(() => broker.dispose());
    const council = new Council(broker.url);
    await council.seated(2);
    await broker.settle();
    for (let round = 0; round < 2; round++) {
      const ruler = await council.ruler();
      const epoch = ruler.seat.epoch ?? 0;
      await ruler.put(...pairs(200, `r${round}-`));
      for (let n = 0; n < 100; n++) void ruler.put([`more-${n}`, `${round}`]).catch(() => {});
      await ruler.seat.compact();
      await ruler.put(["last", `${round}`]);
      const times = ruler.reasons.length;
      await broker.kill();
      await ruler.isDeposed(times + 1);
      await broker.restart();
      const next = await council.ruler();
      expect(next.state.get("last")).toBe(`${round}`);
      expect(next.state).toEqual(ruler.state);
      expect(next.seat.epoch).toBeGreaterThan(epoch);
    }
  });
});
