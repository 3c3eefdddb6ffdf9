/**
 * What is to be done: every job of the demo with its id, and the counts that must come out.
 *
 * Ids are made of the plan, not drawn: a run that is resumed enqueues the same ones, and a job that was stored
 * just before the kill is met again as `DuplicateJob` instead of being added a second time.
 */
import { readdirSync } from "node:fs";
import { join, relative } from "node:path";
import askMirror from "./jobs/ask-mirror.mjs";
import book from "./jobs/book.mjs";
import countLines from "./jobs/count-lines.mjs";
import measure from "./jobs/measure.mjs";
import sendReport from "./jobs/send-report.mjs";
import { ROOT, Usage } from "./options.mjs";

export const JOBS = new URL("./jobs/", import.meta.url);
export const PARTITION = "demo";
const TURNS = 10;

/** Regular files below node_modules, in a fixed order; links are not followed. */
export function listFiles(limit) {
  const folder = join(ROOT, "node_modules");
  let entries;
  try {
    entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  } catch (error) {
    throw new Usage(`${folder} cannot be read (${error.code}); run npm ci first.`);
  }
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
  return files.sort().slice(0, limit);
}

/**
 * The jobs beside the files last: their queue has its fair share at once, however many files wait.
 */
export function planOf(files, { folder: into, run }) {
  const turns = Array.from({ length: TURNS }, (_, turn) => ({
    id: `${run}book-${turn}`,
    definition: book,
    args: { account: "savings", into },
  }));
  return [
    ...files.map((path, index) => ({
      id: `${run}file-${String(index).padStart(7, "0")}`,
      definition: measure,
      args: { path: join(ROOT, path), into },
    })),
    {
      id: `${run}count-lines`,
      definition: countLines,
      args: { text: "first line\nsecond line\nno line break here" },
    },
    { id: `${run}ask-mirror`, definition: askMirror, args: { into } },
    ...turns,
  ];
}

/** Two of one queue key: the second is refused for as long as the first has not ended. */
export function twins({ folder: into, run }) {
  const args = { day: "today", into };
  return [
    { id: `${run}report-first`, definition: sendReport, args },
    { id: `${run}report-second`, definition: sendReport, args },
  ];
}

/** Every job ends; all but the one that hangs complete. */
export function expectedOf(fileCount) {
  const submitted = fileCount + TURNS + 3;
  return {
    submitted,
    completed: submitted - 1,
    retried: 2,
    killed: 1,
    buried: 1,
    duplicatesRefused: 1,
    overlaps: 0,
    lost: 0,
  };
}
