/** `PowerhoseWorker` on real sockets: what it says to a master, what it answers, when it ends. */
import { existsSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import * as zmq from "zeromq";
import {
  type PowerhoseTarget,
  PowerhoseWorker,
  type PowerhoseWorkerOptions,
} from "../../../src/gateways/index.ts";
import { free, socket } from "./support.ts";

/** A master of the original, as far as the wire goes. */
class RawMaster {
  readonly endpoint = free();
  readonly #reply = socket(new zmq.Reply({ linger: 0 }));

  static async open(): Promise<RawMaster> {
    const master = new RawMaster();
    await master.#reply.bind(master.endpoint);
    return master;
  }

  async hear(): Promise<string> {
    const [text] = await this.#reply.receive();
    return String(text);
  }

  async say(text: string): Promise<void> {
    await this.#reply.send(text);
  }

  /** Whatever is said, until the test ends. */
  async answerAll(word: string): Promise<never> {
    for (;;) {
      await this.say(word);
      await this.hear();
    }
  }

  /** Takes a worker, as the original did. */
  async register(answer = "PONG"): Promise<zmq.Request> {
    const workpoint = (await this.hear()).split(":::").at(-1) ?? "";
    await this.say(answer);
    const request = socket(new zmq.Request({ linger: 0 }));
    request.connect(workpoint);
    return request;
  }
}

function worker(endpoint: string, target: PowerhoseTarget, options: PowerhoseWorkerOptions = {}) {
  const workpoint = free();
  const made = new PowerhoseWorker(endpoint, workpoint, target, options);
  const ended = made.run();
  ended.catch(() => {});
  onTestFinished(() => made.stop());
  return { made, ended, workpoint };
}

async function ask(request: zmq.Request, text: string): Promise<string> {
  await request.send(text);
  const [answer] = await request.receive();
  return String(answer);
}

const square: PowerhoseTarget = ([, data]) => String(Number(data) ** 2);

test("it registers with the original's master, does jobs, and removes itself", async () => {
  const master = await RawMaster.open();
  const { made, ended, workpoint } = worker(master.endpoint, square);
  const text = await master.hear();
  // The original looks at the last two parts.
  expect(text.split(":::").slice(-2)).toEqual(["PING", workpoint]);
  await master.say("PONG");
  const request = socket(new zmq.Request({ linger: 0 }));
  request.connect(workpoint);
  expect(await ask(request, "JOB:::1:::12")).toBe("JOBRES:::1:::144");
  const stopped = made.stop();
  expect((await master.hear()).split(":::").slice(-2)).toEqual(["REMOVE", workpoint]);
  await master.say("REMOVED");
  await Promise.all([stopped, ended]);
  expect(existsSync(workpoint.slice("ipc://".length))).toBe(false);
});

test("the target gets id and data; what it throws is a result to the original, without separators", async () => {
  const master = await RawMaster.open();
  const seen: unknown[] = [];
  worker(master.endpoint, (job) => {
    seen.push(job);
    throw new Error("no:::good");
  });
  const request = await master.register();
  expect(await ask(request, "JOB:::a:::b")).toBe("JOBRES:::a:::no good");
  expect(seen).toEqual([["a", "b"]]);
});

test("to Spillway's master it says an error as one", async () => {
  const master = await RawMaster.open();
  worker(master.endpoint, () => Promise.reject(new RangeError("no:::good")));
  const request = await master.register("PONG:::SPILLWAY");
  const [word, id, error, ...rest] = (await ask(request, "JOB:::a:::b")).split(":::");
  expect([word, id, rest]).toEqual(["JOBERR", "a", []]);
  expect(JSON.parse(error ?? "")).toMatchObject({ name: "RangeError", message: "no:::good", final: false });
});

test.each([
  ["PONG:::SPILLWAY", /^JOBERR:::a:::\{/],
  ["PONG", /^JOBRES:::a:::no good$/],
])(
  "a job that comes before the answer to its ping fails in the words of who answers (%s)",
  async (pong, told) => {
    const master = await RawMaster.open();
    let answer = Promise.resolve("");
    await new Promise<void>((thrown) => {
      const { workpoint } = worker(master.endpoint, () => {
        thrown();
        throw new Error("no:::good");
      });
      answer = master.hear().then(() => {
        const request = socket(new zmq.Request({ linger: 0 }));
        request.connect(workpoint);
        return ask(request, "JOB:::a:::b");
      });
    });
    master.answerAll(pong).catch(() => {}); // closed with the test
    expect(await answer).toMatch(told);
  },
);

test("a job that fails while nobody answers is no result: who stops says ERROR", async () => {
  const master = await RawMaster.open();
  const { made, workpoint } = worker(master.endpoint, () => {
    void made.stop();
    throw new Error("no");
  });
  await master.hear();
  const request = socket(new zmq.Request({ linger: 0 }));
  request.connect(workpoint);
  expect(await ask(request, "JOB:::a:::b")).toBe("ERROR");
});

test.each([
  ["a number", 5 as never, /a target gives a text, got number/],
  ["a separator", "a:::b", /the result holds :::/],
])("a result that is %s is an error of the target", async (_what, result, told) => {
  const master = await RawMaster.open();
  worker(master.endpoint, () => result);
  const request = await master.register("PONG:::SPILLWAY");
  const error = JSON.parse((await ask(request, "JOB:::a:::b")).split(":::")[2] ?? "");
  expect(error.message).toMatch(told);
});

test("whatever is no job is answered by ERROR, and it goes on", async () => {
  const master = await RawMaster.open();
  worker(master.endpoint, square);
  const request = await master.register();
  for (const text of ["", "JOB", "JOB:::1", "PING:::x", "JOB:::1:::2:::3", "JOB*****1*****2", ":::"])
    expect(await ask(request, text)).toBe("ERROR");
  await request.send(["JOB:::1:::2", "more"]);
  expect(String((await request.receive())[0])).toBe("ERROR");
  await request.send(Buffer.from([0xff, 0x00]));
  expect(String((await request.receive())[0])).toBe("ERROR");
  expect(await ask(request, "JOB:::1:::3")).toBe("JOBRES:::1:::9");
});

test("with the later separator it reads a serialized job", async () => {
  const master = await RawMaster.open();
  const seen: unknown[] = [];
  const { workpoint } = worker(
    master.endpoint,
    (job) => {
      seen.push(job);
      return "ok";
    },
    { separator: "*****" },
  );
  expect((await master.hear()).split("*****").slice(-2)).toEqual(["PING", workpoint]);
  await master.say("PONG");
  const request = socket(new zmq.Request({ linger: 0 }));
  request.connect(workpoint);
  for (const job of ["NONE:::a:::b", "id:7:::x", "k:v::id:8:::"])
    expect(await ask(request, `JOB*****${job}`)).toBe(`JOBRES*****${job}*****ok`);
  expect(await ask(request, "JOB*****9*****y")).toBe("JOBRES*****9*****ok");
  expect(await ask(request, "JOB*****nonsense")).toBe("ERROR");
  expect(seen).toEqual([
    ["", "a:::b"],
    ["7", "x"],
    ["8", ""],
    ["9", "y"],
  ]);
});

test("it pings again and again; one wrong answer ends it, after a word of farewell", async () => {
  const master = await RawMaster.open();
  const { ended, workpoint } = worker(master.endpoint, square, { ping: 10 });
  for (let n = 0; n < 5; n += 1) {
    expect((await master.hear()).split(":::").slice(-2)).toEqual(["PING", workpoint]);
    await master.say(n < 4 ? "PONG" : "ERROR");
  }
  expect((await master.hear()).split(":::").slice(-2)).toEqual(["REMOVE", workpoint]);
  await master.say("REMOVED");
  await ended;
});

test("a master that does not take it, or does not answer, is an error that says which", async () => {
  const master = await RawMaster.open();
  const refused = worker(master.endpoint, square);
  await master.register("ERROR");
  await expect(refused.ended).rejects.toMatchObject({ code: "MasterLost", why: /does not take it/ });
  const nobody = worker(free(), square, { timeout: 20, ping: 20, maxFails: 3 });
  await expect(nobody.ended).rejects.toMatchObject({ code: "MasterLost", why: "left 3 pings unanswered" });
});

test("a missed answer is no reason to go: the next ping may have one", async () => {
  const master = await RawMaster.open();
  const { ended, made } = worker(master.endpoint, square, { timeout: 100, ping: 20, maxFails: 1_000 });
  await master.hear();
  // It has given up waiting for this one, and asks anew.
  await master.say("PONG");
  const request = await master.register();
  expect(await ask(request, "JOB:::1:::3")).toBe("JOBRES:::1:::9");
  const stopped = made.stop();
  await Promise.all([stopped, ended]);
});

test("when its connection ends in the middle of a job, the body is told, and it pings only after that", async () => {
  const master = await RawMaster.open();
  const told: string[] = [];
  const { workpoint } = worker(
    master.endpoint,
    async (_job, { signal }) => {
      told.push("begun");
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      told.push("told");
      return "x";
    },
    { ping: "1 hour" },
  );
  const request = await master.register();
  await request.send("JOB:::1:::x");
  while (told.length === 0) await new Promise((resolve) => setImmediate(resolve));
  request.close();
  // Its next ping is there at once, whatever its pause.
  expect((await master.hear()).split(":::").slice(-2)).toEqual(["PING", workpoint]);
  expect(told).toEqual(["begun", "told"]);
});

test("a stop lets the body that runs end, and be answered", async () => {
  const master = await RawMaster.open();
  let go = () => {};
  let begun = () => {};
  const started = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const { made, ended } = worker(master.endpoint, () => {
    begun();
    return new Promise((resolve) => {
      go = () => resolve("done");
    });
  });
  const request = await master.register();
  await request.send("JOB:::1:::x");
  await started;
  const stopped = made.stop();
  go();
  expect(String((await request.receive())[0])).toBe("JOBRES:::1:::done");
  await master.hear();
  await master.say("REMOVED");
  await Promise.all([stopped, ended]);
});

test("a workpoint where somebody is, or that is no address, is an error", async () => {
  const master = await RawMaster.open();
  const taken = new PowerhoseWorker(master.endpoint, master.endpoint, square);
  await expect(taken.run()).rejects.toMatchObject({ code: "EndpointUnavailable" });
  expect(() => new PowerhoseWorker("a", "b", square, { ping: 0, separator: "-" as never })).toThrow(
    /separator/,
  );
  expect(() => new PowerhoseWorker("a", "b", square, { ping: 0 })).toThrow(
    /endpoint: expected "ipc.*workpoint: expected "ipc.*above 0/s,
  );
});
