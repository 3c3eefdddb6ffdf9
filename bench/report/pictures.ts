/**
 * Which pictures a report has, and where they go.
 *
 * Owns the folder of pictures: those of an earlier report that this one does not draw are deleted, and nothing else is:
 * flames are `profile`'s, though they may lie beside.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bars } from "./bars.ts";
import { curves } from "./curves.ts";
import { overview } from "./overview.ts";
import type { Report } from "./report.ts";

export interface Picture {
  /** `undefined`: of the whole report. */
  readonly suite: string | undefined;
  readonly file: string;
  readonly alt: string;
  readonly svg: string;
}

export function pictures({ suites }: Report): Picture[] {
  const drawn = [
    { suite: undefined, file: "overview.svg", alt: "goals that hold, by suite", svg: overview(suites) },
    ...suites.flatMap(({ name, rows }) => [
      {
        suite: name,
        file: `${name}.svg`,
        alt: `${name}, beside the baseline and its goals`,
        svg: bars(name, rows),
      },
      { suite: name, file: `${name}-curves.svg`, alt: `${name}, as it grows`, svg: curves(name, rows) },
    ]),
  ];
  return drawn.flatMap(({ svg, ...rest }) => (svg === undefined ? [] : [{ ...rest, svg }]));
}

/** How the names of pictures begin that no report draws. */
export const FLAME = "flame-";

export function writePictures(folder: string, drawn: readonly Picture[]): void {
  mkdirSync(folder, { recursive: true });
  const kept = new Set(drawn.map(({ file }) => file));
  for (const file of readdirSync(folder))
    if (file.endsWith(".svg") && !file.startsWith(FLAME) && !kept.has(file)) rmSync(join(folder, file));
  for (const { file, svg } of drawn) writeFileSync(join(folder, file), svg);
}
