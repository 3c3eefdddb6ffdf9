/**
 * The kernel's face: what the rest of the house imports.
 *
 * Owns nothing; cells, buffer and run loop stay inside.
 */

export { type ChildInfo, type ChildState, childSpec } from "./child-spec.ts";
export { systemClock } from "./clock.ts";
export {
  type DynamicSupervisorMessage,
  type DynamicSupervisorOptions,
  dynamicSupervisor,
} from "./dynamic-supervisor.ts";
export * from "./errors.ts";
export { crash, describeExit, isOrderly, killed, normal, shutdown, toError } from "./exit.ts";
export { Kernel, type KernelOptions } from "./kernel.ts";
export { DEFAULT_CAPACITY } from "./mailbox.ts";
export { supervisor } from "./supervisor.ts";
export type { SupervisorMessage } from "./supervisor-state.ts";
export type * from "./types.ts";
