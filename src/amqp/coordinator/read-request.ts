/**
 * A request as it came over the wire: what is one, and what is none.
 *
 * Pure and total: any value at all gives a request with its own fields and nothing else, or nothing. Ids and keys keep
 * the rules of `jobs/names.ts`, counts are whole and not negative, lists have limits; so the rules behind it need not ask.
 */
import { checkId, checkKey, checkName } from "../../jobs/names.ts";
import type { Held, Request } from "./requests.ts";

/** A change names at most so many ids, so that it fits a record of the journal. Who has more asks more often. */
export const MOST_IDS = 1_000;
/** What a node holds or awaits. */
const MOST_HELD = 200_000;

type Fields = Readonly<Record<string, unknown>>;

export function readRequest(value: unknown): Request | undefined {
  if (!isFields(value)) return undefined;
  switch (value.t) {
    case "reserve":
    case "published":
    case "begin":
    case "end":
    case "withdraw":
      return ofJob(value.t, value);
    case "dropped":
    case "unmark": {
      const { t, ids } = value;
      return isList(ids, MOST_IDS) && ids.every(isId) ? { t, ids } : undefined;
    }
    case "mark":
    case "suspect":
    case "crashed":
      return isId(value.id) ? { t: value.t, id: value.id } : undefined;
    case "started": {
      const { t, id, alone } = value;
      return isId(id) && isFlag(alone) ? { t, id, alone } : undefined;
    }
    case "cleared": {
      const { t, id, kept } = value;
      return isId(id) && isFlag(kept) ? { t, id, kept } : undefined;
    }
    case "pause": {
      const { queue, paused } = value;
      return isName(queue) && isFlag(paused) ? { t: "pause", queue, paused } : undefined;
    }
    case "purge":
      return isName(value.queue) ? { t: "purge", queue: value.queue } : undefined;
    case "announce":
      return announce(value);
    case "is-queued":
    case "is-executing":
    case "release-queued":
    case "release-executing":
      return isKey(value.key) ? { t: value.t, key: value.key } : undefined;
    case "replica":
    case "holders":
      return { t: value.t };
    default:
      return undefined;
  }
}

function ofJob(t: "reserve" | "published" | "begin" | "end" | "withdraw", m: Fields): Request | undefined {
  if (!isId(m.id)) return undefined;
  switch (t) {
    case "reserve":
      return reserve(m.id, m);
    case "published":
      return published(m.id, m);
    case "begin":
      return begin(m.id, m);
    case "end":
      return end(m.id, m);
    case "withdraw": {
      const held = heldOf(m);
      return held === undefined ? undefined : { t, ...held };
    }
  }
}

function reserve(id: string, { key, hop }: Fields): Request | undefined {
  if (!isKey(key)) return undefined;
  if (hop === undefined) return { t: "reserve", key, id };
  return isCount(hop) ? { t: "reserve", key, id, hop } : undefined;
}

function published(id: string, { key, ok, hop }: Fields): Request | undefined {
  if (!isKey(key) || !isFlag(ok)) return undefined;
  if (hop === undefined) return { t: "published", key, id, ok };
  return isCount(hop) ? { t: "published", key, id, ok, hop } : undefined;
}

function begin(id: string, m: Fields): Request | undefined {
  const { hop, attempt, token } = m;
  const keys = keysOf(m);
  if (!isCount(hop) || !isCount(attempt) || !isCount(token) || keys === undefined) return undefined;
  return { t: "begin", id, hop, attempt, token, ...keys };
}

function end(id: string, m: Fields): Request | undefined {
  const { hop, attempt, token, ended, buried, round } = m;
  const keys = keysOf(m);
  if (!isCount(hop) || !isCount(attempt) || keys === undefined || !isFlag(ended) || !isFlag(buried))
    return undefined;
  const again = round === true ? ({ round } as const) : {};
  const request = { t: "end" as const, id, hop, attempt, ended, buried, ...again, ...keys };
  if (token === undefined) return request;
  return isCount(token) ? { ...request, token } : undefined;
}

function announce({ epoch, serial, holds, awaits }: Fields): Request | undefined {
  const [held, awaited] = [allHeld(holds), allHeld(awaits)];
  if (!isCount(epoch) || !isCount(serial) || held === undefined || awaited === undefined) return undefined;
  return { t: "announce", epoch, serial, holds: held, awaits: awaited };
}

function allHeld(value: unknown): readonly Held[] | undefined {
  if (!isList(value, MOST_HELD)) return undefined;
  const all = value.map(heldOf);
  return all.every((one) => one !== undefined) ? all : undefined;
}

function heldOf(value: unknown): Held | undefined {
  if (!isFields(value)) return undefined;
  const { executionKey, id, token } = value;
  return isKey(executionKey) && isId(id) && isCount(token) ? { executionKey, id, token } : undefined;
}

/** Those that are there; nothing when one of them is none. */
function keysOf({ queueKey, executionKey }: Fields) {
  if (!isMaybe(queueKey, isKey) || !isMaybe(executionKey, isKey)) return undefined;
  return {
    ...(queueKey === undefined ? {} : { queueKey }),
    ...(executionKey === undefined ? {} : { executionKey }),
  };
}

function isMaybe<T>(value: unknown, is: (value: unknown) => value is T): value is T | undefined {
  return value === undefined || is(value);
}

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null;
const isId = (value: unknown): value is string => checkId(value) === undefined;
const isKey = (value: unknown): value is string => checkKey(value) === undefined;
const isName = (value: unknown): value is string => checkName(value) === undefined;
const isFlag = (value: unknown): value is boolean => typeof value === "boolean";
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
const isList = (value: unknown, most: number): value is readonly unknown[] =>
  Array.isArray(value) && value.length <= most;
