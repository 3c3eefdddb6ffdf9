/**
 * What a master or a slave says: a frame's payload, read into a request or into the answer that it gets instead.
 *
 * Owns the words of Gloom's protocol with their errors, each as the original's server has them (`docs/gateways.md` has
 * the table), and the words that Spillway's own clients have beside them. Pure, and total: any bytes give a request.
 */
import { readPayload } from "./json-members.ts";

export type Role = "master" | "slave";

/** A value as it was written, and what it is compared by. */
export interface Named {
  readonly key: string;
  readonly text: string;
}

export type Request =
  | {
      readonly t: "submit";
      readonly id: Named;
      readonly type: Named;
      readonly priority: number;
      /** JSON, as it was written. */
      readonly body: string;
    }
  /** `extended`: it knows Spillway's words too; `process`: the word of a process that `Workers` has started. */
  | {
      readonly t: "join";
      readonly type: Named;
      readonly extended: boolean;
      readonly process: string | undefined;
    }
  /** `body` is missing where it was not sent: whether that matters depends on what the slave does. */
  | { readonly t: "respond"; readonly body: string | undefined }
  | { readonly t: "fail"; readonly error: string }
  /** Milliseconds from now; undefined where that is no whole number. */
  | { readonly t: "snooze"; readonly delayMs: number | undefined }
  | { readonly t: "progress"; readonly value: string }
  | { readonly t: "log"; readonly level: string; readonly text: string }
  | { readonly t: "pong" }
  /** Told, and the connection stays. */
  | { readonly t: "refused"; readonly answer: string }
  /** Told if there is something to tell, and the connection is closed. */
  | { readonly t: "broken"; readonly answer: string | undefined };

/** What is told of a text that is no JSON: the original sent all of it back, here it ends somewhere. */
const MOST_TOLD = 65_536;

export const OK = '{"ok":true}';
export const OK_EXTENDED = '{"ok":true,"spillway":1}';

/** `{"error","reason"}`; the reason is JSON text. */
export function errorText(error: string, reason: string): string {
  return `{"error":"${error}","reason":${reason}}`;
}

const refused = (error: string, reason: string): Request => ({
  t: "refused",
  answer: errorText(error, reason),
});
const missing = (field: string): Request => refused("missing_field", `"${field}"`);

export const SIZE_ERROR: Request = {
  t: "broken",
  answer: errorText("size_error", '"length too large"'),
};

export function readRequest(role: Role, bytes: Buffer): Request {
  const payload = readPayload(bytes);
  if (payload.kind === "other") return { t: "broken", answer: undefined };
  if (payload.kind === "invalid") {
    const told = JSON.stringify(payload.text.slice(0, MOST_TOLD));
    return { t: "broken", answer: errorText("invalid_json", told) };
  }
  const { members } = payload;
  const action = members.get("action");
  // The original's own word for it.
  if (action === undefined) return missing("type");
  const word = textOf(action);
  return role === "master" ? ofMaster(word, action, members) : ofSlave(word, action, members);
}

type Members = ReadonlyMap<string, string>;

function ofMaster(word: string | undefined, action: string, members: Members): Request {
  if (word === "submit") return submit(members);
  if (word === "join" || word === "respond") return refused("invalid_action", '"not_a_slave"');
  return refused("unknown_action", action);
}

/** What is missing is told in the original's order: id, type, priority, body. */
function submit(members: Members): Request {
  const id = members.get("id");
  if (id === undefined) return missing("id");
  const type = members.get("type");
  if (type === undefined) return missing("type");
  const priority = members.get("priority") ?? "0";
  if (!/^-?\d+$/.test(priority)) return refused("invalid_type", '"priority"');
  const body = members.get("body");
  if (body === undefined) return missing("body");
  return { t: "submit", id: named(id), type: named(type), priority: Number(priority), body };
}

function ofSlave(word: string | undefined, action: string, members: Members): Request {
  switch (word) {
    case "join": {
      const type = members.get("type");
      if (type === undefined) return missing("job_type");
      const extended = members.get("spillway") === "1";
      return { t: "join", type: named(type), extended, process: textOf(members.get("process")) };
    }
    case "respond":
      return { t: "respond", body: members.get("body") };
    case "submit":
      return refused("invalid_action", '"not_a_master"');
    case "fail":
      return { t: "fail", error: members.get("error") ?? "null" };
    case "snooze":
      return { t: "snooze", delayMs: wholeOf(members.get("delay")) };
    case "progress":
      return { t: "progress", value: members.get("value") ?? "null" };
    case "log":
      return {
        t: "log",
        level: textOf(members.get("level")) ?? "info",
        text: textOf(members.get("text")) ?? "",
      };
    case "pong":
      return { t: "pong" };
    default:
      return refused("unknown_type", action);
  }
}

function wholeOf(member: string | undefined): number | undefined {
  return member !== undefined && /^\d{1,15}$/.test(member) ? Number(member) : undefined;
}

function textOf(member: string | undefined): string | undefined {
  return member?.startsWith('"') === true ? (JSON.parse(member) as string) : undefined;
}

/** Texts are compared as they read, whatever their escapes; all else as it is written, so that 1 is not 1.0. */
export function named(text: string): Named {
  return { text, key: text.startsWith('"') ? JSON.stringify(JSON.parse(text)) : text };
}
