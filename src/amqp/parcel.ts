/**
 * A message of another system while we have it: as it came, and what we have to remember of it beside that.
 *
 * Owns the header in which it travels when it goes round or lies buried: its exchange and routing key, its own properties
 * and headers, how often it was published again. Whether a message is foreign is told by the exchange that it came by, never
 * by its bytes: those may look like anything.
 */
import { createHash } from "node:crypto";
import type { ConsumeMessage } from "amqplib";
import type { ForeignMessage, ForeignProperties } from "../broker/foreign.ts";
import { checkId } from "../jobs/names.ts";
import type { Names } from "./names.ts";

const FOREIGN = "spillway-foreign";
/** amqplib writes at most 64 KiB of headers, and a buried job's record has half of that. */
const HEADERS_BYTES_MAX = 24 * 1024;
const DEPTH_MAX = 20;

export interface Parcel {
  readonly message: ForeignMessage;
  /** Grows each time it is published again. */
  readonly hop: number;
  /** When a node first sent it on, for want of a binding; 0: none has. */
  readonly since: number;
}

/** `undefined`: one of ours. */
export function parcelOf(message: ConsumeMessage, names: Names): Parcel | undefined {
  const { exchange, routingKey } = message.fields;
  const headers = tableOf(message.properties.headers);
  const { content } = message;
  if (!names.isOurs(exchange)) {
    const properties = propertiesOf(message.properties as unknown as Table);
    return { message: { exchange, routingKey, content, headers, properties }, hop: 0, since: 0 };
  }
  return packedIn(message);
}

/** One that was published again, or lies buried. */
export function packedIn({ properties, content }: ConsumeMessage): Parcel | undefined {
  const packed = tableOf(properties.headers)[FOREIGN];
  return packed === undefined ? undefined : unpacked(tableOf(packed), content);
}

/** The header under which it is published again. Its own headers are left out when they are too large to be kept. */
export function headerOf({ message, hop, since }: Parcel): Record<string, unknown> {
  const { exchange, routingKey, properties, headers } = message;
  const fits = bytesOf(headers, 0) <= HEADERS_BYTES_MAX;
  return { [FOREIGN]: { exchange, routingKey, hop, since, properties, headers: fits ? headers : {} } };
}

type Table = Readonly<Record<string, unknown>>;

/** Total: by one of our exchanges anything may come too. */
function unpacked(packed: Table, content: Buffer): Parcel {
  const { exchange, routingKey, hop, since } = packed;
  const message = {
    exchange: text(exchange) ?? "",
    routingKey: text(routingKey) ?? "",
    content,
    headers: tableOf(packed.headers),
    properties: propertiesOf(tableOf(packed.properties)),
  };
  return { message, hop: whole(hop), since: whole(since) };
}

function propertiesOf(table: Table): ForeignProperties {
  const known = [
    ...TEXTS.map((name) => [name, text(table[name])]),
    ...NUMBERS.map((n) => [n, number(table[n])]),
  ];
  return Object.fromEntries(known.filter(([, value]) => value !== undefined)) as ForeignProperties;
}

const TEXTS = [
  "messageId",
  "correlationId",
  "contentType",
  "contentEncoding",
  "type",
  "appId",
  "userId",
  "replyTo",
  "expiration",
] as const;
const NUMBERS = ["timestamp", "priority", "deliveryMode"] as const;

const text = (value: unknown) => (typeof value === "string" ? value : undefined);
const number = (value: unknown) => (typeof value === "number" ? value : undefined);
const whole = (value: unknown) => (Number.isSafeInteger(value) && Number(value) > 0 ? Number(value) : 0);

function tableOf(value: unknown): Table {
  return typeof value === "object" && value !== null ? (value as Table) : {};
}

/** About what AMQP makes of it; more than there is room for where it is nested without an end. */
function bytesOf(value: unknown, depth: number): number {
  if (depth > DEPTH_MAX) return Number.POSITIVE_INFINITY;
  if (typeof value === "string") return 5 + Buffer.byteLength(value);
  if (typeof value !== "object" || value === null) return 9;
  if (ArrayBuffer.isView(value)) return 5 + value.byteLength;
  const entries = Object.entries(value);
  return entries.reduce((sum, [key, one]) => sum + 1 + Buffer.byteLength(key) + bytesOf(one, depth + 1), 5);
}

/**
 * By which a message is known again when it comes again, also on another node; `undefined` where its publisher gave it
 * none. One message may go to several queues, and two systems may count alike: both are in it.
 */
export function idIn(
  { exchange, properties: { messageId } }: ForeignMessage,
  queue: string,
): string | undefined {
  if (messageId === undefined || messageId === "") return undefined;
  const id = `${queue}:${exchange}:${messageId}`;
  if (checkId(id) === undefined) return id;
  return `${queue}:${createHash("sha256").update(`${exchange}\n${messageId}`).digest("base64url")}`;
}

/**
 * What tells one message from another under the same id, where an envelope has its time: 52 bits of a hash. Whoever gets
 * the same message comes to the same.
 */
export function discriminatorOf({ exchange, properties, content }: ForeignMessage, queue: string): number {
  const { messageId, timestamp } = properties;
  const hash = createHash("sha256")
    .update(JSON.stringify([queue, exchange, messageId, timestamp]))
    .update(content);
  return Number.parseInt(hash.digest("hex").slice(0, 13), 16);
}

/** Milliseconds since the epoch; 0: its publisher has not said. */
export function publishedAt({ properties: { timestamp } }: ForeignMessage): number {
  const ms = (timestamp ?? 0) * 1_000;
  return Number.isSafeInteger(ms) && ms > 0 && ms <= LAST_MS ? ms : 0;
}

/** The last millisecond that a Date can hold. */
const LAST_MS = 8.64e15;
