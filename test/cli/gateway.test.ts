/** `spillway gateway`: Gloom's daemon and Powerhose's master as commands, and command lines that start none. */
import { expect, test } from "vitest";
import { raw } from "../gateways/gloom-support.ts";
import { free, registered } from "../gateways/powerhose/support.ts";
import { Place } from "./support.ts";

const PORTS = ["--master-port", "0", "--slave-port", "0"];

test("gloom listens, says where, and ends in order at a signal", async () => {
  const running = new Place().start("gateway", "gloom", ...PORTS);
  const line = await running.line(/masters on port/);
  const [, masters = "", slaves = ""] = /masters on port (\d+), slaves on port (\d+)/.exec(line) ?? [];
  const [boss, worker] = [await raw(Number(masters)), await raw(Number(slaves))];
  await worker.ask({ action: "join", type: "echo" });
  await boss.ask({ action: "submit", id: 1, type: "echo", body: "x" });
  expect(await worker.hear()).toMatchObject({ id: 1, body: "x" });
  running.kill("SIGTERM");
  await Promise.all([boss.closed, worker.closed]);
  expect(await running.ended).toMatchObject({ code: 0, stderr: "" });
});

test("heartbeats and ages are options of every kind, checked as they are elsewhere", async () => {
  for (const [kind, field] of [
    ["gloom", "gloom.heartbeat"],
    ["powerhose", "runner.heartbeat"],
  ] as const) {
    const { code, stderr } = await new Place().run("gateway", kind, "--heartbeat", "5");
    expect(code).toBe(1);
    expect(stderr).toContain(`${field}: must be at least 1 second`);
  }
  const running = new Place().start("gateway", "gloom", ...PORTS, "--max-age", "1", "--json");
  const { slavePort } = JSON.parse(await running.line("gateway.started"));
  const worker = await raw(slavePort);
  await worker.ask({ action: "join", type: "x" });
  await worker.closed;
  running.kill("SIGTERM");
  expect(await running.ended).toMatchObject({ code: 0 });
});

test("a secret from a file is asked for, and --json says what happens in JSON", async () => {
  const place = new Place();
  const secret = place.file("secret", "open sesame\n");
  const running = place.start("gateway", "gloom", ...PORTS, "--secret-file", secret, "--json");
  const started = JSON.parse(await running.line("gateway.started"));
  expect(started).toMatchObject({ gateway: "gloom", host: "127.0.0.1" });
  const known = await raw(started.slavePort);
  expect(await known.ask({ action: "auth", secret: "open sesame" })).toEqual({ ok: true });
  const stranger = await raw(started.slavePort);
  expect(await stranger.ask({ action: "join", type: "x" })).toEqual({
    error: "unauthorized",
    reason: "auth",
  });
  running.kill("SIGINT");
  const { code, stdout } = await running.ended;
  expect(code).toBe(0);
  expect(stdout).toContain("gateway.stopped");
});

test("a port that is taken is an error of its own, which names it", async () => {
  const place = new Place();
  const first = place.start("gateway", "gloom", ...PORTS, "--json");
  const { masterPort } = JSON.parse(await first.line("gateway.started"));
  const { code, stderr } = await place.run("gateway", "gloom", "--master-port", String(masterPort));
  expect(code).toBe(1);
  expect(stderr).toContain(
    `GatewayUnavailable: the gloom gateway cannot listen on 127.0.0.1 port ${masterPort}`,
  );
  first.kill("SIGKILL");
});

test("powerhose does the lines of its input, tells their results in order, and ends with it", async () => {
  const endpoint = free();
  const running = new Place().startWith(
    "3\n4\n5\n",
    "gateway",
    "powerhose",
    "--endpoint",
    endpoint,
    "--json",
  );
  await running.line("gateway.started");
  const worker = await registered(endpoint);
  const served = worker.squareAll();
  const { code, stdout } = await running.ended;
  expect(code).toBe(0);
  const results = stdout.split("\n").filter((line) => line.includes("job.completed"));
  expect(results.map((line) => JSON.parse(line).result)).toEqual(["9", "16", "25"]);
  worker.end();
  await served;
});

test("a job that no worker did is told, and the code says so; a signal ends the master that waits", async () => {
  const endpoint = free();
  const args = ["gateway", "powerhose", "--endpoint", endpoint, "--retries", "1", "--timeout", "100"];
  const failing = new Place().startWith("x\n", ...args);
  const worker = await registered(endpoint);
  const { code, stderr } = await failing.ended;
  expect(code).toBe(1);
  expect(stderr).toMatch(/ExecutionFailed: job 1 .*no answer within 100 ms/);
  worker.end();
  const waiting = new Place().startWith("x\n", ...args, "--json");
  await waiting.line("gateway.started");
  waiting.kill("SIGTERM");
  expect(await waiting.ended).toMatchObject({ code: 0 });
});

test.each([
  [["gloon"], /there is no gateway "gloon" \(did you mean "gloom"\?\)/],
  [[], /there is no gateway ""/],
  [["gloom", "--master-port", "x"], /--master-port: expected a port, got "x"/],
  [["gloom", "--tls-cert", "none.pem"], /--tls-cert: ENOENT/],
  [["gloom", "--secret-file", "none"], /--secret-file: ENOENT/],
  [["gloom", "--endpoint", "ipc://x"], /--endpoint is no option of gloom/],
  [["powerhose", "--host", "x"], /--host is no option of powerhose/],
  [["powerhose", "--timeout", "soon"], /--timeout: /],
  [["powerhose", "--retries", "many"], /--retries: expected a whole number/],
])("spillway gateway %j is refused", async (args, told) => {
  const { code, stderr } = await new Place().run("gateway", ...args);
  expect(code).toBe(2);
  expect(stderr).toMatch(told);
});
