/**
 * `spillway gateway KIND`: a gateway by itself, in the foreground.
 *
 * Owns which kinds there are, and which options are whose: one of another kind is refused, not passed over.
 */
import { hint } from "../jobs/suggest.ts";
import type { CommandCall } from "./command.ts";
import { UsageError } from "./errors.ts";
import { GLOOM_OPTIONS, gloom } from "./gloom.ts";
import { POWERHOSE_OPTIONS, powerhose } from "./powerhose.ts";

interface Kind {
  readonly options: readonly string[];
  run(call: CommandCall): Promise<number>;
}

const KINDS: ReadonlyMap<string, Kind> = new Map([
  ["gloom", { options: GLOOM_OPTIONS, run: gloom }],
  ["powerhose", { options: POWERHOSE_OPTIONS, run: powerhose }],
]);

export async function gateway(call: CommandCall): Promise<number> {
  const [name = ""] = call.positionals;
  const kind = KINDS.get(name);
  const known = [...KINDS.keys()];
  if (kind === undefined)
    throw new UsageError(
      `there is no gateway "${name}"${hint(name, known)}; there are ${known.join(" and ")}.`,
      call.command,
    );
  const foreign = call.given.find((option) => option !== "json" && !kind.options.includes(option));
  if (foreign !== undefined) throw new UsageError(`--${foreign} is no option of ${name}.`, call.command);
  return kind.run(call);
}
