/**
 * What a child process runs: the supervisor of its one thread, over the pipe that it was started with.
 *
 * Owns nothing. It is no one's child for long: signals that a terminal or a service manager sends to all are left to our
 * parent, and it ends when the pipe does, whatever its thread is doing.
 */
import { writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { Inside } from "./inside.ts";
import { CHANNEL, type ChildStart } from "./wire.ts";

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

try {
  // When memory is short the kernel ends this one first, and not who has started it.
  writeFileSync("/proc/self/oom_score_adj", "1000");
} catch {
  // Not Linux.
}

const start = JSON.parse(process.argv[2] ?? "") as ChildStart;
new Inside(start, new Socket({ fd: CHANNEL, readable: true, writable: true }));
