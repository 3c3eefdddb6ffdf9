/**
 * One file: SHA-256 and brotli size of its first MiB.
 *
 * All of it is synchronous on purpose: this is what must not run on the thread that holds the service.
 */
import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { brotliCompressSync, constants } from "node:zlib";
import { defineJob } from "spillway/job";
import { writeResult } from "../results.mjs";

const MIB = 1024 * 1024;
const buffer = Buffer.allocUnsafe(MIB);
const QUALITY = { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } };

export default defineJob({
  name: "measure",
  queue: "files",
  perform({ path, into }, context) {
    const bytes = firstMiB(path);
    if (bytes === undefined) return writeResult(into, context, { gone: true });
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const packed = bytes.length === 0 ? 0 : brotliCompressSync(bytes, QUALITY).length;
    return writeResult(into, context, { sha256, bytes: bytes.length, packed });
  },
});

/** `undefined` for a file that was there when the files were listed and is no longer. */
function firstMiB(path) {
  let file;
  try {
    file = openSync(path, "r");
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
  try {
    let length = 0;
    for (let read = 1; read > 0 && length < MIB; length += read)
      read = readSync(file, buffer, length, MIB - length, null);
    return buffer.subarray(0, length);
  } finally {
    closeSync(file);
  }
}
