/**
 * ZeroMQ, loaded when somebody first needs it: an optional peer, with a binary of its own.
 *
 * Owns no socket. Nothing of it is loaded by an import of `spillway/gateways`, and its types stay within this folder, so
 * that who does not use it need not install it.
 */
import { rmSync } from "node:fs";
import { connect } from "node:net";
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

interface Bindable {
  readonly lastEndpoint: string | null;
  readonly closed: boolean;
  bind(address: string): Promise<void>;
  close(): void;
}

/**
 * Binds, and says where: a port of 0 or a `*` is another word for one that is free.
 * @throws EndpointUnavailable, with the socket closed, also where somebody listens at the end of a path: ZeroMQ would take it from them.
 */
export async function bind(socket: Bindable, endpoint: string): Promise<string> {
  try {
    if (await isTaken(endpoint)) throw new Error("somebody listens there");
    await socket.bind(endpoint);
    return socket.lastEndpoint ?? endpoint;
  } catch (cause) {
    socket.close();
    throw new EndpointUnavailable(endpoint, { cause: cause as Error });
  }
}

/** Closes what was bound there; ZeroMQ leaves the file of a path behind. */
export function unbind(socket: Bindable, endpoint: string): void {
  if (socket.closed) return;
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
