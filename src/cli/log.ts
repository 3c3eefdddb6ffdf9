/**
 * The runtime's log lines, on stderr: with `--json` standard output is for events alone.
 *
 * Owns whether they are shown. What is logged while a runtime starts is also what its start rejects with, and that
 * is printed once, by whoever catches it.
 */
import type { Logger } from "../actors/services.ts";
import type { Terminal } from "./terminal.ts";

/** A logger that says nothing before `begin`. */
export interface CommandLog extends Logger {
  begin(): void;
}

export function commandLog(terminal: Terminal): CommandLog {
  let shown = false;
  const line = (level: string) => (text: string, fields?: unknown) => {
    if (!shown) return;
    terminal.note(`${level}: ${text}${fields instanceof Error ? `: ${fields.message}` : ""}`);
  };
  const begin = (): void => {
    shown = true;
  };
  return { begin, debug: () => {}, info: line("info"), warn: line("warn"), error: line("error") };
}
