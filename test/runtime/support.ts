/**
 * A runtime for one test: on the memory or the embedded broker, stopped when the test ends.
 *
 * Each test gets a folder of its own. The runtime is the real one, threads included; only the clock can be moved.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { EventType, SpillwayEvent } from "../../src/actors/events.ts";
import { embedded, memory } from "../../src/embedded/index.ts";
import type { RuntimeOptions } from "../../src/runtime/options.ts";
import { type Runtime, type RuntimeParts, startRuntime } from "../../src/runtime/runtime.ts";

export const jobs = new URL("../fixtures/runtime/", import.meta.url);

/** Says nothing; what tests need to see are events. */
export const quiet = { debug() {}, info() {}, warn() {}, error() {} };

export class Place {
  readonly folder = mkdtempSync(join(tmpdir(), "spillway-runtime-"));
  #names = 0;

  constructor() {
    onTestFinished(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  /** A path that nothing is at. */
  path(): string {
    return join(this.folder, `file-${++this.#names}`);
  }

  /** Makes the file that a `hold` job waits for. */
  open(path: string): void {
    writeFileSync(path, "");
  }

  lines(path: string): string[] {
    return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
  }

  get store(): string {
    return join(this.folder, "store");
  }
}

export const brokers = [
  { kind: "memory", of: (_place: Place) => memory() },
  { kind: "embedded", of: (place: Place) => embedded({ path: place.store }) },
] as const;

export type Kind = (typeof brokers)[number];

/** Starts a runtime with one partition "p"; two threads unless told otherwise. */
export async function start(
  kind: Kind,
  place: Place,
  options: RuntimeOptions = {},
  parts: RuntimeParts = {},
): Promise<Runtime> {
  const given = {
    broker: kind.of(place),
    jobs,
    threads: 2,
    partitions: { p: { default: 10 } },
    logger: quiet,
    ...options,
  };
  const runtime = await startRuntime(given, parts);
  onTestFinished(async () => void (await runtime.stop()));
  return runtime;
}

/** The next event of a type, about one job if an id is given. */
export function next<T extends EventType>(runtime: Runtime, type: T, id?: string): Promise<SpillwayEvent<T>> {
  return new Promise((resolve) => {
    const listener = (event: SpillwayEvent<T>) => {
      if (id !== undefined && (event as { id?: string }).id !== id) return;
      runtime.off(type, listener);
      resolve(event);
    };
    runtime.on(type, listener);
  });
}

/** All events of a type, from now on. */
export function collect<T extends EventType>(runtime: Runtime, type: T): SpillwayEvent<T>[] {
  const events: SpillwayEvent<T>[] = [];
  runtime.on(type, (event) => void events.push(event));
  return events;
}
