/**
 * From a place in what runs to the place in what was written.
 *
 * Owns no state and no cache: it is asked once a kill. Takes inline maps (tsx makes them) and `.map` files beside a
 * compiled module; a map that can't be read leaves the frame as it was. Which map a script has, the debugger says, or else its
 * file does.
 */
import { readFileSync } from "node:fs";
import { SourceMap, type SourceMapPayload } from "node:module";
import { fileURLToPath } from "node:url";
import type { Frame } from "../../jobs/failure.ts";

/** A frame as the inspector has it: lines and columns count from 0. */
export interface RawFrame {
  readonly function: string;
  readonly url: string;
  readonly sourceMapUrl: string;
  readonly line: number;
  readonly column: number;
}

/** What the file of a script says that its map is; "" for none. */
export function sourceMapUrlOf(url: string): string {
  try {
    const said = readFileSync(asPath(url), "utf8").matchAll(/^\/\/[#@] sourceMappingURL=(\S+)\s*$/gm);
    return [...said].at(-1)?.[1] ?? "";
  } catch {
    return "";
  }
}

export function mapFrame(raw: RawFrame): Frame {
  const name = raw.function === "" ? "(anonymous)" : raw.function;
  const plain = { function: name, file: asPath(raw.url), line: raw.line + 1, column: raw.column + 1 };
  const payload = raw.sourceMapUrl === "" ? undefined : payloadOf(raw.sourceMapUrl, raw.url);
  if (payload === undefined) return plain;
  const entry = new SourceMap(payload).findEntry(raw.line, raw.column);
  if (!("originalLine" in entry) || entry.originalSource === undefined) return plain;
  const file = asPath(resolveUrl(entry.originalSource, raw.url));
  return { function: name, file, line: entry.originalLine + 1, column: entry.originalColumn + 1 };
}

function payloadOf(mapUrl: string, scriptUrl: string): SourceMapPayload | undefined {
  try {
    return JSON.parse(mapText(resolveUrl(mapUrl, scriptUrl))) as SourceMapPayload;
  } catch {
    return undefined;
  }
}

function mapText(url: string): string {
  if (!url.startsWith("data:")) return readFileSync(fileURLToPath(url), "utf8");
  const comma = url.indexOf(",");
  const body = url.slice(comma + 1);
  return url.slice(0, comma).endsWith(";base64")
    ? Buffer.from(body, "base64").toString("utf8")
    : decodeURIComponent(body);
}

function resolveUrl(url: string, base: string): string {
  if (url.startsWith("/")) return url;
  const from = base.startsWith("/") ? `file://${base}` : base;
  return URL.canParse(url, from) ? new URL(url, from).href : url;
}

function asPath(url: string): string {
  try {
    return url.startsWith("file:") ? fileURLToPath(url) : url;
  } catch {
    return url;
  }
}
