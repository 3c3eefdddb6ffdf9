/**
 * `spillway/gateways`: workers outside the process, names only.
 *
 * Owns nothing. `docs/gateways.md` says what each is for.
 */
export type {
  ExternalFailure,
  ExternalJob,
  ExternalWorker,
  ExternalWorkers,
  Gateway,
  WorkerSeat,
} from "../actors/external/port.ts";
export {
  EndpointUnavailable,
  ExecutionFailed,
  GatewayUnavailable,
  MasterLost,
  NoWorker,
  WorkerExited,
  ZeromqMissing,
} from "./errors.ts";
export { type GloomDaemon, startGloom } from "./gloom/daemon.ts";
export { type GloomGateway, gloom } from "./gloom/gateway.ts";
export type { GloomDaemonOptions, GloomOptions } from "./gloom/options.ts";
export type { GloomAddress } from "./gloom/server.ts";
export { type PowerhoseGateway, powerhose } from "./powerhose/gateway.ts";
export type { JobRunnerOptions, PowerhoseOptions, PowerhoseWorkerOptions } from "./powerhose/options.ts";
export { JobRunner } from "./powerhose/runner.ts";
export { type PowerhoseTarget, PowerhoseWorker } from "./powerhose/worker.ts";
export type { WorkerLine } from "./processes/worker-process.ts";
export { Workers, type WorkersOptions } from "./processes/workers.ts";
