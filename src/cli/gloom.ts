/**
 * `spillway gateway gloom`: Gloom's daemon in the foreground.
 *
 * Owns the daemon until a signal ends it. The secret comes from a file, since a command's arguments are everybody's to
 * read.
 */
import { readFileSync } from "node:fs";
import type { TlsOptions } from "node:tls";
import { type GloomDaemon, type GloomDaemonOptions, startGloom } from "../gateways/index.ts";
import type { CommandCall } from "./command.ts";
import { UsageError } from "./errors.ts";
import { Signals } from "./signals.ts";
import { UPKEEP_OPTIONS, upkeepOptions } from "./upkeep.ts";

export const GLOOM_OPTIONS: readonly string[] = [
  "host",
  "master-port",
  "slave-port",
  "secret-file",
  "tls-cert",
  "tls-key",
  "tls-ca",
  "max-frame",
  ...UPKEEP_OPTIONS,
];

export async function gloom(call: CommandCall): Promise<number> {
  const { terminal } = call;
  const signals = new Signals(terminal, "connections get a moment for what is on its way");
  try {
    const daemon = await startGloom(gloomOptions(call));
    announce(daemon, call);
    await signals.first;
    await daemon.stop();
    terminal.record({ type: "gateway.stopped", at: Date.now(), gateway: "gloom" });
    terminal.line("stopped");
    return 0;
  } finally {
    signals.close();
  }
}

function announce({ address }: GloomDaemon, { terminal }: CommandCall): void {
  const { host, masterPort, slavePort } = address;
  terminal.record({
    type: "gateway.started",
    at: Date.now(),
    gateway: "gloom",
    pid: process.pid,
    ...address,
  });
  terminal.line(
    `gloom listens on ${host}: masters on port ${masterPort}, slaves on port ${slavePort}; Ctrl-C stops it`,
  );
}

function gloomOptions(call: CommandCall): GloomDaemonOptions {
  const host = call.text("host");
  const masterPort = port(call, "master-port");
  const slavePort = port(call, "slave-port");
  const secret = file(call, "secret-file")?.trim();
  const maxFrame = call.text("max-frame");
  const tls = tlsOptions(call);
  return {
    ...upkeepOptions(call),
    ...(host === undefined ? {} : { host }),
    ...(masterPort === undefined ? {} : { masterPort }),
    ...(slavePort === undefined ? {} : { slavePort }),
    ...(secret === undefined ? {} : { secret }),
    ...(maxFrame === undefined ? {} : { maxFrame: /^\d+$/.test(maxFrame) ? Number(maxFrame) : maxFrame }),
    ...(tls === undefined ? {} : { tls }),
  };
}

function tlsOptions(call: CommandCall): TlsOptions | undefined {
  const cert = file(call, "tls-cert");
  const key = file(call, "tls-key");
  const ca = file(call, "tls-ca");
  if (cert === undefined && key === undefined && ca === undefined) return undefined;
  if (cert === undefined || key === undefined)
    throw new UsageError("TLS needs --tls-cert and --tls-key, both.", call.command);
  return { cert, key, ...(ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: true }) };
}

function port(call: CommandCall, option: string): number | undefined {
  const text = call.text(option);
  if (text === undefined) return undefined;
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw new UsageError(`--${option}: expected a port, got "${text}".`, call.command);
}

function file(call: CommandCall, option: string): string | undefined {
  const path = call.text(option);
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`--${option}: ${(error as Error).message}.`, call.command);
  }
}
