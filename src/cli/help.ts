/**
 * Help texts, made from the table of commands.
 *
 * Owns nothing: what a command says of itself is shown, so help and parsing cannot differ.
 */
import type { Command, CommandOption } from "./command.ts";
import { aligned } from "./table.ts";

export function overview(commands: readonly Command[]): string {
  const rows = commands.map(({ name, summary }) => [`  ${name}`, summary]);
  return [
    "Usage: spillway COMMAND [options]",
    "",
    "Commands:",
    ...aligned(rows),
    "",
    "spillway COMMAND --help says what a command takes; spillway --version says which version this is.",
  ].join("\n");
}

export function commandHelp(command: Command): string {
  const { name, usage, about, options } = command;
  const rows = Object.entries(options).map(([option, config]) => [
    `  ${spelled(option, config)}`,
    config.help,
  ]);
  return [`Usage: spillway ${name} ${usage}`, "", about, "", "Options:", ...aligned(rows)].join("\n");
}

function spelled(name: string, { value }: CommandOption): string {
  return value === undefined ? `--${name}` : `--${name} ${value}`;
}
