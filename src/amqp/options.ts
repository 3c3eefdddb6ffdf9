/**
 * The options of `rabbitmq({ … })`: one schema with defaults, a URL read into its parts, relations checked.
 *
 * Owns what each may be; `docs/options.md` says it for people. Credentials are kept apart from all else, so that
 * nothing that describes a broker can print them.
 */
import type { ConnectionOptions } from "node:tls";
import * as Schema from "effect/Schema";
import { InvalidOptions } from "../broker/errors.ts";
import { durationMs, field, structureOf, unknownKeys, whole, withDefault } from "../broker/options.ts";
import type { Duration } from "../jobs/duration.ts";
import { checkName } from "../jobs/names.ts";
import { BEAT_MS } from "./peers.ts";

export type QueueType = "quorum" | "classic";

export interface RabbitOptions {
  /** `amqp://` or `amqps://`, with everything in it; or the fields below. */
  readonly url?: string;
  /** Default `guest`. */
  readonly username?: string;
  /** Default `guest`. */
  readonly password?: string;
  /** Default `/`. */
  readonly virtualHost?: string;
  /** Default `localhost`. */
  readonly host?: string;
  /** Default 5672, with TLS 5671. */
  readonly port?: number;
  /** Most channels a connection; 0 = what the broker allows. */
  readonly channelMax?: number;
  /** Most bytes a frame; 0 = what the broker allows. */
  readonly frameMax?: number;
  /** Seconds, 1 to 60; default 2. Never off: adoption and fail-over rest on it. */
  readonly heartbeat?: number;
  /** Default 10 s. */
  readonly connectionTimeout?: Duration;
  /** `true`, or what `tls.connect` takes. */
  readonly tls?: boolean | ConnectionOptions;
  /** Shown in RabbitMQ's console beside the connection. */
  readonly clientProperties?: Readonly<Record<string, unknown>>;
  /** Instead of `spillway`, and before the name of each queue: keeps clusters on one broker apart. */
  readonly prefix?: string;
  /** Of work queues; default quorum. */
  readonly queueType?: QueueType;
  /** How long a queue that this node has just declared is not relied on; default 2 s. */
  readonly newQueueGrace?: Duration;
  /** How long an enqueue waits for a broker that is away or takes no messages; default 10 s. */
  readonly blockedTimeout?: Duration;
}

/** The same, checked and in milliseconds. */
export interface RabbitSettings {
  readonly host: string;
  readonly port: number;
  readonly virtualHost: string;
  readonly credentials: { readonly username: string; readonly password: string };
  readonly channelMax: number;
  readonly frameMax: number;
  readonly heartbeatS: number;
  readonly connectionTimeoutMs: number;
  readonly tls: ConnectionOptions | undefined;
  readonly clientProperties: Readonly<Record<string, unknown>>;
  /** `undefined`: exchanges begin with `spillway`, queues with their partition. */
  readonly prefix: string | undefined;
  readonly queueType: QueueType;
  readonly newQueueGraceMs: number;
  readonly blockedTimeoutMs: number;
}

/** Between two tries to connect, at the most (link.ts). */
export const LONGEST_BACKOFF_MS = 2_000;

const RabbitSchema = Schema.Struct({
  url: Schema.optionalKey(Schema.String),
  username: Schema.optionalKey(Schema.String),
  password: Schema.optionalKey(Schema.String),
  virtualHost: Schema.optionalKey(Schema.String),
  host: Schema.optionalKey(Schema.String.check(Schema.isMinLength(1))),
  port: Schema.optionalKey(whole(1, 65_535)),
  channelMax: Schema.optionalKey(whole(0, 65_535)),
  frameMax: Schema.optionalKey(whole(0, 2 ** 31 - 1)),
  heartbeat: Schema.optionalKey(Schema.Number),
  connectionTimeout: withDefault(Schema.Union([Schema.Number, Schema.String]), 10_000),
  tls: Schema.optionalKey(Schema.Unknown),
  clientProperties: withDefault(Schema.Record(Schema.String, Schema.Unknown), {}),
  prefix: Schema.optionalKey(Schema.String),
  queueType: withDefault(Schema.Literals(["quorum", "classic"]), "quorum"),
  newQueueGrace: withDefault(Schema.Union([Schema.Number, Schema.String]), 2_000),
  blockedTimeout: withDefault(Schema.Union([Schema.Number, Schema.String]), 10_000),
});

type Raw = typeof RabbitSchema.Type;

/** Every option's name, for "did you mean" and for the documentation's test. */
export const rabbitOptionNames: readonly string[] = Object.keys(RabbitSchema.fields);

const structure = structureOf(RabbitSchema);
/** What a URL says, and so must not be said beside it. */
const IN_URL = ["username", "password", "virtualHost", "host", "port"] as const;
const IN_QUERY = ["heartbeat", "channelMax", "frameMax"] as const;

/** @throws InvalidOptions with every problem; nothing has been opened by then. */
export function checkRabbit(given: RabbitOptions | string = {}): RabbitSettings {
  const options = typeof given === "string" ? { url: given } : given;
  const problems = unknownKeys(options, rabbitOptionNames, "rabbitmq.").map(hideSecrets);
  const raw = structure(options, problems);
  if (raw === undefined) throw new InvalidOptions(problems.map((p) => `rabbitmq: ${p}`));
  const place = raw.url === undefined ? fieldsOf(raw) : fromUrl(raw.url, raw, options, problems);
  const settings = settingsOf(raw, place, problems);
  if (problems.length > 0) throw new InvalidOptions(problems.map((p) => `rabbitmq: ${p}`));
  return settings;
}

/** A password put in the place of a name is not repeated in the message about it. */
const hideSecrets = (problem: string) => problem.replace(/:.*@/s, ":…@");

interface Place {
  readonly host: string;
  readonly port: number;
  readonly virtualHost: string;
  readonly username: string;
  readonly password: string;
  readonly secure: boolean;
  readonly query: Readonly<Record<string, number>>;
}

const wantsTls = (raw: Raw) => raw.tls !== undefined && raw.tls !== false;

function fieldsOf(raw: Raw): Place {
  const secure = wantsTls(raw);
  return {
    host: raw.host ?? "localhost",
    port: raw.port ?? (secure ? 5671 : 5672),
    virtualHost: raw.virtualHost ?? "/",
    username: raw.username ?? "guest",
    password: raw.password ?? "guest",
    secure,
    query: {},
  };
}

/** The rules of RabbitMQ's URI specification: no path is the virtual host `/`, all parts percent-decoded. */
function fromUrl(text: string, raw: Raw, options: RabbitOptions, problems: string[]): Place {
  const beside = IN_URL.filter((name) => field(options, name) !== undefined);
  if (beside.length > 0)
    problems.push(`url already says what ${beside.join(", ")} would; give the url or the fields`);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const problem = url === undefined ? NO_URL : problemOf(url);
  if (url === undefined || problem !== undefined) {
    problems.push(problem ?? NO_URL);
    return fieldsOf({} as Raw);
  }
  const secure = url.protocol === "amqps:" || wantsTls(raw);
  const path = url.pathname.replace(/^\//, "");
  return {
    host: decoded(url.hostname, problems).replace(/^\[|\]$/g, "") || "localhost",
    port: url.port === "" ? (secure ? 5671 : 5672) : Number(url.port),
    virtualHost: url.pathname === "" || url.pathname === "/" ? "/" : decoded(path, problems),
    username: url.username === "" ? "guest" : decoded(url.username, problems),
    password: url.username === "" && url.password === "" ? "guest" : decoded(url.password, problems),
    secure,
    query: queryOf(url, problems),
  };
}

const NO_URL = 'url: expected amqp://user:password@host:port/virtual-host, or "amqps:" for TLS';

/** What is wrong with its form, in words that repeat none of it: a part of the password may stand anywhere. */
function problemOf(url: URL): string | undefined {
  const { protocol, href, pathname, search, hash, port } = url;
  if (!/^amqps?:$/.test(protocol) || !href.startsWith(`${protocol}//`)) return NO_URL;
  if (/@/.test(pathname + search) || hash !== "")
    return 'url: a "/", "?", "#" or "@" within a name or a password is written as %2F, %3F, %23 or %40';
  return port === "0" ? "url: expected a port from 1 to 65535" : undefined;
}

function decoded(part: string, problems: string[]): string {
  try {
    return decodeURIComponent(part);
  } catch {
    problems.push('url: a "%" that is not followed by two hex digits; write it as %25');
    return "";
  }
}

function queryOf(url: URL, problems: string[]): Record<string, number> {
  const query: Record<string, number> = {};
  for (const [name, value] of url.searchParams) {
    problems.push(...unknownKeys({ [name]: value }, IN_QUERY, "url?"));
    if (/^\d{1,9}$/.test(value)) query[name] = Number(value);
    else problems.push(`url?${name}: expected a whole number`);
  }
  return query;
}

function settingsOf(raw: Raw, place: Place, problems: string[]): RabbitSettings {
  const heartbeatS = raw.heartbeat ?? place.query.heartbeat ?? 2;
  if (!Number.isInteger(heartbeatS) || heartbeatS < 1 || heartbeatS > 60)
    problems.push(
      `heartbeat: expected whole seconds from 1 to 60, got ${heartbeatS}; it is never off, since a connection that is dead and not noticed would double jobs`,
    );
  const prefixProblem = raw.prefix === undefined ? undefined : checkName(raw.prefix);
  if (prefixProblem !== undefined) problems.push(`prefix: ${prefixProblem}`);
  if (
    raw.tls !== undefined &&
    typeof raw.tls !== "boolean" &&
    (typeof raw.tls !== "object" || raw.tls === null)
  )
    problems.push("tls: expected true, or an object of what tls.connect takes");
  if (place.secure && raw.tls === false) problems.push("tls: is false, and the url is amqps://");
  if (/[/@\s]/.test(place.host))
    problems.push("host: expected a name or an address; a whole URL is given as url");
  const { host, port, virtualHost, username, password } = place;
  return {
    host,
    port,
    virtualHost,
    credentials: { username, password },
    channelMax: channelMax(raw.channelMax ?? place.query.channelMax ?? 0, problems),
    frameMax: frameMax(raw.frameMax ?? place.query.frameMax ?? 0, problems),
    heartbeatS,
    connectionTimeoutMs: connectionTimeout(raw, problems),
    tls: tlsOf(raw.tls, place),
    clientProperties: raw.clientProperties,
    prefix: raw.prefix,
    queueType: raw.queueType,
    newQueueGraceMs: durationMs("newQueueGrace", raw.newQueueGrace, problems),
    blockedTimeoutMs: durationMs("blockedTimeout", raw.blockedTimeout, problems),
  };
}

function connectionTimeout(raw: Raw, problems: string[]): number {
  const before = problems.length;
  const ms = durationMs("connectionTimeout", raw.connectionTimeout, problems);
  if (ms === 0 && problems.length === before) problems.push("connectionTimeout: expected more than 0");
  return ms;
}

function channelMax(value: number, problems: string[]): number {
  if (value > 65_535) problems.push(`channelMax: expected at most 65535, got ${value}`);
  return value;
}

/** AMQP 0-9-1's smallest frame is 4,096 bytes. */
function frameMax(value: number, problems: string[]): number {
  if (value !== 0 && value < 4_096) problems.push(`frameMax: expected 0 or at least 4096, got ${value}`);
  return value;
}

function tlsOf(given: unknown, { secure }: Place): ConnectionOptions | undefined {
  if (typeof given === "object" && given !== null) return given as ConnectionOptions;
  return given === true || secure ? {} : undefined;
}

/** Where it is, for people and logs: never who logs in. */
export function placeOf({ host, port, virtualHost, tls }: RabbitSettings): string {
  const at = host.includes(":") ? `[${host}]` : host;
  return `${tls === undefined ? "amqp" : "amqps"}://${at}:${port}/${encodeURIComponent(virtualHost)}`;
}

/**
 * Other nodes take one that is silent for `nodeTimeout` for gone and start its jobs: by then a node that is alive
 * must have noticed a dead connection (two heartbeats, at most three) and have made a new one.
 */
export function checkNodeTimeout(nodeTimeoutMs: number, { heartbeatS }: RabbitSettings): void {
  // the last beat that others heard may be as old as one beat when the connection dies
  const least = 3 * heartbeatS * 1_000 + LONGEST_BACKOFF_MS + BEAT_MS;
  if (nodeTimeoutMs < least)
    throw new InvalidOptions([
      `nodeTimeout is ${nodeTimeoutMs} ms; with a heartbeat of ${heartbeatS} s it must be at least ${least} ms, or a node that reconnects would find its jobs started elsewhere`,
    ]);
}
