/**
 * The built `spillway` command in a temporary folder: run to its end, or started and listened to line by line.
 *
 * Every process is gone when its test has ended, and so is the folder.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const ENQUEUE = fileURLToPath(new URL("../fixtures/enqueue.mjs", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process whose standard output can be waited for. */
export class Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  #stdout = "";
  #stderr = "";
  #over = false;
  #waiting: (() => void)[] = [];

  constructor(folder: string, args: readonly string[], input: string | undefined) {
    const child = spawn(process.execPath, [...args], { cwd: folder, stdio: "pipe" });
    this.child = child;
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#stdout += text;
      this.#heard();
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr += text;
      this.#heard();
    });
    child.stdin.end(input ?? "");
    this.ended = new Promise((resolve) => {
      child.on("close", (code, signal) => {
        this.#over = true;
        this.#heard();
        resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr });
      });
    });
  }

  #heard(): void {
    for (const look of this.#waiting.splice(0)) look();
  }

  get lines(): readonly string[] {
    return this.#stdout.split("\n").slice(0, -1);
  }

  /** Resolves with the first whole line of standard output that has this in it; rejects when none comes any more. */
  async line(text: string | RegExp): Promise<string> {
    for (;;) {
      const found = this.lines.find((line) =>
        typeof text === "string" ? line.includes(text) : text.test(line),
      );
      if (found !== undefined) return found;
      if (this.#over) throw new Error(`no line with ${text}:\n${this.#stdout}\n${this.#stderr}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

/** A folder of one test. */
export class Place {
  readonly folder = mkdtempSync(join(tmpdir(), "spillway-cli-"));
  readonly #running: Running[] = [];

  constructor() {
    onTestFinished(async () => {
      for (const one of this.#running) if (one.child.exitCode === null) one.kill("SIGKILL");
      await Promise.all(this.#running.map((one) => one.ended));
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  /** A file below the folder; its path. */
  file(name: string, text: string): string {
    const path = join(this.folder, name);
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  /** A job module below `jobs/`: a plain object, as its file would be without the package installed. */
  job(name: string, perform: string, more = ""): void {
    this.file(`jobs/${name}.mjs`, `export default { name: "${name}", ${more} perform: ${perform} };\n`);
  }

  /** A pipe in the file system: a reader of it waits, in the kernel, until somebody writes. */
  pipe(name: string): string {
    const path = join(this.folder, name);
    execFileSync("mkfifo", [path]);
    return path;
  }

  start(...args: readonly string[]): Running {
    return this.#spawn(args, undefined);
  }

  startWith(input: string, ...args: readonly string[]): Running {
    return this.#spawn(args, input);
  }

  /** Runs a command to its end. */
  run(...args: readonly string[]): Promise<Ended> {
    return this.#spawn(args, undefined).ended;
  }

  /** Several jobs by one process: of a command each, most would be loading. */
  async enqueue(...jobs: readonly { name: string; id: string; args?: unknown }[]): Promise<void> {
    const { code, stderr } = await this.#started([ENQUEUE, JSON.stringify(jobs)], undefined).ended;
    if (code !== 0) throw new Error(stderr);
  }

  runWith(input: string, ...args: readonly string[]): Promise<Ended> {
    return this.#spawn(args, input).ended;
  }

  #spawn(args: readonly string[], input: string | undefined): Running {
    return this.#started([MAIN, ...args], input);
  }

  #started(args: readonly string[], input: string | undefined): Running {
    const running = new Running(this.folder, args, input);
    this.#running.push(running);
    return running;
  }
}
