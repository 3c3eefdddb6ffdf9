/**
 * What the broker's and the socket's errors mean, in words that a user can act on.
 *
 * Owns no state. Errors have a severity, and it is the scope of the restart: a message's own, its channel's, or the
 * whole connection's (AMQP 0-9-1, 1.2 "soft" and "hard" errors). Never repeats a credential: the broker's own texts
 * name users, so those of a login are replaced.
 */
import { BrokerRefused, BrokerUnreachable, TopologyConflict } from "../broker/errors.ts";

import { SpillwayError } from "../kernel/errors.ts";

export type Severity = "message" | "channel" | "connection";

interface AmqpError extends Error {
  readonly code?: number | string;
  /** The method that the broker took offence at. */
  readonly classId?: number;
  readonly methodId?: number;
}

/** AMQP's soft errors close a channel; all else is the connection's. */
const SOFT: ReadonlySet<unknown> = new Set([311, 312, 313, 403, 404, 405, 406]);

export function severityOf(error: unknown): Severity {
  const { code, message = "" } = (error ?? {}) as AmqpError;
  if (message === "message nacked") return "message";
  return SOFT.has(code) && !/^Handshake/.test(message) ? "channel" : "connection";
}

/** Why a connection could not be made or was lost. */
export function connectionError(thrown: unknown, broker: string): Error {
  const error = thrown as AmqpError;
  const message = String(error?.message ?? thrown);
  if (/ACCESS[_-]REFUSED|403 \(ACCESS/.test(message) && !/vhost/.test(message))
    return new BrokerRefused(broker, LOGIN);
  if (/ limit \(\d+\) is reached/.test(message)) return new BrokerRefused(broker, LIMIT);
  if (/vhost .* is down/.test(message))
    return new BrokerRefused(broker, "its virtual host is down. Its log says why.");
  if (/vhost .* not found|NOT[_-]ALLOWED.*vhost|access to vhost/i.test(message))
    return new BrokerRefused(broker, vhostWords(message));
  // all that amqplib tells of a broker that closes the connection instead of opening it
  if (/Expected ConnectionOpenOk; got <ConnectionClose/.test(message))
    return new BrokerRefused(broker, NOT_OPENED);
  if (/SASL mechanism/.test(message))
    return new BrokerRefused(broker, "it offers no login by password (PLAIN)");
  if (error?.code === "ETIMEDOUT" || /ETIMEDOUT|timed out/i.test(message))
    return unreachable(broker, "no answer within connectionTimeout", error);
  if (error?.code === "ENOTFOUND" || error?.code === "EAI_AGAIN")
    return unreachable(broker, "its host name is not known", error);
  if (error?.code === "ECONNREFUSED") return unreachable(broker, "nothing listens at its port", error);
  // of several addresses tried, Node gives the code alone
  return unreachable(broker, plain(message) || String(error?.code ?? "no reason was given"), error);
}

const LOGIN =
  "the login was not accepted. Check username and password; the user guest may log in from the broker's own machine only (loopback_users).";

const NOT_OPENED =
  "its virtual host does not exist, or the user may not use it, or a limit of connections is reached. Check virtualHost, create it (rabbitmqctl add_vhost), or grant it (rabbitmqctl set_permissions); the broker's log says which.";

const LIMIT =
  "it allows no more connections of this user or virtual host. Close some, or raise the limit (rabbitmqctl set_user_limits, set_vhost_limits); each node has two.";

function vhostWords(message: string): string {
  return /not found/.test(message)
    ? "its virtual host does not exist. Create it (rabbitmqctl add_vhost), or correct virtualHost."
    : "the user may not use this virtual host. Grant it (rabbitmqctl set_permissions), or correct virtualHost.";
}

/** The cause keeps its code and loses what may name a user. */
function unreachable(broker: string, why: string, error: AmqpError): BrokerUnreachable {
  const cause = Object.assign(new Error(why), error?.code === undefined ? {} : { code: error.code });
  return new BrokerUnreachable(broker, { cause });
}

/** Why a declaration, a consume or another call on a channel was refused. `what`: `queue P.Q`. */
export function channelError(thrown: unknown, broker: string, what: string): Error {
  if (thrown instanceof SpillwayError) return thrown;
  const error = thrown as AmqpError;
  const message = String(error?.message ?? thrown);
  if (error?.code === 406 && /inequivalent/.test(message))
    return new TopologyConflict(what, difference(message), {
      cause: new Error(plain(message)),
    });
  if (error?.code === 403) return new BrokerRefused(broker, permissionWords(error, what));
  if (error?.code === 404 && /down or inaccessible/.test(message))
    return new BrokerRefused(
      broker,
      `${what} is out of reach: the node of the broker's cluster that has it is down`,
    );
  if (error?.code === 404) return new BrokerRefused(broker, `${what} is not there`);
  if (error?.code === 405)
    return new BrokerRefused(broker, `${what} is in another connection's exclusive use`);
  return new BrokerRefused(broker, `${what}: ${plain(message)}`);
}

/** "inequivalent arg 'x-queue-type' for queue 'a.b' in vhost '/': received 'quorum' but current is 'classic'". */
function difference(message: string): string {
  const found = /inequivalent arg '([^']+)'.*?received (.+?) but current is (.+?)["\s]*$/s.exec(message);
  if (found === null) return plain(message);
  const [, argument = "", ours = "", theirs = ""] = found;
  const advice =
    argument === "x-queue-type" || argument === "type"
      ? " (the option queueType says which type is declared)"
      : "";
  return `${argument} is ${unquoted(theirs)} there, and would be ${unquoted(ours)} here${advice}`;
}

function unquoted(value: string): string {
  const text = value.replace(/^the value '(.*)' of type '.*'$/s, "$1").replace(/^'(.*)'$/s, "$1");
  return text === "none" ? "not set" : text;
}

/** RabbitMQ from 4.0 on names the permission; before, the method that was refused tells it (class and method ids). */
const NEEDED: Readonly<Record<string, string>> = {
  "40.10": "configure",
  "40.20": "configure",
  "40.30": "write",
  "50.10": "configure",
  "50.20": "write",
  "50.40": "configure",
  "60.20": "read",
  "60.40": "write",
};

function permissionWords({ message, classId, methodId }: AmqpError, what: string): string {
  const needed = /(configure|write|read) access/i.exec(message)?.[1] ?? NEEDED[`${classId}.${methodId}`];
  return `${what}: the user lacks the ${needed ?? "needed"} permission. Grant it (rabbitmqctl set_permissions; docs/rabbitmq.md has the patterns).`;
}

/** A broker's text on one line, without the names of users. */
export function plain(message: string): string {
  return message
    .replace(/user '.*?'(?=[\s:;,."]|$)/g, "the user")
    .replace(/\/\/[^@\s/]*@/g, "//")
    .replaceAll(/\s+/g, " ")
    .trim();
}

export function hasCode(thrown: unknown, code: number): boolean {
  return (thrown as AmqpError | undefined)?.code === code;
}
