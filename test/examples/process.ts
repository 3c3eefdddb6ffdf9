/**
 * A process under test, by its output: what it has written, and waiting for it to write something.
 *
 * Owns the child: it is killed when the test is over. Waiting ends with an error when the child ends first.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly ended: Promise<Ended>;
  /** Resolves with what matched, in both outputs together. */
  saw(pattern: RegExp): Promise<RegExpExecArray>;
  /** Resolves when this many lines have been written, to both outputs together. */
  lines(count: number): Promise<void>;
  kill(signal: NodeJS.Signals): void;
}

/** `node FILE ...ARGS` in the checkout, or in `cwd`. */
export function start(file: string, ...args: string[]): Started {
  return startIn(ROOT, file, ...args);
}

export function startIn(cwd: string, file: string, ...args: string[]): Started {
  const child = spawn(process.execPath, [file, ...args], { cwd, stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const text = { stdout: "", stderr: "", all: "" };
  const watchers = new Set<() => void>();
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      text[name] += chunk;
      text.all += chunk;
      for (const watcher of watchers) watcher();
    });
  }
  const ended = new Promise<Ended>((resolve) => {
    child.once("close", (code, signal) =>
      resolve({ code, signal, stdout: text.stdout, stderr: text.stderr }),
    );
  });
  const until = <T>(look: () => T | undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const watcher = () => {
        const found = look();
        if (found === undefined) return;
        watchers.delete(watcher);
        resolve(found);
      };
      watchers.add(watcher);
      void ended.then(({ code }) => reject(new Error(`it ended (${code}) before: ${text.all}`)));
      watcher();
    });
  return {
    ended,
    saw: (pattern) => until(() => pattern.exec(text.all) ?? undefined),
    lines: async (count) => {
      await until(() => (text.all.split("\n").length > count ? true : undefined));
    },
    kill: (signal) => void child.kill(signal),
  };
}
