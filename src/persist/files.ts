/**
 * The files of `filesystem({ path })`: one a partition, in generations, each flushed before anybody is answered.
 *
 * Owns the open files; everything is synchronous. A state that is stored is written beside, flushed, and linked under the
 * next generation's name, which only one writer can have; then the older ones are removed. So a writer that was frozen
 * meanwhile cannot put its state over a newer one, and what it appends goes to a file that nobody reads, which it notices.
 * Killed at any moment it leaves a complete state, and behind that at most one append that is cut.
 */
import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";

interface Open {
  readonly generation: number;
  readonly fd: number;
}

/** A state that is being written beside. */
interface Draft {
  readonly path: string;
  readonly fd: number;
  readonly generation: number;
}

/** Between the look into the folder and the opening somebody may have stored anew. */
const TRIES = 5;

export class Files {
  readonly #folder: string;
  readonly #open = new Map<string, Open>();
  readonly #drafts = new Map<string, Draft>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  init(): void {
    mkdirSync(this.#folder, { recursive: true });
    flushFolder(dirname(this.#folder));
    flushFolder(this.#folder);
  }

  load(partition: string): Uint8Array | undefined {
    for (let tries = 1; ; tries++) {
      const [newest] = this.#generations(partition);
      if (newest === undefined) return undefined;
      try {
        return readFileSync(this.#path(partition, newest));
      } catch (error) {
        if (!hasCode(error, "ENOENT") || tries === TRIES) throw error;
      }
    }
  }

  append(partition: string, bytes: Uint8Array): void {
    const { fd } = this.#open.get(partition) ?? this.#newest(partition);
    writeAll(fd, bytes);
    fdatasyncSync(fd);
    if (fstatSync(fd).nlink === 0) {
      this.#forget(partition);
      throw new Error(`another process has stored the state of partition "${partition}" anew`);
    }
  }

  /** A new state, which comes in pieces. */
  begin(partition: string): void {
    this.#drop(partition);
    const [newest = 0] = this.#generations(partition);
    const generation = newest + 1;
    const path = `${this.#path(partition, generation)}.${process.pid}-${Math.random().toString(36).slice(2, 8)}.tmp`;
    this.#drafts.set(partition, { path, generation, fd: openSync(path, "ax") });
  }

  piece(partition: string, bytes: Uint8Array): void {
    const draft = this.#drafts.get(partition);
    if (draft !== undefined) writeAll(draft.fd, bytes);
  }

  finish(partition: string): void {
    const draft = this.#drafts.get(partition);
    if (draft === undefined) throw new Error("its pieces could not be written");
    const { fd, path, generation } = draft;
    fsyncSync(fd);
    publish(path, this.#path(partition, generation));
    flushFolder(this.#folder);
    this.#drafts.delete(partition);
    this.#forget(partition);
    const [newest] = this.#generations(partition);
    if (newest !== generation) {
      closeSync(fd);
      removed(this.#path(partition, generation));
      throw new Error(`another process has stored a newer state of "${partition}"`);
    }
    this.#open.set(partition, { fd, generation });
    this.#removeOlder(partition, generation);
  }

  close(): void {
    for (const partition of [...this.#drafts.keys()]) this.#drop(partition);
    for (const partition of [...this.#open.keys()]) this.#forget(partition);
  }

  /** Newest first. */
  #generations(partition: string): number[] {
    const all = readdirSync(this.#folder).flatMap((file) => generationOf(file, partition) ?? []);
    return all.sort((a, b) => b - a);
  }

  #newest(partition: string): Open {
    const [generation] = this.#generations(partition);
    if (generation === undefined) throw new Error(`nothing is stored yet of partition "${partition}"`);
    const open = { generation, fd: openSync(this.#path(partition, generation), "a") };
    this.#open.set(partition, open);
    return open;
  }

  /** What somebody was writing when he was killed goes too. */
  #removeOlder(partition: string, generation: number): void {
    const base = fileName(partition);
    for (const file of readdirSync(this.#folder)) {
      const of = /^(.+)\.(\d+)\.state(\..+\.tmp)?$/.exec(file);
      if (of?.[1] !== base) continue;
      const age = Number(of[2]);
      const isOld = of[3] === undefined ? age < generation : age <= generation;
      if (isOld) removed(join(this.#folder, file));
    }
  }

  #drop(partition: string): void {
    const draft = this.#drafts.get(partition);
    this.#drafts.delete(partition);
    if (draft === undefined) return;
    closeSync(draft.fd);
    removed(draft.path);
  }

  #forget(partition: string): void {
    const open = this.#open.get(partition);
    this.#open.delete(partition);
    if (open !== undefined) closeSync(open.fd);
  }

  #path(partition: string, generation: number): string {
    return join(this.#folder, `${fileName(partition)}.${generation}.state`);
  }
}

/**
 * Apart from small letters, digits, `_` and `-`, bytes are written as `+` and two digits: two partitions that differ in the
 * size of a letter are two files everywhere, and no name leads out of the folder or is a device's.
 */
export function fileName(partition: string): string {
  const plain = [...Buffer.from(partition)].map((byte) => {
    const letter = String.fromCharCode(byte);
    return /[a-z0-9_-]/.test(letter) ? letter : `+${byte.toString(16).padStart(2, "0")}`;
  });
  return `p-${plain.join("")}`;
}

function generationOf(file: string, partition: string): number | undefined {
  const of = /^(.+)\.(\d{1,15})\.state$/.exec(file);
  return of?.[1] === fileName(partition) ? Number(of[2]) : undefined;
}

/** Where there are no links, a name that is taken is only looked for. */
const NO_LINKS = ["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EMLINK"];

/** Under a name that nobody has yet. */
function publish(from: string, to: string): void {
  try {
    linkSync(from, to);
    unlinkSync(from);
  } catch (error) {
    if (hasCode(error, "EEXIST")) throw new Error(`another process has stored ${to} meanwhile`);
    if (!NO_LINKS.some((code) => hasCode(error, code))) throw error;
    renameSync(from, to);
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}

function removed(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // somebody else has removed it
  }
}

/** A name is durable when its folder is. Windows has no such call, and needs none. */
function flushFolder(path: string): void {
  if (process.platform === "win32") return;
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

const hasCode = (error: unknown, code: string) => (error as { readonly code?: unknown }).code === code;
