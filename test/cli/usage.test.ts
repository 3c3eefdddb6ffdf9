/**
 * What `spillway` says of itself, and of command lines it does not understand: exit code 2, and what was meant.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { commands } from "../../src/cli/commands.ts";
import { Place } from "./support.ts";

test("without a command it shows the commands, and fails", async () => {
  const { code, stdout, stderr } = await new Place().run();
  expect(code).toBe(2);
  expect(stdout).toBe("");
  for (const { name, summary } of commands) expect(stderr).toMatch(new RegExp(`  ${name} +${summary}`));
});

test("--help shows the commands, and so does help", async () => {
  const place = new Place();
  const [long, word] = await Promise.all([place.run("--help"), place.run("help")]);
  expect(long).toMatchObject({ code: 0, stderr: "" });
  expect(long.stdout).toContain("Usage: spillway COMMAND");
  expect(word.stdout).toBe(long.stdout);
});

test("--version is the package's", async () => {
  const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const { code, stdout } = await new Place().run("--version");
  expect([code, stdout]).toEqual([0, `${manifest.version}\n`]);
});

test.each(commands)("spillway $name --help shows each of its options", async (command) => {
  const { code, stdout } = await new Place().run(command.name, "--help");
  expect(code).toBe(0);
  expect(stdout).toContain(`Usage: spillway ${command.name} ${command.usage}`);
  for (const [option, { help }] of Object.entries(command.options)) {
    expect(stdout).toContain(`--${option}`);
    expect(stdout).toContain(help);
  }
});

test("an unknown command is refused, and the nearest one named", async () => {
  const { code, stderr, stdout } = await new Place().run("strat");
  expect(code).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toMatch(/^UsageError: there is no command "strat" \(did you mean "start"\?\)/);
});

test("an unknown option is refused, and the nearest one named", async () => {
  const { code, stderr } = await new Place().run("ps", "--dta", "x");
  expect(code).toBe(2);
  expect(stderr).toMatch(/^UsageError: spillway ps has no option "--dta" \(did you mean "--data"\?\)/);
});

test("an option without its value is refused", async () => {
  const { code, stderr } = await new Place().run("ps", "--data");
  expect(code).toBe(2);
  expect(stderr).toMatch(/^UsageError: .*--data/);
});

test("one argument too many is refused", async () => {
  const { code, stderr } = await new Place().run("ps", "myapp");
  expect(code).toBe(2);
  expect(stderr).toContain('"myapp" is one argument too many');
});

test("values that are no numbers, queues or durations are refused", async () => {
  const place = new Place();
  const all = await Promise.all([
    place.run("start", "--threads", "two"),
    place.run("start", "--queue", "default"),
    place.run("start", "--queue", "default=many"),
    place.run("enqueue", "hello", "--delay", "soon"),
    place.run("enqueue"),
    place.run("enqueue", "hello", "--wait"),
  ]);
  expect(all.map(({ code }) => code)).toEqual([2, 2, 2, 2, 2, 2]);
  expect(all.map(({ stderr }) => /^UsageError: (--\S+|which job)/.exec(stderr)?.[1])).toEqual([
    "--threads:",
    "--queue",
    "--queue",
    "--delay:",
    "which job",
    "--wait",
  ]);
});

test("a folder and a RabbitMQ exclude one another, and an address that is none is not repeated", async () => {
  const place = new Place();
  const url = "amqp://me:secret@localhost";
  const all = await Promise.all([
    place.run("ps", "--data", "x", "--broker", url),
    place.run("start", "--data", "x", "--broker", url),
    place.run("enqueue", "hello", "--data", "x", "--broker", url),
    place.run("ps", "--prefix", "mine"),
    place.run("start", "--broker", "me:secret@localhost"),
    place.run("ps", "--queue", "mail"),
    place.run("ps", "--broker", url, "--partition", "mine"),
    place.run("ps", url),
    place.run(url),
  ]);
  expect(all.map(({ code }) => code)).toEqual([2, 2, 2, 2, 2, 2, 2, 2, 2]);
  for (const { stderr } of all) expect(stderr).not.toContain("secret");
  expect(all.map(({ stderr }) => /^UsageError: (--\S+|\S+)/.exec(stderr)?.[1])).toEqual([
    "--data",
    "--data",
    "--data",
    "--prefix",
    "--broker:",
    "--partition",
    "--partition",
    '"amqp://…@localhost"',
    "there",
  ]);
});

test("a RabbitMQ that is not there is told in words, without the password", async () => {
  const place = new Place();
  const { code, stdout, stderr } = await place.run("ps", "--broker", "amqp://me:secret@localhost:1/mine");
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(/^BrokerUnreachable: RabbitMQ at amqp:\/\/localhost:1\/mine cannot be reached/);
  expect(stderr).not.toContain("secret");
});

test("with --json a mistake is one line of JSON", async () => {
  const { code, stdout, stderr } = await new Place().run("strat", "--json");
  expect(code).toBe(2);
  expect(stderr).toBe("");
  expect(JSON.parse(stdout)).toEqual({
    error: { code: "UsageError", message: expect.stringContaining('did you mean "start"') },
  });
});

test.each([
  [
    ["--nodes", "0", "--broker", "amqp://localhost"],
    /^UsageError: --nodes: expected a whole number from 1 to 100, got "0"/,
  ],
  [["--nodes", "2"], /^UsageError: --nodes is for nodes that share a RabbitMQ: give --broker/],
  [["--nodes", "2", "--data", "x"], /^UsageError: --nodes is for nodes that share a RabbitMQ/],
])("start %j is refused", async (args, told) => {
  const { code, stderr } = await new Place().run("start", ...args);
  expect(code).toBe(2);
  expect(stderr).toMatch(told);
});

test("several nodes with one name are refused before any is started", async () => {
  const place = new Place();
  place.file("one.mjs", 'export default { node: "only" };\n');
  const args = ["--nodes", "2", "--broker", "amqp://localhost", "--config", "one.mjs"];
  const { code, stderr } = await place.run("start", ...args);
  expect(code).toBe(2);
  expect(stderr).toContain('leave node: "only" out of the --config');
});
