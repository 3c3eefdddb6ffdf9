/**
 * The options of the Gloom gateway, checked and with defaults.
 *
 * Owns the list of them; `docs/gateways.md` says it for people, and a test compares the two.
 */
import type { TlsOptions } from "node:tls";
import * as Schema from "effect/Schema";
import { InvalidOptions } from "../../broker/errors.ts";
import { structureOf, unknownKeys, whole, withDefault } from "../../broker/options.ts";
import { type Bytes, parseBytes } from "../../jobs/bytes.ts";
import { type CheckedUpkeep, type UpkeepOptions, upkeep } from "../../runtime/worker-options.ts";

export interface GloomOptions {
  /** Default `127.0.0.1`. */
  readonly host?: string;
  /** Default 9998; 0 = any that is free. */
  readonly masterPort?: number;
  /** Default 9999; 0 = any that is free. */
  readonly slavePort?: number;
  /** What `tls.createServer` takes: `{ cert, key, ca, requestCert, … }`; default none. */
  readonly tls?: TlsOptions;
  /** What every peer must say first; default none. */
  readonly secret?: string;
  /** Most bytes of one frame; default the original's 256 MiB. */
  readonly maxFrame?: Bytes;
  /** Most jobs of masters that wait or run; default 1,000,000. */
  readonly maxJobs?: number;
  /** Most bytes of those jobs, and most bytes of frames that are not whole yet; default 1 GiB. */
  readonly maxBytes?: Bytes;
  /** Bytes that wait for one peer to read them, above which it is dropped; default 64 MiB. */
  readonly maxUnsent?: Bytes;
  /** Most connections a port; default 20,000. */
  readonly maxConnections?: number;
}

/** The daemon by itself keeps its slaves as a runtime keeps its workers. */
export interface GloomDaemonOptions extends GloomOptions, UpkeepOptions {}

export interface CheckedGloomOptions {
  readonly host: string;
  readonly masterPort: number;
  readonly slavePort: number;
  readonly tls: TlsOptions | undefined;
  readonly secret: string | undefined;
  readonly maxFrame: number;
  readonly maxJobs: number;
  readonly maxBytes: number;
  readonly maxUnsent: number;
  readonly maxConnections: number;
}

export interface CheckedGloomDaemon extends CheckedGloomOptions, CheckedUpkeep {}

const MIB = 1_048_576;
const amount = Schema.Union([Schema.Number, Schema.String]);

const GloomSchema = Schema.Struct({
  host: withDefault(Schema.String.check(Schema.isMinLength(1)), "127.0.0.1"),
  masterPort: withDefault(whole(0, 65_535), 9998),
  slavePort: withDefault(whole(0, 65_535), 9999),
  tls: Schema.optionalKey(
    Schema.declare((value): value is object => typeof value === "object" && value !== null, {
      expected: "what tls.createServer takes",
    }),
  ),
  secret: Schema.optionalKey(Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(1_024))),
  maxFrame: withDefault(amount, 256 * MIB),
  maxJobs: withDefault(whole(1, 100_000_000), 1_000_000),
  maxBytes: withDefault(amount, 1024 * MIB),
  maxUnsent: withDefault(amount, 64 * MIB),
  maxConnections: withDefault(whole(1, 1_000_000), 20_000),
});

export const gloomOptionNames: readonly string[] = Object.keys(GloomSchema.fields);

const structure = structureOf(GloomSchema);
/** The wire counts a frame's bytes in 32 bits, and V8 holds no longer text. */
const LONGEST_FRAME = 2 ** 29 - 25;

/** @throws InvalidOptions with every problem of one kind. */
export function checkGloomDaemonOptions({
  heartbeat,
  maxAge,
  maxAgeJitter,
  ...rest
}: GloomDaemonOptions): CheckedGloomDaemon {
  const problems: string[] = [];
  const given = Object.entries({ heartbeat, maxAge, maxAgeJitter }).filter(
    ([, value]) => value !== undefined,
  );
  const kept = upkeep("gloom", Object.fromEntries(given), problems);
  if (problems.length > 0) throw new InvalidOptions(problems);
  return { ...checkGloomOptions(rest), ...kept };
}

/** @throws InvalidOptions with every problem. */
export function checkGloomOptions(given: unknown): CheckedGloomOptions {
  const problems = [...unknownKeys(given, gloomOptionNames, "gloom.")];
  const raw = structure(given, problems);
  if (raw === undefined) throw new InvalidOptions(problems);
  const bytes = (name: "maxFrame" | "maxBytes" | "maxUnsent"): number => {
    const parsed = parseBytes(raw[name]);
    if (parsed.ok) return parsed.bytes;
    problems.push(`gloom.${name}: ${parsed.problem}`);
    return 0;
  };
  const options: CheckedGloomOptions = {
    ...raw,
    tls: raw.tls,
    secret: raw.secret,
    maxFrame: bytes("maxFrame"),
    maxBytes: bytes("maxBytes"),
    maxUnsent: bytes("maxUnsent"),
  };
  if (options.maxFrame > LONGEST_FRAME) problems.push("gloom.maxFrame: must be below 512 MB");
  if (options.masterPort === options.slavePort && options.masterPort !== 0)
    problems.push(`gloom: masters and slaves cannot share port ${options.masterPort}`);
  if (problems.length > 0) throw new InvalidOptions(problems);
  return options;
}
