/**
 * What a command of `spillway` is: one entry of the table, its options, what it is given when it runs.
 *
 * Owns the reading of values, so that a command asks for text, lists and flags and is never wrong about their type.
 */
import type { Terminal } from "./terminal.ts";

/** One option, as `util.parseArgs` takes it, and as help shows it. */
export interface CommandOption {
  readonly type: "string" | "boolean";
  readonly multiple?: boolean;
  /** What stands for its value in help: `DIR`; none for a flag. */
  readonly value?: string;
  readonly help: string;
}

/** One command of the table in `commands.ts`. */
export interface Command {
  readonly name: string;
  /** One line, for the table. */
  readonly summary: string;
  /** What follows the name; options are shown below it. */
  readonly usage: string;
  /** A paragraph or two for its own help. */
  readonly about: string;
  readonly options: Readonly<Record<string, CommandOption>>;
  /** The most arguments that are no options. */
  readonly positionals: number;
  /** Resolves with the exit code; what it rejects with is printed, and is 1 (2 for `UsageError`). */
  run(call: CommandCall): Promise<number>;
}

type Value = string | boolean | (string | boolean)[] | undefined;

/** One call of a command: its arguments and where its output goes. */
export class CommandCall {
  readonly command: string;
  readonly positionals: readonly string[];
  readonly terminal: Terminal;
  readonly #values: Readonly<Record<string, Value>>;

  constructor(
    command: string,
    values: Readonly<Record<string, Value>>,
    positionals: readonly string[],
    terminal: Terminal,
  ) {
    this.command = command;
    this.#values = values;
    this.positionals = positionals;
    this.terminal = terminal;
  }

  /** The options that were given, by name. */
  get given(): readonly string[] {
    return Object.keys(this.#values).filter((name) => this.#values[name] !== undefined);
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === "string" ? value : undefined;
  }

  list(name: string): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : [];
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }
}

/** Options that most commands share. */
export const DATA = {
  type: "string",
  value: "DIR",
  help: "the folder of the embedded broker (./spillway)",
} as const;
export const BROKER = {
  type: "string",
  value: "URL",
  help: "a RabbitMQ instead of a folder: amqp://USER:PASSWORD@HOST:PORT/VIRTUAL-HOST",
} as const;
export const PREFIX = {
  type: "string",
  value: "NAME",
  help: "with --broker: begins the names of its queues there, as the option prefix does",
} as const;
export const JSON_OPTION = {
  type: "boolean",
  help: "JSON instead of text, errors too: { error: { code, message } }",
} as const;
export const DEFAULT_DATA = "./spillway";
