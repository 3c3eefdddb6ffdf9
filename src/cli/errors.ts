/**
 * Errors of the command line itself, before a runtime is asked anything.
 *
 * Owns the classes only; `docs/errors.md` has a row for each.
 */
import { SpillwayError } from "../kernel/errors.ts";

/** The command line does not say what to do: ends with exit code 2. */
export class UsageError extends SpillwayError {
  readonly code = "UsageError";
  constructor(
    readonly problem: string,
    /** The command whose help says more; `undefined`: the table of commands does. */
    readonly command?: string,
  ) {
    super(`${problem} See spillway ${command === undefined ? "" : `${command} `}--help.`);
  }
}

/** A command that only looks does not make a folder. */
export class StoreMissing extends SpillwayError {
  readonly code = "StoreMissing";
  constructor(readonly path: string) {
    super(
      `there is no store in ${path}; give its folder with --data, or make one with spillway start --data ${path}.`,
    );
  }
}
