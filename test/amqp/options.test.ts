/**
 * The options of `rabbitmq({ … })`: what each may be, how a URL is read, and that no message repeats a password.
 *
 * SPILLWAY_SEED repeats a run.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  checkNodeTimeout,
  checkRabbit,
  placeOf,
  type RabbitOptions,
  rabbitOptionNames,
} from "../../src/amqp/options.ts";
import { InvalidOptions } from "../../src/broker/errors.ts";

const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 2 ** 31);
const RUNS = process.env.SPILLWAY_LONG === undefined ? 500 : 50_000;

/** Whatever a program without types may pass. */
function problems(options: unknown): readonly string[] {
  try {
    checkRabbit(options as RabbitOptions);
    return [];
  } catch (error) {
    if (error instanceof InvalidOptions) return error.problems;
    throw error;
  }
}

const at = (url: string) => {
  const { host, port, virtualHost, credentials, tls } = checkRabbit(url);
  return { host, port, virtualHost, ...credentials, tls: tls !== undefined };
};

describe("without any", () => {
  test("it is the broker on this machine, as RabbitMQ is installed", () => {
    expect(checkRabbit()).toEqual({
      host: "localhost",
      port: 5672,
      virtualHost: "/",
      credentials: { username: "guest", password: "guest" },
      channelMax: 0,
      frameMax: 0,
      heartbeatS: 2,
      connectionTimeoutMs: 10_000,
      tls: undefined,
      clientProperties: {},
      prefix: undefined,
      queueType: "quorum",
      newQueueGraceMs: 2_000,
      blockedTimeoutMs: 10_000,
    });
  });

  test("a URL in the place of options is the option url", () => {
    expect(checkRabbit("amqp://a:b@c:1/d")).toEqual(checkRabbit({ url: "amqp://a:b@c:1/d" }));
  });
});

describe("each option", () => {
  const given: Required<Omit<RabbitOptions, "url">> = {
    username: "ann",
    password: "x",
    virtualHost: "shop",
    host: "mq.example",
    port: 7,
    channelMax: 100,
    frameMax: 8_192,
    heartbeat: 5,
    connectionTimeout: "3 seconds",
    tls: { servername: "mq" },
    clientProperties: { app: "shop" },
    prefix: "staging",
    queueType: "classic",
    newQueueGrace: "1s",
    blockedTimeout: 500,
  };

  test("is known by its name, and there is no other", () => {
    expect([...rabbitOptionNames].sort()).toEqual(["url", ...Object.keys(given)].sort());
  });

  test("is taken as it was given", () => {
    expect(checkRabbit(given)).toEqual({
      host: "mq.example",
      port: 7,
      virtualHost: "shop",
      credentials: { username: "ann", password: "x" },
      channelMax: 100,
      frameMax: 8_192,
      heartbeatS: 5,
      connectionTimeoutMs: 3_000,
      tls: { servername: "mq" },
      clientProperties: { app: "shop" },
      prefix: "staging",
      queueType: "classic",
      newQueueGraceMs: 1_000,
      blockedTimeoutMs: 500,
    });
  });

  test.each<[keyof RabbitOptions, unknown, string]>([
    ["url", 5, "url: expected string"],
    ["username", 5, "username: expected string"],
    ["password", 5, "password: expected string"],
    ["virtualHost", 5, "virtualHost: expected string"],
    ["host", "", "host: "],
    ["host", "a b", "host: expected a name or an address"],
    ["host", "amqp://mq.example", "a whole URL is given as url"],
    ["port", 0, "port: expected a value between 1 and 65535"],
    ["port", 65_536, "port: "],
    ["port", "5672", "port: "],
    ["port", 1.5, "port: "],
    ["channelMax", -1, "channelMax: "],
    ["channelMax", 65_536, "channelMax: "],
    ["frameMax", 4_095, "frameMax: expected 0 or at least 4096, got 4095"],
    ["frameMax", -1, "frameMax: "],
    ["frameMax", 2 ** 31, "frameMax: "],
    ["heartbeat", 0, "it is never off"],
    ["heartbeat", 61, "heartbeat: expected whole seconds from 1 to 60, got 61"],
    ["heartbeat", 1.5, "heartbeat: "],
    ["heartbeat", Number.NaN, "heartbeat: "],
    ["heartbeat", "2", "heartbeat: "],
    ["connectionTimeout", 0, "connectionTimeout: expected more than 0"],
    ["connectionTimeout", "0 ms", "connectionTimeout: expected more than 0"],
    ["connectionTimeout", -1, "connectionTimeout: -1 is negative"],
    ["connectionTimeout", "3 secnds", 'did you mean "3 second'],
    ["tls", "yes", "tls: expected true, or an object"],
    ["tls", null, "tls: expected true, or an object"],
    ["clientProperties", "x", "clientProperties: "],
    ["prefix", "a.b", "prefix: a name has"],
    ["prefix", "", "prefix: a name has"],
    ["prefix", "$x", "prefix: a name has"],
    ["prefix", "x".repeat(65), "prefix: a name has"],
    ["queueType", "stream", 'queueType: expected "quorum" | "classic"'],
    ["newQueueGrace", "soon", "newQueueGrace: "],
    ["blockedTimeout", -5, "blockedTimeout: -5 is negative"],
  ])("%s: %j is refused", (name, value, told) => {
    const found = problems({ [name]: value });
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/^rabbitmq: /);
    expect(found[0]).toContain(told);
  });

  test.each<[keyof RabbitOptions, unknown]>([
    ["frameMax", 0],
    ["frameMax", 4_096],
    ["channelMax", 0],
    ["channelMax", 65_535],
    ["heartbeat", 1],
    ["heartbeat", 60],
    ["port", 65_535],
    ["newQueueGrace", 0],
    ["blockedTimeout", 0],
    ["tls", false],
    ["prefix", "a-b_C9"],
    ["host", "::1"],
  ])("%s: %j is taken", (name, value) => {
    expect(problems({ [name]: value })).toEqual([]);
  });

  test("all that is wrong is told at once", () => {
    const found = problems({ heartbeat: 0, prefix: "a.b", frameMax: 1, tls: "x", hst: "here" });
    expect(found.map((one) => /(heartbeat|prefix|frameMax|tls|hst)/.exec(one)?.[1]).sort()).toEqual([
      "frameMax",
      "heartbeat",
      "hst",
      "prefix",
      "tls",
    ]);
  });

  test.each([
    ["hst", "host"],
    ["heartbeats", "heartbeat"],
    ["virtualhost", "virtualHost"],
    ["pasword", "password"],
    ["queuetype", "queueType"],
  ])("%s: did you mean %s?", (wrong, right) => {
    expect(problems({ [wrong]: "x" })).toEqual([
      `rabbitmq: there is no option "rabbitmq.${wrong}"; did you mean "rabbitmq.${right}"?`,
    ]);
  });

  test("options that are no object are refused in words", () => {
    expect(problems(5)).toHaveLength(1);
    expect(problems(["amqp://localhost"]).length).toBeGreaterThan(0);
  });
});

describe("a URL", () => {
  const guest = { username: "guest", password: "guest", tls: false };

  test.each([
    ["amqp://", { host: "localhost", port: 5672, virtualHost: "/", ...guest }],
    ["amqp://mq", { host: "mq", port: 5672, virtualHost: "/", ...guest }],
    ["amqp://mq/", { host: "mq", port: 5672, virtualHost: "/", ...guest }],
    ["amqps://mq", { host: "mq", port: 5671, virtualHost: "/", ...guest, tls: true }],
    ["AMQPS://mq:1/", { host: "mq", port: 1, virtualHost: "/", ...guest, tls: true }],
    [
      "amqp://ann:x@mq:7/shop",
      { host: "mq", port: 7, virtualHost: "shop", username: "ann", password: "x", tls: false },
    ],
    [
      "amqp://ann@mq",
      { host: "mq", port: 5672, virtualHost: "/", username: "ann", password: "", tls: false },
    ],
    ["amqp://mq/%2F", { host: "mq", port: 5672, virtualHost: "/", ...guest }],
    ["amqp://mq/%2Fshop", { host: "mq", port: 5672, virtualHost: "/shop", ...guest }],
    ["amqp://mq/a%40b%20c", { host: "mq", port: 5672, virtualHost: "a@b c", ...guest }],
    ["amqp://mq/gr%C3%B6%C3%9Fe", { host: "mq", port: 5672, virtualHost: "größe", ...guest }],
    [
      "amqp://a%3Ab:c%2Fd%40e@mq",
      { host: "mq", port: 5672, virtualHost: "/", username: "a:b", password: "c/d@e", tls: false },
    ],
    [
      "amqp://ann:a:b@mq",
      { host: "mq", port: 5672, virtualHost: "/", username: "ann", password: "a:b", tls: false },
    ],
    ["amqp://[::1]", { host: "::1", port: 5672, virtualHost: "/", ...guest }],
    [
      "amqp://ann:x@[2001:db8::7]:7/v",
      { host: "2001:db8::7", port: 7, virtualHost: "v", username: "ann", password: "x", tls: false },
    ],
  ])("%s", (url, parts) => {
    expect(at(url)).toEqual(parts);
  });

  test("has heartbeat, channelMax and frameMax in its query; beside it the options go first", () => {
    const url = "amqp://mq?heartbeat=7&channelMax=9&frameMax=8192";
    expect(checkRabbit(url)).toMatchObject({ heartbeatS: 7, channelMax: 9, frameMax: 8_192 });
    expect(checkRabbit({ url, heartbeat: 3, channelMax: 4, frameMax: 4_096 })).toMatchObject({
      heartbeatS: 3,
      channelMax: 4,
      frameMax: 4_096,
    });
  });

  test.each([
    ["amqp://mq?heartbeat=0", "heartbeat: expected whole seconds from 1 to 60, got 0"],
    ["amqp://mq?heartbeat=two", "url?heartbeat: expected a whole number"],
    ["amqp://mq?channelMax=99999", "channelMax: expected at most 65535"],
    ["amqp://mq?frameMax=100", "frameMax: expected 0 or at least 4096"],
    ["amqp://mq?hartbeat=3", 'did you mean "url?heartbeat"?'],
    ["amqp://mq?channel_max=3", 'did you mean "url?channelMax"?'],
    ["amqp://mq:0", "url: expected a port from 1 to 65535"],
    ["amqp://mq:99999", "url: expected amqp://"],
    ["http://mq", "url: expected amqp://"],
    ["mq:5672", "url: expected amqp://"],
    ["amqp:ann:x@mq", "url: expected amqp://"],
    ["amqp:mq", "url: expected amqp://"],
    ["", "url: expected amqp://"],
    ["amqp://a%zz@mq", "write it as %25"],
    ["amqp://mq/%zz", "write it as %25"],
    ["amqp://mq#x", "%23"],
    ["amqp://ann:12/34@mq", "%2F"],
    ["amqp://ann:12?34@mq", "%3F"],
    ["amqp://mq/a@b", "%40"],
  ])("%s is refused", (url, told) => {
    expect(problems(url).join("\n")).toContain(told);
  });

  test("says what the fields would: both are refused, and named", () => {
    const both = { url: "amqp://mq", username: "a", password: "b", virtualHost: "c", host: "d", port: 1 };
    expect(problems(both)).toEqual([
      "rabbitmq: url already says what username, password, virtualHost, host, port would; give the url or the fields",
    ]);
    expect(problems({ url: "amqp://mq", prefix: "x", queueType: "classic", tls: true })).toEqual([]);
  });

  test("with TLS by the option is reached at the port of TLS", () => {
    expect(checkRabbit({ url: "amqp://mq", tls: true })).toMatchObject({ port: 5671, tls: {} });
    expect(checkRabbit({ url: "amqp://mq:7", tls: { ca: "x" } })).toMatchObject({
      port: 7,
      tls: { ca: "x" },
    });
    expect(checkRabbit({ host: "mq", tls: true })).toMatchObject({ port: 5671, tls: {} });
    expect(problems({ url: "amqps://mq", tls: false })).toEqual([
      "rabbitmq: tls: is false, and the url is amqps://",
    ]);
    expect(problems({ url: "amqps://mq", tls: {} })).toEqual([]);
  });

  test(`any parts come back as they were, once they are encoded (seed ${SEED})`, () => {
    const text = fc.string({ unit: fc.constantFrom(..."ab:/@?#%[] é😀&=+"), minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(
        text,
        text,
        text,
        fc.integer({ min: 1, max: 65_535 }),
        (username, password, virtualHost, port) => {
          const [user, pass, vhost] = [username, password, virtualHost].map(encodeURIComponent);
          expect(at(`amqp://${user}:${pass}@mq:${port}/${vhost}`)).toEqual({
            host: "mq",
            port,
            virtualHost,
            username,
            password,
            tls: false,
          });
        },
      ),
      { numRuns: RUNS, seed: SEED },
    );
  });
});

describe("secrets", () => {
  const FRONT = "Zq7";
  const BACK = "9Kx";
  const password = fc
    .string({ unit: fc.constantFrom(..."ab1:/@?#%[]{}\" '\\\n&=é"), maxLength: 12 })
    .map((middle) => `${FRONT}${middle}${BACK}`);

  function check(options: unknown): void {
    let text: string;
    try {
      text = placeOf(checkRabbit(options as RabbitOptions));
    } catch (error) {
      if (!(error instanceof InvalidOptions)) throw error;
      text = `${error.message}\n${error.problems.join("\n")}\n${String(error.cause)}`;
    }
    if (text.includes(FRONT) || text.includes(BACK)) throw new Error(`told: ${text}`);
  }

  test(`no message and no description repeats a password, nor a part of it (seed ${SEED})`, () => {
    fc.assert(
      fc.property(
        password,
        fc.constantFrom("", "/shop", "?heartbeat=x", ":1", ":x", "/%zz", "?a=1"),
        (secret, rest) => {
          const url = `amqp://ann:${secret}@mq${rest}`;
          check(url);
          check({ url, heartbeat: 0 });
          check({ url, password: secret, username: "ann" });
          check({ url: `amqp:ann:${secret}@mq` });
          check({ url: secret });
          check({ username: "ann", password: secret, heartbeat: 0, tls: "x" });
          check({ password: [secret] });
          check({ password: { secret } });
          check({ host: url });
          check({ [url]: true });
          check({ [`ann:${secret}@mq`]: true });
          check({
            password: secret,
            tls: { passphrase: secret },
            clientProperties: { secret },
            prefix: "a.b",
          });
          check([url]);
        },
      ),
      { numRuns: RUNS, seed: SEED },
    );
  });

  test("a place is said without who logs in", () => {
    expect(placeOf(checkRabbit("amqps://ann:x@mq:7/shop"))).toBe("amqps://mq:7/shop");
    expect(placeOf(checkRabbit("amqp://ann:x@[::1]"))).toBe("amqp://[::1]:5672/%2F");
  });
});

describe("nodeTimeout", () => {
  test.each([
    [2, 10_000],
    [1, 7_000],
    [10, 34_000],
  ])("with a heartbeat of %d s must be at least %d ms", (heartbeat, least) => {
    const settings = checkRabbit({ heartbeat });
    expect(() => checkNodeTimeout(least, settings)).not.toThrow();
    expect(() => checkNodeTimeout(least - 1, settings)).toThrow(InvalidOptions);
    expect(() => checkNodeTimeout(least - 1, settings)).toThrow(`must be at least ${least} ms`);
  });
});
