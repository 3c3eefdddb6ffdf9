/**
 * Where profiles go: flames into a folder, the table and links to them into a file, or between the marks of one.
 *
 * Owns no file handle longer than a write. Links lead from the file to the pictures.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { FLAME } from "../report/pictures.ts";
import { between, type Profiled } from "./budget.ts";
import { flame } from "./flame.ts";
import { total } from "./frames.ts";
import type { Asked } from "./settings.ts";
import { shortened, staged } from "./stages.ts";

const pictureOf = (name: string, what: "" | "-bytes"): string => `${FLAME}${name}${what}.svg`;

export function draw(all: readonly Profiled[], folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const { name, about, measured } of all) {
    const { cpu, heap, jobs, us } = measured;
    const bytes = (amount: number) => `${Math.round(amount / jobs).toLocaleString("en-US")} bytes`;
    const time = (samples: number) => `${((samples / total(cpu)) * us).toFixed(2)} µs`;
    const flames = [
      {
        file: pictureOf(name, ""),
        title: `${name}: where ${us.toFixed(1)} µs of the main thread go, for one job`,
        tree: cpu,
        figure: time,
      },
      {
        file: pictureOf(name, "-bytes"),
        title: `${name}: who allocates ${bytes(total(heap))} of the main thread's heap, for one job`,
        tree: heap,
        figure: bytes,
      },
    ];
    for (const { file, title, tree, figure } of flames) {
      const told = `${about}; callees below their callers, from ${jobs.toLocaleString("en-US")} no-op jobs`;
      writeFileSync(join(folder, file), flame({ title, about: told, tree: staged(shortened(tree)), figure }));
    }
  }
}

export function write(
  { svg, markdown, into }: Pick<Asked, "svg" | "markdown" | "into">,
  render: (links: readonly string[]) => string,
  all: readonly Profiled[],
): void {
  const linksFrom = (file: string): string[] => {
    if (svg === undefined) return [];
    const folder = relative(dirname(resolve(file)), resolve(svg))
      .split(sep)
      .join("/");
    const link = (name: string, what: "" | "-bytes") =>
      `${folder === "" ? "" : `${folder}/`}${pictureOf(name, what)}`;
    return all.map(
      ({ name }) =>
        `![${name}: the main thread's time for one job](${link(name, "")})\n\n[The same of its allocations](${link(name, "-bytes")}).`,
    );
  };
  if (markdown !== undefined) {
    mkdirSync(dirname(resolve(markdown)), { recursive: true });
    writeFileSync(markdown, `${render(linksFrom(markdown))}\n`);
  }
  if (into !== undefined) {
    // What stands there by now: profiling takes minutes.
    const written = between(readFileSync(into, "utf8"), render(linksFrom(into)));
    if (written !== undefined) writeFileSync(into, written);
  }
}
