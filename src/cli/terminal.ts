/**
 * Where a command writes: lines of text, JSON lines, tables, errors.
 *
 * Owns the decision what a terminal gets (colour, aligned tables) and what a pipe gets (plain lines, tabs). A reader
 * that has gone away (`| head`) ends the output, never the command: a node goes on without its lines. An error that
 * repeats an address is shown without who logs in there.
 */
import { SpillwayError } from "../kernel/errors.ts";
import { jsonText } from "./json.ts";
import { aligned, tabbed } from "./table.ts";

/** As much of a stream as is used. */
export interface OutputStream {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
}

const CODES = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 } as const;
export type Style = keyof typeof CODES;

export class Terminal {
  readonly json: boolean;
  readonly #out: OutputStream;
  readonly #err: OutputStream;
  readonly #colour: boolean;

  constructor(
    out: OutputStream,
    err: OutputStream,
    options: { readonly json: boolean; readonly colour?: boolean },
  ) {
    this.#out = out;
    this.#err = err;
    this.json = options.json;
    this.#colour = out.isTTY === true && (options.colour ?? true);
  }

  /** A line for people; nothing with `--json`. */
  line(text: string): void {
    if (!this.json) this.#out.write(`${text}\n`);
  }

  /** A line beside the output, on stderr: warnings, and what the runtime logs. */
  note(text: string): void {
    this.#err.write(`${text}\n`);
  }

  /** One JSON line, with `--json` only. */
  record(value: unknown): void {
    if (this.json) this.#out.write(`${jsonText(value)}\n`);
  }

  style(style: Style, text: string): string {
    return this.#colour ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text;
  }

  /** Aligned on a terminal; tabs elsewhere, for `cut` and `awk`. */
  table(head: readonly string[], rows: readonly (readonly string[])[]): void {
    if (this.#out.isTTY === true) {
      const [first = "", ...rest] = aligned([head, ...rows]);
      for (const line of [this.style("bold", first), ...rest]) this.line(line);
    } else this.line(tabbed([head, ...rows]));
  }

  /** `code: message` without a stack for an error of ours; a stack for a mistake in a program. */
  error(error: unknown): void {
    if (this.json) this.record({ error: { code: codeOf(error), message: messageOf(error) } });
    else for (const line of errorLines(error)) this.note(withoutLogin(line));
  }
}

function errorLines(error: unknown): string[] {
  if (!(error instanceof SpillwayError)) return [stackOf(error)];
  const because = error.cause instanceof Error ? [`  because: ${error.cause.message}`] : [];
  return [`${error.code}: ${error.message}`, ...because];
}

function codeOf(error: unknown): string {
  if (error instanceof SpillwayError) return error.code;
  return error instanceof Error ? error.name : "Error";
}

function messageOf(error: unknown): string {
  return withoutLogin(error instanceof Error ? error.message : String(error));
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? String(error)) : `thrown: ${String(error)}`;
}

/** `amqp://user:password@host` typed where it does not belong is repeated by whoever complains about it. */
const withoutLogin = (text: string) => text.replace(/\b(amqps?:\/\/)(?!user:password@)\S*@/gi, "$1…@");
