import { defineConfig } from "vitest/config";

// forks, not threads: the runtime starts threads of its own, and the inspector's NodeWorker domain, which
// captures the stack of a hung body, does not exist inside a worker thread.
export default defineConfig({
  test: {
    pool: "forks",
    maxWorkers: 2,
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/amqp/support/global-setup.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    retry: 0,
    reporters: ["default", "./test/house/unfinished.ts"],
  },
});
