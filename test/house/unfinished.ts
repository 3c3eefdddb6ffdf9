/**
 * Names the tests that had not ended when their process did: a crash in native code is nobody's failure otherwise.
 *
 * A reporter for vitest, beside others. Says nothing of a run that ended as it should.
 */
import { relative } from "node:path";
import type { Reporter, TestModule } from "vitest/node";

export default class Unfinished implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    for (const module of modules) {
      if (module.state() !== "pending" && module.state() !== "queued") continue;
      const all = [...module.children.allTests()];
      const left = all.filter((test) => test.result().state === "pending").map(({ fullName }) => fullName);
      const file = relative(process.cwd(), module.moduleId);
      console.error(
        `UNFINISHED ${file}: its process ended before ${all.length === 0 ? "its tests" : left.join("; ")}`,
      );
    }
  }
}
