/**
 * `spillway/job`: what a job's module imports. Names only.
 *
 * Loaded in every thread, so it pulls in no Effect, no crypto and no broker: definitions, the two signals, and types.
 */
export type { JobContext, JobLog } from "./context.ts";
export type {
  InputOf,
  JobDefinition,
  KeyOf,
  PlainJobOptions,
  ResultOf,
  Retry,
  RunsIn,
  SchemaJobOptions,
  TextOf,
} from "./definition.ts";
export { defineJob } from "./definition.ts";
export type { Duration } from "./duration.ts";
export { InvalidJob } from "./errors.ts";
export { NonRetryable, Snooze } from "./signals.ts";
