/**
 * A job that must not run beside another one of its account, by its execution key.
 *
 * It notes when it comes and when it goes; two that overlapped would show in the order of these lines.
 */
import { setTimeout as wait } from "node:timers/promises";
import { defineJob } from "spillway/job";
import { writeResult, writeTurn } from "../results.mjs";

export default defineJob({
  name: "book",
  queue: "beside",
  executionKey: ({ account }) => `account:${account}`,
  async perform({ into }, context) {
    writeTurn(into, "+", context.id);
    await wait(20);
    writeTurn(into, "-", context.id);
    return writeResult(into, context, {});
  },
});
