#!/usr/bin/env node
/**
 * The `spillway` command.
 *
 * Owns the process: ends it with the command's exit code, even when a job module holds it open. Output is flushed
 * first. A reader that went away (EPIPE) is no error.
 */
import { ownArgs, run } from "./run.ts";
import { Terminal } from "./terminal.ts";

for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

const argv = process.argv.slice(2);
const colour = (process.env.NO_COLOR ?? "") === "";
const terminal = new Terminal(process.stdout, process.stderr, {
  json: ownArgs(argv).includes("--json"),
  colour,
});
const code = await run(argv, terminal);
process.stdout.write("", () => process.exit(code));
