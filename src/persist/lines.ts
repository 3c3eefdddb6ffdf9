/**
 * What a persister is given, as bytes: lines of a checksum and JSON. A head, slices of the state, an end; then groups of
 * changes.
 *
 * Pure. A head names the partition, the epoch of the coordinator and a series; groups carry the series of the head before
 * them, so that one which arrives late, behind a newer head, is known as stale. Only the last line may be cut short: that
 * is a write that the end of its process or machine has cut, and nobody was answered. Anything else is rubbish.
 */
import { crc32 } from "node:zlib";

/** What is kept, as changes. Their words are those of who writes them. */
export interface KeptChange {
  readonly c: string;
}

export interface Head {
  readonly partition: string;
  readonly epoch: number;
  readonly series: string;
}

const MAGIC = "spillway-state";
const VERSION = 1;
const NEWLINE = 10;
/** Eight digits and a blank. */
const CHECKSUM = 9;

export const headLine = ({ partition, epoch, series }: Head): Buffer =>
  line(JSON.stringify([MAGIC, VERSION, partition, epoch, series]));

/** `texts`: changes, each as JSON already. */
export const sliceLine = (texts: readonly string[]): Buffer => line(`["slice",[${texts.join(",")}]]`);

export const endLine = (slices: number): Buffer => line(`["end",${slices}]`);

/** `n`: from 1 on, behind each head. */
export const groupLine = (series: string, n: number, texts: readonly string[]): Buffer =>
  line(`["group",${JSON.stringify(series)},${n},[${texts.join(",")}]]`);

function line(json: string): Buffer {
  const text = Buffer.from(`00000000 ${json}\n`);
  text.write(checksumOf(text.subarray(CHECKSUM, -1)), 0, "latin1");
  return text;
}

const checksumOf = (json: Uint8Array): string => `${crc32(json).toString(16).padStart(8, "0")} `;

/** Why bytes are none of ours, or not all of them. */
export class Rubbish extends Error {}

interface Line {
  readonly number: number;
  readonly value: readonly unknown[];
}

/** @throws Rubbish */
export const readHead = (bytes: Uint8Array, partition: string): Head =>
  headOf(next(linesOf(bytes)), partition);

/**
 * The changes, a list for each line.
 * @throws Rubbish
 */
export function* readChanges(bytes: Uint8Array, partition: string): Generator<readonly KeptChange[]> {
  const lines = linesOf(bytes);
  const { series } = headOf(next(lines), partition);
  yield* slicesOf(lines);
  yield* groupsOf(lines, series);
}

function* slicesOf(lines: Iterator<Line>): Generator<readonly KeptChange[]> {
  for (let count = 0; ; count++) {
    const { number, value } = next(lines);
    const [kind, what] = value;
    if (kind === "slice") yield changesOf(what, number);
    else if (kind === "end" && what === count) return;
    else throw new Rubbish(`line ${number} is out of place`);
  }
}

function* groupsOf(lines: Iterator<Line>, series: string): Generator<readonly KeptChange[]> {
  let last = 0;
  for (let one = lines.next(); one.done !== true; one = lines.next()) {
    const { number, value } = one.value;
    const [kind, of, n, changes] = value;
    if (kind !== "group" || typeof n !== "number") throw new Rubbish(`line ${number} is out of place`);
    if (of !== series || n <= last) continue; // of who ruled before; or put there twice
    if (n > last + 1) throw new Rubbish(`before line ${number} group ${last + 1} is missing`);
    last = n;
    yield changesOf(changes, number);
  }
}

function next(lines: Iterator<Line>): Line {
  const { done, value } = lines.next();
  if (done === true) throw new Rubbish("it ends before the state is complete");
  return value;
}

function headOf({ value }: Line, partition: string): Head {
  const [magic, version, of, epoch, series] = value;
  if (magic !== MAGIC || typeof series !== "string") throw new Rubbish("it does not begin as a state does");
  if (version !== VERSION) throw new Rubbish(`it is of version ${String(version)}, this is ${VERSION}`);
  if (of !== partition) throw new Rubbish(`it is the state of partition ${String(of)}`);
  return { partition, epoch: Number(epoch), series };
}

function* linesOf(bytes: Uint8Array): Generator<Line> {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let [at, number] = [0, 1]; at < text.length; number++) {
    const end = text.indexOf(NEWLINE, at);
    const isCut = end === -1;
    const raw = text.subarray(at, isCut ? text.length : end);
    at += raw.length + 1;
    const value = jsonOf(raw);
    if (value !== undefined) yield { number, value };
    else if (number === 1) throw new Rubbish("it does not begin as a state does");
    // after a loss of power what was not written yet reads as zeros
    else if (isCut || (at >= text.length && raw.includes(0))) return;
    else throw new Rubbish(`line ${number} is damaged`);
  }
}

/** Its JSON, where the checksum is right. */
function jsonOf(raw: Buffer): readonly unknown[] | undefined {
  const json = raw.subarray(CHECKSUM);
  if (raw.toString("latin1", 0, CHECKSUM) !== checksumOf(json)) return undefined;
  try {
    const value: unknown = JSON.parse(json.toString("utf8"));
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function changesOf(value: unknown, number: number): readonly KeptChange[] {
  const isChange = (one: unknown) => typeof (one as { readonly c?: unknown } | null)?.c === "string";
  if (Array.isArray(value) && value.every(isChange)) return value as readonly KeptChange[];
  throw new Rubbish(`line ${number} holds no changes`);
}
