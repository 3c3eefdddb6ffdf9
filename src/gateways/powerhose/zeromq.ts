/**
 * ZeroMQ, loaded when somebody first needs it: an optional peer, with a binary of its own.
 *
 * Owns no socket, and the one context of all masters. Nothing of it is loaded by an import of `spillway/gateways`, and its
 * types stay within this folder, so that who does not use it need not install it.
 */
import { rmSync } from "node:fs";
import { connect } from "node:net";
import type { Context } from "zeromq";
import { EndpointUnavailable, ZeromqMissing } from "../errors.ts";

export type Zeromq = typeof import("zeromq");

let loading: Promise<Zeromq> | undefined;

/** @throws ZeromqMissing */
export function loadZeromq(): Promise<Zeromq> {
  loading ??= import("zeromq").catch((cause: unknown) => {
    loading = undefined;
    throw new ZeromqMissing({ cause });
  });
  return loading;
}

/** Of all masters; a worker's line takes three. */
const MOST_SOCKETS = 65_535;
let context: Context | undefined;

/**
 * One for all masters, and for good. One of a master's own would be collected as garbage while its closed sockets have still
 * to tell of their end: they never do then, and keep the process from ending. Nor would its threads and descriptors be given
 * back before the process ends.
 */
export function contextOfMasters(zmq: Zeromq): Context {
  context ??= new zmq.Context({ blocky: false, maxSockets: MOST_SOCKETS });
  return context;
}

interface Bindable {
  readonly lastEndpoint: string | null;
  readonly closed: boolean;
  readonly events: { on(type: "close" | "end", listener: () => void): unknown };
  bind(address: string): Promise<void>;
  close(): void;
}

/** Where a socket listens, until it is closed. */
export interface Bound {
  /** A port of 0 or a `*` is another word for one that is free: here is which. */
  readonly endpoint: string;
  /** It hears nobody from now on; resolves when its place is free for who binds next. May be called twice. */
  close(): Promise<void>;
}

/** @throws EndpointUnavailable, with the socket closed, also where somebody listens at the end of a path: ZeroMQ would take it from them. */
export async function bind(socket: Bindable, endpoint: string): Promise<Bound> {
  const { events } = socket;
  // ZeroMQ lets go of a port in a thread of its own, some milliseconds after `close`; it says so here.
  const gone = new Promise<void>((resolve) => {
    events.on("close", () => resolve());
    events.on("end", () => resolve());
  });
  try {
    if (await isTaken(endpoint)) throw new Error("somebody listens there");
    await socket.bind(endpoint);
  } catch (cause) {
    socket.close();
    throw new EndpointUnavailable(endpoint, { cause: cause as Error });
  }
  const bound = socket.lastEndpoint ?? endpoint;
  return {
    endpoint: bound,
    close: () => {
      if (socket.closed) return gone;
      release(socket, bound);
      return gone;
    },
  };
}

/** ZeroMQ leaves the file of a path behind. */
function release(socket: Bindable, endpoint: string): void {
  socket.close();
  const path = pathOf(endpoint);
  if (path !== undefined) rmSync(path, { force: true });
}

function pathOf(endpoint: string): string | undefined {
  return /^ipc:\/\/([^@*].*)$/.exec(endpoint)?.[1];
}

function isTaken(endpoint: string): Promise<boolean> {
  const path = pathOf(endpoint);
  if (path === undefined) return Promise.resolve(false);
  return new Promise((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on("error", () => resolve(false));
  });
}
