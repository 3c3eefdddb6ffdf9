/**
 * `spillway/testing`: what tests of jobs, of services and of actors need. Names only.
 *
 * Bodies without threads (`perform`), runtimes in memory (`startTestRuntime`, `drain`, `assertEnqueued`), time that
 * moves when told (`VirtualClock`), threads that do nothing but what they are told (`FakePool`), steps without a kernel (`Recorder`).
 */
export { type LoggedLine, perform, type TestContext, testContext } from "./context.ts";
export { FakePool } from "./fake-pool.ts";
export { type FakeRef, fakeFrom, fakeRef, type Op, Recorder } from "./recorder.ts";
export {
  assertEnqueued,
  type DrainOptions,
  drain,
  type EnqueuedJob,
  type Expected,
  enqueued,
  startTestRuntime,
} from "./runtime.ts";
export { VirtualClock } from "./virtual-clock.ts";
