/**
 * The file that Piscina loads in a thread: starts the job host and never returns.
 *
 * Owns nothing. It is CommonJS on purpose: with libuv's pool full, a thread with an ESM entry took 15 s to start,
 * and this 0.1 s; what it requires is required synchronously, ES modules too.
 */
import { parentPort } from "node:worker_threads";
import type { HostStart } from "../wire.ts";
import { startHost } from "./host.ts";

// The one task of this thread. It ends with the thread, so that Piscina never sees the thread idle.
export default function host(start: HostStart): Promise<never> {
  startHost(start);
  return new Promise<never>(() => {});
}

if (parentPort === null) throw new Error("host/entry.cjs runs in a thread only");
