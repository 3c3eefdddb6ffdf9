/**
 * The rare calls that answer, over one Comlink proxy for the thread's life.
 *
 * Owns the thread's end of the Comlink port. Main calls `load` and `heap`; bodies call main's services. All else
 * uses the plain port: a Comlink message costs ten times as much.
 */
import type { MessagePort } from "node:worker_threads";
import { expose, type Remote, wrap } from "comlink/dist/esm/comlink.mjs";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import type { HostCalls, MainCalls } from "../wire.ts";
import type { Loader } from "./loader.ts";

/** Exposes the host's calls on the port, and returns main's. */
export function connectCalls(port: MessagePort, loader: Loader): Remote<MainCalls> {
  const endpoint = nodeEndpoint(port);
  const calls: HostCalls = {
    async load(type) {
      try {
        await loader.loadAhead(type);
        return undefined;
      } catch (error) {
        return (error as Error).message;
      }
    },
    heap() {
      // array buffers are a part of what is external
      const { heapUsed, external } = process.memoryUsage();
      return { heapBytes: heapUsed, externalBytes: external };
    },
  };
  expose(calls, endpoint);
  return wrap<MainCalls>(endpoint);
}
