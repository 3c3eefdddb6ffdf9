/**
 * What RabbitMQ and the network really say, and what is made of it: words to act on, without a user's name in them.
 *
 * The texts are those of RabbitMQ 3.10 to 4.3 as amqplib 2.3 hands them on, and those of Node's sockets.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { channelError, connectionError, hasCode, plain, severityOf } from "../../src/amqp/refusal.ts";
import { BrokerRefused, BrokerUnreachable, TopologyConflict } from "../../src/broker/errors.ts";

const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 2 ** 31);
const RUNS = process.env.SPILLWAY_LONG === undefined ? 1_000 : 50_000;
const BROKER = "RabbitMQ at amqp://mq:5672/%2F";

function thrown(message: string, code?: number | string): Error {
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}

const handshake = (code: number, name: string, text: string) =>
  thrown(`Handshake terminated by server: ${code} (${name}) with message "${text}"`);
const closed = (code: number, name: string, text: string) =>
  thrown(`Connection closed: ${code} (${name}) with message "${text}"`, code);
const operation = (method: string, code: number, name: string, text: string) =>
  thrown(`Operation failed: ${method}; ${code} (${name}) with message "${text}"`, code);
/** What Node throws when a name has several addresses and none answers. */
const several = (code: string) =>
  Object.assign(new AggregateError([thrown("one"), thrown("two")], ""), { code });

const LOGIN = handshake(
  403,
  "ACCESS-REFUSED",
  "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.",
);

describe("a connection that is not made", () => {
  test.each<[string, Error, typeof BrokerRefused | typeof BrokerUnreachable, string]>([
    ["a wrong password", LOGIN, BrokerRefused, "the login was not accepted. Check username and password"],
    [
      "a virtual host that is not there",
      handshake(530, "NOT-ALLOWED", "NOT_ALLOWED - vhost shop not found"),
      BrokerRefused,
      "its virtual host does not exist",
    ],
    [
      "a virtual host that the user may not use",
      handshake(530, "NOT-ALLOWED", "NOT_ALLOWED - access to vhost 'shop' refused for user 'ann'"),
      BrokerRefused,
      "the user may not use this virtual host",
    ],
    [
      "too many connections of a virtual host",
      handshake(
        530,
        "NOT-ALLOWED",
        "NOT_ALLOWED - access to vhost 'shop' refused for user 'ann': vhost connection limit (1) is reached",
      ),
      BrokerRefused,
      "it allows no more connections",
    ],
    [
      "too many connections of a user",
      handshake(
        530,
        "NOT-ALLOWED",
        "NOT_ALLOWED - connection refused for user 'ann': user connection limit (1) is reached",
      ),
      BrokerRefused,
      "it allows no more connections",
    ],
    [
      "a virtual host that is down",
      handshake(
        541,
        "INTERNAL-ERROR",
        "INTERNAL_ERROR - access to vhost 'shop' refused for user 'ann': vhost 'shop' is down",
      ),
      BrokerRefused,
      "its virtual host is down",
    ],
    [
      "no password logins",
      thrown("SASL mechanism PLAIN is not provided by the server"),
      BrokerRefused,
      "no login by password",
    ],
    [
      "nobody at the port",
      thrown("connect ECONNREFUSED 127.0.0.1:5672", "ECONNREFUSED"),
      BrokerUnreachable,
      "nothing listens at its port",
    ],
    ["nobody at any address", several("ECONNREFUSED"), BrokerUnreachable, "nothing listens at its port"],
    [
      "an unknown name",
      thrown("getaddrinfo ENOTFOUND mq", "ENOTFOUND"),
      BrokerUnreachable,
      "its host name is not known",
    ],
    [
      "no name server",
      thrown("getaddrinfo EAI_AGAIN mq", "EAI_AGAIN"),
      BrokerUnreachable,
      "its host name is not known",
    ],
    ["no answer", thrown("connect ETIMEDOUT"), BrokerUnreachable, "no answer within connectionTimeout"],
    [
      "no answer at any address",
      several("ETIMEDOUT"),
      BrokerUnreachable,
      "no answer within connectionTimeout",
    ],
    ["no way there", several("EHOSTUNREACH"), BrokerUnreachable, "(EHOSTUNREACH)"],
    ["a reset", thrown("read ECONNRESET", "ECONNRESET"), BrokerUnreachable, "read ECONNRESET"],
    ["silence", thrown("Heartbeat timeout"), BrokerUnreachable, "Heartbeat timeout"],
    [
      "something else that listens there",
      thrown("Socket closed abruptly during opening handshake"),
      BrokerUnreachable,
      "Socket closed abruptly",
    ],
    [
      "a certificate of another name",
      thrown("Hostname/IP does not match certificate's altnames: Host: mq.", "ERR_TLS_CERT_ALTNAME_INVALID"),
      BrokerUnreachable,
      "does not match certificate",
    ],
    [
      "a broker that shuts down",
      closed(
        320,
        "CONNECTION-FORCED",
        "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'",
      ),
      BrokerUnreachable,
      "with reason 'shutdown'",
    ],
    [
      "a user that is deleted",
      closed(320, "CONNECTION-FORCED", "CONNECTION_FORCED - user 'ann' is deleted"),
      BrokerUnreachable,
      "the user is deleted",
    ],
  ])("%s", (_what, error, kind, told) => {
    const made = connectionError(error, BROKER);
    expect(made).toBeInstanceOf(kind);
    expect(made.message).toContain(BROKER);
    expect(made.message).toContain(told);
    expect(`${made.message} ${String((made.cause as Error | undefined)?.stack)}`).not.toMatch(/\bann\b/);
  });

  test("keeps the code of what was thrown, and not its words", () => {
    const { cause } = connectionError(thrown("connect ECONNREFUSED 10.0.0.1:5672", "ECONNREFUSED"), BROKER);
    expect(cause).toMatchObject({ code: "ECONNREFUSED", message: "nothing listens at its port" });
  });

  test.each([[undefined], [null], ["text"], [{}], [5], [new Error("")]])(
    "anything may be thrown: %s",
    (what) => {
      expect(connectionError(what, BROKER)).toBeInstanceOf(BrokerUnreachable);
      expect(channelError(what, BROKER, "queue p.q")).toBeInstanceOf(BrokerRefused);
      expect(["message", "channel", "connection"]).toContain(severityOf(what));
      expect(hasCode(what, 404)).toBe(false);
    },
  );
});

describe("a call that is refused", () => {
  const told = (error: Error) => channelError(error, BROKER, "queue p.q");
  const inequivalent = (text: string) =>
    told(
      operation("QueueDeclare", 406, "PRECONDITION-FAILED", `PRECONDITION_FAILED - inequivalent arg ${text}`),
    );

  test.each([
    [
      "'x-queue-type' for queue 'p.q' in vhost '/': received the value 'quorum' of type 'longstr' but current is none",
      "x-queue-type is not set there, and would be quorum here (the option queueType says which type is declared)",
    ],
    [
      "'x-queue-type' for queue 'p.q' in vhost '/': received 'quorum' but current is 'classic'",
      "x-queue-type is classic there, and would be quorum here (the option queueType",
    ],
    [
      "'x-message-ttl' for queue 'p.q' in vhost '/': received none but current is the value '60000' of type 'signedint'",
      "x-message-ttl is 60000 there, and would be not set here",
    ],
    [
      "'durable' for queue 'p.q' in vhost '/': received 'true' but current is 'false'",
      "durable is false there, and would be true here",
    ],
    [
      "'type' for exchange 'spillway.$work' in vhost '/': received 'direct' but current is 'fanout'",
      "type is fanout there, and would be direct here",
    ],
  ])("over an argument: %s", (text, words) => {
    const error = inequivalent(text);
    expect(error).toBeInstanceOf(TopologyConflict);
    expect(error.message).toContain("queue p.q exists with other arguments");
    expect(error.message).toContain(words);
  });

  test("over an argument in other words is told as it is", () => {
    expect(inequivalent("of some kind").message).toContain("inequivalent arg of some kind");
  });

  test.each([
    [
      "configure access to queue 'p.q' in vhost '/' refused for user 'ann'",
      "the user lacks the configure permission",
    ],
    [
      "write access to exchange 'x' in vhost '/' refused for user 'ann'",
      "the user lacks the write permission",
    ],
    ["read access to queue 'p.q' in vhost '/' refused for user 'ann'", "the user lacks the read permission"],
    ["access to queue 'p.q' in vhost '/' refused for user 'ann'", "the user lacks the needed permission"],
  ])("for want of a permission: %s", (text, words) => {
    const error = told(operation("QueueDeclare", 403, "ACCESS-REFUSED", `ACCESS_REFUSED - ${text}`));
    expect(error).toBeInstanceOf(BrokerRefused);
    expect(error.message).toContain(`queue p.q: ${words}`);
    expect(error.message).not.toMatch(/\bann\b/);
  });

  test.each([
    [404, "NOT-FOUND", "NOT_FOUND - no queue 'p.q' in vhost '/'", "queue p.q is not there"],
    [
      405,
      "RESOURCE-LOCKED",
      "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'p.q' in vhost '/'",
      "queue p.q is in another connection's exclusive use",
    ],
    [
      406,
      "PRECONDITION-FAILED",
      "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 1800000 ms.",
      "queue p.q: Operation failed: QueueDeclare; 406",
    ],
    [541, "INTERNAL-ERROR", "INTERNAL_ERROR", "queue p.q: Operation failed"],
  ])("with %d", (code, name, text, words) => {
    const error = told(operation("QueueDeclare", code, name, text));
    expect(error).toBeInstanceOf(BrokerRefused);
    expect(error.message).toContain(words);
  });
});

describe("severity", () => {
  test.each<[string, unknown, string]>([
    ["a nack", thrown("message nacked"), "message"],
    ["a queue that is not there", operation("QueueDeclare", 404, "NOT-FOUND", "x"), "channel"],
    ["a permission", operation("QueueDeclare", 403, "ACCESS-REFUSED", "x"), "channel"],
    ["a lock", operation("QueueDeclare", 405, "RESOURCE-LOCKED", "x"), "channel"],
    ["other arguments", operation("QueueDeclare", 406, "PRECONDITION-FAILED", "x"), "channel"],
    ["a login", Object.assign(LOGIN, { code: 403 }), "connection"],
    ["a shutdown", closed(320, "CONNECTION-FORCED", "x"), "connection"],
    ["a frame that is none", closed(501, "FRAME-ERROR", "x"), "connection"],
    ["what may not be done at all", closed(530, "NOT-ALLOWED", "x"), "connection"],
    ["the broker's own fault", closed(541, "INTERNAL-ERROR", "x"), "connection"],
    ["a socket", thrown("read ECONNRESET", "ECONNRESET"), "connection"],
  ])("%s: %s", (_what, error, severity) => {
    expect(severityOf(error)).toBe(severity);
  });
});

describe("plain words", () => {
  test("are on one line, without users and without what stands before an @ in a URL", () => {
    expect(plain("refused\n  for user 'ann'\tin vhost '/'")).toBe("refused for the user in vhost '/'");
    expect(plain("user 'o'brien' is deleted")).toBe("the user is deleted");
    expect(plain("user 'ann': limit; user 'ben'.")).toBe("the user: limit; the user.");
    expect(plain("cannot parse amqp://ann:x@mq/")).toBe("cannot parse amqp://mq/");
  });

  test(`no user's name passes through any of it (seed ${SEED})`, () => {
    const user = fc.stringMatching(/^Zq[a-z0-9.@:_-]{0,10}9K$/);
    const text = fc.constantFrom(
      (name: string) => `NOT_ALLOWED - access to vhost 'shop' refused for user '${name}'`,
      (name: string) =>
        `NOT_ALLOWED - connection refused for user '${name}': user connection limit (1) is reached`,
      (name: string) => `CONNECTION_FORCED - user '${name}' is deleted`,
      (name: string) => `ACCESS_REFUSED - read access to queue 'p.q' in vhost '/' refused for user '${name}'`,
      (name: string) => `ACCESS_REFUSED - Login was refused for user '${name}'`,
      (name: string) => `something new about user '${name}', and about user '${name}'`,
    );
    const code = fc.constantFrom(320, 403, 404, 406, 530, 541);
    fc.assert(
      fc.property(user, text, code, (name, words, number) => {
        for (const error of [handshake(number, "X", words(name)), closed(number, "X", words(name))])
          for (const made of [connectionError(error, BROKER), channelError(error, BROKER, "queue p.q")])
            expect(`${made.message} ${String(made.cause)}`).not.toMatch(/Zq|9K/);
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });
});
