/**
 * A command as people write it: words, quotes, and `$WID` for the number of the worker that runs it.
 *
 * Owns nothing. There is no shell: what a shell would do beside words and quotes is not done.
 */
import { InvalidOptions } from "../../broker/errors.ts";

/** @throws InvalidOptions for a quote that is not closed, and for no word at all. */
export function wordsOf(command: string | readonly string[]): readonly string[] {
  const words = typeof command === "string" ? split(command) : command;
  if (words[0] === undefined || words[0] === "")
    throw new InvalidOptions(["workers: there is no command to run"]);
  return words;
}

/** `$WID` and `${WID}` wherever they stand, also within a path. */
export function withId(words: readonly string[], wid: number): readonly string[] {
  return words.map((word) => word.replaceAll(/\$WID|\$\{WID\}/g, String(wid)));
}

/** Blank, or: a quoted part, an escaped character, a run of plain ones. */
const PART = /(\s+)|'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\]+)/gsy;

function split(command: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  PART.lastIndex = 0;
  while (PART.lastIndex < command.length) {
    const part = PART.exec(command);
    if (part === null) throw new InvalidOptions([`workers: a quote is not closed in ${command}`]);
    const [, blank, single, double, escaped, plain] = part;
    if (blank === undefined)
      word = (word ?? "") + (single ?? double?.replaceAll(/\\(["\\$`])/g, "$1") ?? escaped ?? plain ?? "");
    else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}
