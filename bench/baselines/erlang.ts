/**
 * An Erlang node beside us that runs the same casts, calls and spawns.
 *
 * Owns the `erl` process and the folder its module is compiled into; both go with `close`. Where `erl` or `erlc` is
 * not installed there is none, and rows say how to have it.
 */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { makeFolder, removeFolder } from "../runner/machine.ts";

export const HOW_TO =
  "no baseline: install Erlang/OTP 23 or newer (erl and erlc on the PATH) to compare with gen_server";

export class Erlang {
  /** For the baseline's name: `OTP 25 jit gen_server`. */
  readonly name: string;
  readonly #node: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  readonly #folder: string;

  private constructor(
    name: string,
    node: ChildProcessWithoutNullStreams,
    reader: Interface,
    lines: AsyncIterator<string>,
    folder: string,
  ) {
    this.name = name;
    this.#node = node;
    this.#reader = reader;
    this.#lines = lines;
    this.#folder = folder;
  }

  /** `undefined` when there is no Erlang here. */
  static async start(): Promise<Erlang | undefined> {
    const { path: folder } = makeFolder(undefined);
    const source = fileURLToPath(new URL("./erlang/kernel_bench.erl", import.meta.url));
    const compiled = spawnSync("erlc", ["-o", folder, source], { encoding: "utf8" });
    if (compiled.error !== undefined) {
      removeFolder(folder);
      return undefined;
    }
    if (compiled.status !== 0) throw new Error(`erlc: ${compiled.stdout}${compiled.stderr}`);
    const node = spawn("erl", ["-noshell", "-pa", folder, "-s", "kernel_bench", "main"], { stdio: "pipe" });
    const died = new Promise<never>((_, reject) => node.once("error", reject));
    const reader = createInterface({ input: node.stdout });
    const lines = reader[Symbol.asyncIterator]();
    const hello = await Promise.race([lines.next(), died]);
    return new Erlang(`OTP ${hello.value} gen_server`, node, reader, lines, folder);
  }

  /** Runs a case; the nanoseconds it took, or what else it answers. */
  async answer(name: string, count: number, callers: number): Promise<number> {
    this.#node.stdin.write(`${name} ${count} ${callers}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true)
      throw new Error("the Erlang node ended; run erlang/kernel_bench.erl by hand to see why");
    return Number(value);
  }

  async close(): Promise<void> {
    const gone = new Promise((resolve) => this.#node.once("exit", resolve));
    this.#node.stdin.end();
    await gone;
    this.#reader.close();
    removeFolder(this.#folder);
  }
}
