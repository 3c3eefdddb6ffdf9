/**
 * Says when a file of a job module was edited.
 *
 * Owns one watcher a folder; editors replace a file by another, which a watcher of the file itself would not survive.
 * Several events of one save are told once. The watchers do not keep the process alive.
 */
import { type FSWatcher, watch } from "node:fs";
import { basename, dirname } from "node:path";
import { filesOf } from "./imports.ts";

/** A save is several events. */
const SETTLE_MS = 50;

export class ModuleWatch {
  readonly #urls: readonly string[];
  readonly #edited: (files: readonly string[], urls: readonly string[]) => void;
  readonly #watchers = new Map<string, FSWatcher>();
  /** Modules that a file is a part of. */
  #modules = new Map<string, Set<string>>();
  readonly #changed = new Set<string>();
  #timer: NodeJS.Timeout | undefined = undefined;

  /** `edited`: these files were, and these modules are made of them. */
  constructor(urls: readonly string[], edited: (files: readonly string[], urls: readonly string[]) => void) {
    this.#urls = [...new Set(urls)];
    this.#edited = edited;
    this.#follow();
  }

  stop(): void {
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  /** Anew after each edit: it may have brought imports. */
  #follow(): void {
    this.#modules = new Map();
    for (const url of this.#urls) {
      for (const file of filesOf(url)) {
        const modules = this.#modules.get(file) ?? new Set();
        this.#modules.set(file, modules.add(url));
        this.#watch(dirname(file));
      }
    }
  }

  #watch(folder: string): void {
    if (this.#watchers.has(folder)) return;
    const watcher = watch(folder, { persistent: false }, (_, name) => this.#saw(folder, name));
    // the folder is gone: there is nothing to see any more
    watcher.on("error", () => {
      watcher.close();
      this.#watchers.delete(folder);
    });
    this.#watchers.set(folder, watcher);
  }

  /** Without a name anything in the folder may have changed. */
  #saw(folder: string, name: string | null): void {
    for (const file of this.#modules.keys()) {
      if (dirname(file) !== folder || (name !== null && basename(file) !== name)) continue;
      this.#changed.add(file);
    }
    if (this.#changed.size === 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tell(), SETTLE_MS);
  }

  #tell(): void {
    const files = [...this.#changed];
    const urls = new Set(files.flatMap((file) => [...(this.#modules.get(file) ?? [])]));
    this.#changed.clear();
    this.#follow();
    this.#edited(files, [...urls]);
  }
}
