/**
 * What is true of a body in a thread is true of one in a process: the same tests, once more.
 *
 * Left out are those of threads alone: where a task goes (`pool.test.ts`), and what is wedged (`wedged.test.ts`).
 */
import { describe } from "vitest";
import { defineFor } from "./support.ts";

describe("in a process", async () => {
  defineFor("process");
  for (const file of ["context", "outcomes", "kill", "owns"]) await import(`./${file}.test.ts`);
});
