/**
 * The thread of `filesystem({ path })`: carries out one request after the other and answers each.
 *
 * Owns the files. Everything it does is synchronous: neither the event loop nor libuv's pool, which bodies fill, has to
 * wait for a disk, or is waited for. Killed at any point it leaves files that can be read.
 */
import { parentPort, workerData } from "node:worker_threads";
import { Files } from "./files.ts";
import type { FilesConfig, FilesRequest, FromFiles, ToFiles } from "./protocol.ts";

/** Called by `entry.cts`. */
export function start(): void {
  const port = parentPort;
  if (port === null) throw new Error("files are kept by a thread of their own");
  const files = new Files((workerData as FilesConfig).path);
  port.on("message", ({ serial, request }: ToFiles) => {
    const tell = (answer: FromFiles, transfer: ArrayBuffer[] = []) => port.postMessage(answer, transfer);
    try {
      const bytes = carryOut(files, request);
      tell({ serial, bytes }, bytes?.buffer instanceof ArrayBuffer ? [bytes.buffer] : []);
    } catch (error) {
      tell({ serial, problem: (error as Error).message });
    }
  });
}

function carryOut(files: Files, m: FilesRequest): Uint8Array | undefined {
  switch (m.t) {
    case "init":
      files.init();
      return undefined;
    case "load":
      // of its own, so that it can be handed over: a small file is read into a buffer that is shared
      return copyOf(files.load(m.partition));
    case "append":
      files.append(m.partition, m.bytes);
      return undefined;
    case "begin":
      files.begin(m.partition);
      return undefined;
    case "piece":
      files.piece(m.partition, m.bytes);
      return undefined;
    case "finish":
      files.finish(m.partition);
      return undefined;
  }
}

function copyOf(bytes: Uint8Array | undefined): Uint8Array | undefined {
  if (bytes === undefined || bytes.byteLength === bytes.buffer.byteLength) return bytes;
  return new Uint8Array(bytes);
}
