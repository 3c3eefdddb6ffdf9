/**
 * The function by which main asks this thread what it runs, in the middle of a body that does not end.
 *
 * Owns one global symbol. Main calls it through the inspector, which V8 lets in between two turns of a loop: what was
 * interrupted lies on the stack below. Nothing is stopped for it, and no debugger is there. A body that has spoiled
 * `Error` for itself gets no stack this way; main has another.
 */
import { STACK_KEY, type ToldFrame } from "../wire.ts";

/** The question's own two, the body's, and the host's, below which nobody looks. */
const MOST_FRAMES = 40;

export function exposeStack(): void {
  const Thrown = Error;
  const value = (): string => {
    const { stackTraceLimit, prepareStackTrace } = Thrown;
    try {
      Thrown.stackTraceLimit = MOST_FRAMES;
      Thrown.prepareStackTrace = told;
      return new Thrown().stack ?? "";
    } catch {
      return "";
    } finally {
      Thrown.stackTraceLimit = stackTraceLimit;
      // undefined where nobody has set one
      Thrown.prepareStackTrace = prepareStackTrace;
    }
  };
  Object.defineProperty(globalThis, Symbol.for(STACK_KEY), { value, configurable: true });
}

/** What was awaited is not running. */
function told(_: Error, sites: readonly NodeJS.CallSite[]): string {
  const frames = sites
    .filter((site) => !site.isAsync())
    .map((site): ToldFrame => {
      const script = site.getScriptNameOrSourceURL() ?? null;
      return [site.getFunctionName(), script, site.getLineNumber(), site.getColumnNumber()];
    });
  return JSON.stringify(frames);
}
