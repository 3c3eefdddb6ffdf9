/**
 * The commands on a RabbitMQ: a node that shares its queues, a producer without code, and what is seen of them.
 *
 * Each test has a prefix of its own, and takes its queues away.
 */
import { expect, onTestFinished, test, vi } from "vitest";
import { describeAmqp, freshPrefix } from "../amqp/support/broker.ts";
import { cleanUpPrefix } from "../amqp/support/made.ts";
import { Place } from "./support.ts";

// Whole processes, several a test: on a machine that others load they take their time.
vi.setConfig({ testTimeout: 120_000 });

const SUM = `({ a, b }) => { if (b === undefined) throw new Error("no b"); return a + b; }`;

describeAmqp("on RabbitMQ", (url) => {
  function shared(): { place: Place; broker: readonly string[] } {
    const prefix = freshPrefix();
    onTestFinished(() => cleanUpPrefix(url, prefix, [{ partition: "mine", queue: "sums" }]));
    const place = new Place();
    place.job("sum", SUM, 'queue: "sums",');
    return { place, broker: ["--broker", url, "--prefix", prefix] };
  }

  const MINE = ["--partition", "mine", "--queue", "sums"];

  test("what is enqueued is seen by ps, run by the node that starts later, and its queue is known then", async () => {
    const { place, broker } = shared();
    const enqueued = await place.run("enqueue", "sum", '{"a":1,"b":2}', ...MINE, ...broker, "--declare");
    expect(enqueued).toMatchObject({ code: 0, stderr: "" });
    const id = enqueued.stdout.trim();

    const named = await place.run("ps", ...MINE, ...broker);
    expect(named).toMatchObject({ code: 0, stderr: "" });
    expect(named.stdout).toBe(
      "PARTITION\tQUEUE\tREADY\tSCHEDULED\tBURIED\tSTATE\tBURIED FOR\nmine\tsums\t1\t—\t0\topen\t\n",
    );

    const node = place.start(
      "start",
      ...broker,
      "--jobs",
      "jobs",
      "--partition",
      "mine",
      "--queue",
      "sums=1",
      "--json",
    );
    expect(JSON.parse(await node.line('"job.completed"'))).toMatchObject({ id, result: 3 });
    await place.run("enqueue", "sum", '{"a":1}', ...MINE, ...broker);
    await node.line('"job.buried"');
    const known = await place.run("ps", ...broker, "--json");
    expect(JSON.parse(known.stdout)).toEqual({
      broker: expect.stringMatching(/^RabbitMQ at amqp:\/\/[^@]+$/),
      partitions: [
        {
          partition: "mine",
          queues: [
            { queue: "sums", ready: 0, scheduled: null, buried: 1, paused: false, reasons: { failed: 1 } },
          ],
        },
      ],
    });
    node.kill("SIGINT");
    expect(await node.ended).toMatchObject({ code: 0, stderr: "" });
  });

  test("a node says where it is and who comes and goes; --wait brings the result from whoever ran the job", async () => {
    const { place, broker } = shared();
    const node = place.start(
      "start",
      ...broker,
      "--jobs",
      "jobs",
      "--partition",
      "mine",
      "--queue",
      "sums=1",
    );
    expect(await node.line("runs on")).toMatch(/runs on RabbitMQ at amqp:\/\/[^@]+; Ctrl-C stops it$/);
    const args = ["--wait", "--jobs", "jobs", "--id", "s1"];
    const waited = await place.run("enqueue", "sum", '{"a":5,"b":2}', ...MINE, ...broker, ...args);
    expect(waited).toMatchObject({ code: 0, stdout: "s1\n7\n" });
    expect(await node.line("node.up")).toMatch(/node\.up \S+$/);
    expect(await node.line("node.gone")).toMatch(/node\.gone \S+$/);
    node.kill("SIGTERM");
    expect(await node.ended).toMatchObject({ code: 0, stderr: "" });
  });

  test("a queue that is not there is not made, by enqueue or by ps", async () => {
    const { place, broker } = shared();
    const [enqueue, ps, nothing] = [
      await place.run("enqueue", "sum", "{}", ...MINE, ...broker),
      await place.run("ps", ...MINE, ...broker),
      await place.run("ps", ...broker),
    ];
    expect([enqueue.code, ps.code, nothing.code]).toEqual([1, 1, 0]);
    for (const { stderr } of [enqueue, ps]) expect(stderr).toMatch(/^UnknownQueue: .*"sums"/);
    expect(nothing.stdout).toContain("no live node knows a queue here");
  });

  test("a login that is refused is told without its password", async () => {
    const address = new URL(url);
    [address.username, address.password] = ["nobody", "secret"];
    const place = new Place();
    for (const command of [["ps"], ["start"], ["enqueue", "sum"]]) {
      const { code, stdout, stderr } = await place.run(...command, "--broker", address.href);
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /^BrokerRefused: RabbitMQ at amqp:\/\/[^@]+ refused: the login was not accepted/,
      );
      expect(stdout + stderr).not.toMatch(/secret|nobody/);
    }
  });

  test("--nodes keeps so many processes alive, one that is killed comes again, and a signal stops all in order", async () => {
    const { place, broker } = shared();
    const jobs = ["--jobs", "jobs", "--partition", "mine", "--queue", "sums=1", "--threads", "1"];
    const all = place.start("start", "--nodes", "2", ...broker, ...jobs, "--json");
    const records = () => all.lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const ofType = (type: string) => records().filter((record) => record.type === type);
    const started = async (count: number) => {
      await vi.waitUntil(() => ofType("node.started").length >= count, { timeout: 60_000 });
      return ofType("node.started");
    };
    const [first] = await started(2);
    expect(new Set(ofType("node.started").map(({ node }) => node)).size).toBe(2);
    expect(ofType("process.started").map(({ process }) => process)).toEqual([1, 2]);

    process.kill(Number(first?.pid), "SIGKILL");
    await all.line('"process.exited"');
    expect(ofType("process.exited")).toMatchObject([{ pid: first?.pid, signal: "SIGKILL" }]);
    const [, , third] = await started(3);
    expect(third?.pid).not.toBe(first?.pid);

    await place.run("enqueue", "sum", '{"a":1,"b":2}', ...MINE, ...broker);
    expect(JSON.parse(await all.line('"job.completed"'))).toMatchObject({ result: 3 });

    all.kill("SIGTERM");
    expect(await all.ended).toMatchObject({ code: 0, stderr: "" });
    expect(ofType("node.stopped")).toHaveLength(2);
    expect(records().at(-1)).toMatchObject({ type: "processes.stopped" });
    for (const { pid } of [...ofType("node.started")]) expect(() => process.kill(Number(pid), 0)).toThrow();
  });
});
