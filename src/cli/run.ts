/**
 * From a command line to a command's exit code.
 *
 * Owns the parse and what is said of mistakes in it (exit code 2, with "did you mean"); errors of the command itself
 * are printed here too, so that all commands fail alike (exit code 1). Never throws.
 */
import { readFileSync } from "node:fs";
import { type ParseArgsConfig, parseArgs } from "node:util";
import { hint } from "../jobs/suggest.ts";
import { type Command, CommandCall } from "./command.ts";
import { commands } from "./commands.ts";
import { UsageError } from "./errors.ts";
import { commandHelp, overview } from "./help.ts";
import type { Terminal } from "./terminal.ts";

export async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    return await dispatch(argv, terminal);
  } catch (error) {
    terminal.error(error);
    return error instanceof UsageError ? 2 : 1;
  }
}

async function dispatch([name, ...rest]: readonly string[], terminal: Terminal): Promise<number> {
  if (name === "--version" || name === "-v") return said(terminal, version());
  if (name === "--help" || name === "-h" || name === "help") return said(terminal, helpFor(rest[0]));
  if (name === undefined) {
    terminal.note(overview(commands));
    return 2;
  }
  const command = named(name);
  const own = ownArgs(rest);
  if (own.includes("--help") || own.includes("-h")) return said(terminal, commandHelp(command));
  return command.run(parsed(command, rest, terminal));
}

/** What follows `--` is another command's business. */
export function ownArgs(args: readonly string[]): readonly string[] {
  const end = args.indexOf("--");
  return end === -1 ? args : args.slice(0, end);
}

/** Help is for people, with `--json` too. */
function said(terminal: Terminal, text: string): number {
  if (terminal.json) terminal.record({ text });
  else terminal.line(text);
  return 0;
}

function helpFor(name: string | undefined): string {
  return name === undefined || name.startsWith("-") ? overview(commands) : commandHelp(named(name));
}

function named(name: string): Command {
  const command = commands.find((one) => one.name === name);
  if (command !== undefined) return command;
  const what = name.startsWith("-") ? "option" : "command";
  throw new UsageError(
    `there is no ${what} "${name}"${hint(
      name,
      commands.map((one) => one.name),
    )}.`,
  );
}

function parsed(command: Command, args: readonly string[], terminal: Terminal): CommandCall {
  const options = { ...command.options } satisfies ParseArgsConfig["options"];
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    if (positionals.length > command.positionals)
      throw new UsageError(`"${positionals[command.positionals]}" is one argument too many.`, command.name);
    return new CommandCall(command.name, values, positionals, terminal);
  } catch (error) {
    throw asUsage(command, error);
  }
}

/** `parseArgs` names the option in quotes; the rest of its words speak of things that we do not have. */
function asUsage(command: Command, error: unknown): unknown {
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (typeof code !== "string" || !code.startsWith("ERR_PARSE_ARGS")) return error;
  const option = /'(--?[^\s'=<]+)/.exec(String(message))?.[1] ?? "";
  if (code !== "ERR_PARSE_ARGS_UNKNOWN_OPTION") return new UsageError(`${String(message)}.`, command.name);
  const near = hint(
    option,
    Object.keys(command.options).map((name) => `--${name}`),
  );
  return new UsageError(`spillway ${command.name} has no option "${option}"${near}.`, command.name);
}

function version(): string {
  const manifest = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
  ) as unknown;
  return String((manifest as { version?: unknown }).version);
}
