/**
 * `spillway enqueue`: jobs by name from a shell, with and without their code.
 */
import { expect, test } from "vitest";
import { Place } from "./support.ts";

/** The one queue of a place, as `ps --json` shows it. */
async function queue(place: Place) {
  const { stdout } = await place.run("ps", "--json");
  return JSON.parse(stdout).partitions[0].queues[0];
}

test("what is enqueued without its code is run by the node that starts later", async () => {
  const place = new Place();
  place.job("sum", "({ a, b }) => a + b");
  const enqueued = await place.run("enqueue", "sum", '{"a":1,"b":2}', "--partition", "mine", "--declare");
  expect(enqueued).toMatchObject({ code: 0, stderr: "" });
  const id = enqueued.stdout.trim();
  expect(id).toMatch(/^[-\w]{27}$/);
  const node = place.start(
    "start",
    "--jobs",
    "jobs",
    "--partition",
    "mine",
    "--queue",
    "default=1",
    "--json",
  );
  const completed = JSON.parse(await node.line("job.completed"));
  expect(completed).toMatchObject({ id, job: "sum", partition: "mine", queue: "default", result: 3 });
  node.kill("SIGINT");
  expect((await node.ended).code).toBe(0);
});

test("with - the args are read from standard input", async () => {
  const place = new Place();
  place.job("echo", "(args) => args");
  const json = '{"long":"text"}';
  const { code, stdout } = await place.runWith(
    json,
    "enqueue",
    "echo",
    "-",
    "--jobs",
    "jobs",
    "--wait",
    "--json",
  );
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ queue: "default", result: { long: "text" } });
});

test("--wait runs the job here and prints its id, then its result", async () => {
  const place = new Place();
  place.job("shout", "(text) => text.toUpperCase()", 'queue: "loud",');
  const args = ["--jobs", "jobs", "--id", "s1", "--wait"];
  expect(await place.run("enqueue", "shout", '"hey"', ...args)).toMatchObject({
    code: 0,
    stdout: 's1\n"HEY"\n',
    stderr: "",
  });
  expect(await queue(place)).toMatchObject({ queue: "loud", ready: 0, buried: 0 });
});

test("--wait of a job that fails tells how it ended, and why", async () => {
  const place = new Place();
  place.job("fails", "() => { throw new TypeError('no luck') }");
  const { code, stderr } = await place.run("enqueue", "fails", "--jobs", "jobs", "--wait");
  expect(code).toBe(1);
  expect(stderr).toMatch(/^JobBuried: .*\n {2}because: .*no luck/);
  expect(await queue(place)).toMatchObject({ buried: 1, reasons: { failed: 1 } });
});

test("a delayed job is scheduled, and an id is not enqueued twice", async () => {
  const place = new Place();
  const args = ["enqueue", "later", "--id", "l1", "--delay", "1 hour"];
  expect((await place.run(...args, "--declare")).stdout).toBe("l1\n");
  const again = await place.run(...args);
  expect(again.code).toBe(1);
  expect(again.stderr).toMatch(/^DuplicateJob: /);
  expect(await queue(place)).toMatchObject({ ready: 0, scheduled: 1 });
});

test("args that are no JSON, and args that the schema refuses, are not enqueued", async () => {
  const place = new Place();
  place.file(
    "jobs/strict.mjs",
    `const validate = (value) =>
       typeof value === "number" ? { value } : { issues: [{ message: "expected a number" }] };
     export default { name: "strict", args: { "~standard": { version: 1, vendor: "test", validate } }, perform() {} };`,
  );
  const broken = await place.run("enqueue", "strict", "{a:1}", "--declare");
  expect(broken.code).toBe(1);
  expect(broken.stderr).toMatch(/^InvalidArgs: .*not JSON/);
  const refused = await place.run("enqueue", "strict", '"text"', "--jobs", "jobs", "--declare", "--json");
  expect(refused.code).toBe(1);
  expect(JSON.parse(refused.stdout).error).toMatchObject({
    code: "InvalidArgs",
    message: expect.stringContaining("expected a number"),
  });
  expect(await queue(place)).toMatchObject({ ready: 0 });
});

test("a name that the modules do not have is refused, and the nearest one named", async () => {
  const place = new Place();
  place.job("resize", "() => {}");
  const { code, stderr } = await place.run("enqueue", "resise", "--jobs", "jobs", "--declare");
  expect(code).toBe(1);
  expect(stderr).toMatch(/^UnknownJob: .*did you mean "resize"/);
});

test("a folder that is not there is not made, and a partition that is not there only with --declare", async () => {
  const place = new Place();
  const nowhere = await place.run("enqueue", "hello");
  expect(nowhere.code).toBe(1);
  expect(nowhere.stderr).toMatch(/^StoreMissing: /);
  await place.run("enqueue", "hello", "--declare");
  const typo = await place.run("enqueue", "hello", "--partition", "defualt");
  expect(typo.code).toBe(1);
  expect(typo.stderr).toMatch(/^UnknownPartition: /);
  const queueTypo = await place.run("enqueue", "hello", "--queue", "defualt");
  expect(queueTypo.stderr).toMatch(/^UnknownQueue: /);
});
