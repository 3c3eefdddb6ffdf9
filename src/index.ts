/**
 * Spillway's public face: names only.
 *
 * Owns nothing. `docs/` says what each name means; `spillway/job` is the light part for job modules.
 */
export type { CallbackJob, Callbacks } from "./actors/callbacks.ts";
export { PartitionNotRunning, UnknownCommand } from "./actors/errors.ts";
export { type EventType, eventTypes, type SpillwayEvent } from "./actors/events.ts";
export type { JobRef, RunningWorker } from "./actors/job-ref.ts";
export type { Logger } from "./actors/services.ts";
export { rabbitmq } from "./amqp/index.ts";
export type { QueueType, RabbitOptions } from "./amqp/options.ts";
export * from "./broker/errors.ts";
export type { BrokerFactory } from "./broker/factory.ts";
export type { ForeignMessage, ForeignProperties } from "./broker/foreign.ts";
export type { Persister } from "./broker/persister.ts";
export { embedded, memory } from "./embedded/index.ts";
export { decodeEnvelope as decodeJob } from "./jobs/codec.ts";
export { createJob, encodeJob, type Job } from "./jobs/create.ts";
export * from "./jobs/errors.ts";
export type { Failure, Frame, KillReport, KillStep } from "./jobs/failure.ts";
export * from "./jobs/index.ts";
export { KeySet } from "./jobs/key-set.ts";
export { SpillwayError } from "./kernel/errors.ts";
export type { TreeNode } from "./kernel/types.ts";
export { type FilesystemOptions, filesystem } from "./persist/filesystem.ts";
export type { Buried } from "./runtime/control.ts";
export type { EnqueueOptions } from "./runtime/enqueue.ts";
export * from "./runtime/errors.ts";
export type { Cancelled, JobHandle } from "./runtime/handle.ts";
export type { RuntimeOptions } from "./runtime/options.ts";
export type { BindingOptions, ForeignJob, QueueOptions, QueueSettings } from "./runtime/queue-options.ts";
export type { Queued, QueuedList, QueuedOptions } from "./runtime/queued.ts";
export type { BrokerQueue, NodeQueue } from "./runtime/queues.ts";
export { type ExecuteOptions, Runtime, type Stopped } from "./runtime/runtime.ts";
