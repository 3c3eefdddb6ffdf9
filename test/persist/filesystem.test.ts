/**
 * The files of `filesystem({ path })`: killed, cut and damaged, two writers of one, and names of every kind.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { Files, fileName } from "../../src/persist/files.ts";
import { type FilesystemPersister, filesystem } from "../../src/persist/filesystem.ts";
import { readChanges } from "../../src/persist/lines.ts";

const WRITER = fileURLToPath(new URL("./fixtures/writer.ts", import.meta.url));
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (got: Uint8Array | undefined) => (got === undefined ? undefined : Buffer.from(got).toString());

let folder: string;

beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "spillway-files-")), "made", "anew");
  onTestFinished(() => rmSync(join(folder, "..", ".."), { recursive: true, force: true }));
});

function opened(): FilesystemPersister {
  const one = filesystem({ path: folder });
  onTestFinished(() => one.close());
  return one;
}

describe("filesystem", () => {
  test("gives back what was stored and what was appended since; nothing where nothing was", async () => {
    const one = opened();
    await one.init("p");
    expect(await one.load("p")).toBeUndefined();
    await one.store("p", bytes("state "));
    await one.append("p", bytes("and "));
    await one.append("p", bytes("more"));
    expect(text(await one.load("p"))).toBe("state and more");
    await one.store("p", bytes("anew"));
    await one.append("p", bytes("!"));
    const two = opened();
    expect(text(await two.load("p"))).toBe("anew!");
    expect(readdirSync(folder)).toEqual(["p-p.2.state"]);
  });

  test("stores what is larger than a piece, byte for byte", async () => {
    const one = opened();
    await one.init("p");
    const large = Buffer.alloc(3 * 1024 * 1024 + 17, "0123456789");
    await one.store("p", large);
    expect(Buffer.compare((await one.load("p")) ?? new Uint8Array(), large)).toBe(0);
    expect(large.length).toBe(3 * 1024 * 1024 + 17);
  });

  test("has one file a partition, whatever the name; none leads out of the folder", async () => {
    const one = opened();
    const names = ["mail", "Mail", "MAIL", "con", "a-b_c", "../../out", "a/b", "ü", "9".repeat(60)];
    await one.init("mail");
    for (const name of names) await one.store(name, bytes(name));
    for (const name of names) expect(text(await one.load(name))).toBe(name);
    const files = readdirSync(folder);
    expect(files).toHaveLength(names.length);
    expect(new Set(files.map((file) => file.toLowerCase())).size).toBe(names.length);
    expect(fileName("Mail")).toBe("p-+4dail");
  });

  test("a folder that cannot be made, or is taken away, is told", async () => {
    mkdirSync(join(folder, ".."), { recursive: true });
    writeFileSync(folder, "a file");
    const one = opened();
    await expect(one.init("p")).rejects.toThrow(/EEXIST|ENOTDIR/);
    rmSync(folder);
    await one.init("p");
    await one.store("p", bytes("x"));
    rmSync(folder, { recursive: true });
    await expect(one.load("p")).rejects.toThrow("ENOENT");
    await expect(one.store("p", bytes("y"))).rejects.toThrow("ENOENT");
  });

  test("what is appended before anything was stored is refused", async () => {
    const one = opened();
    await one.init("p");
    await expect(one.append("p", bytes("x"))).rejects.toThrow('nothing is stored yet of partition "p"');
  });

  test("works again after its thread has ended", async () => {
    const one = opened();
    await one.init("p");
    await one.store("p", bytes("a"));
    await one.close();
    await one.append("p", bytes("b"));
    expect(text(await one.load("p"))).toBe("ab");
  });

  test.each([
    [{ path: "" }, /filesystem.path: expected a folder/],
    [{ path: "x", shared: 1 }, /filesystem.shared: expected true or false/],
    [{ path: "x", share: true }, /did you mean "filesystem.shared"/],
    [undefined, /filesystem.path/],
  ])("refuses options %j", (options, why) => {
    expect(() => filesystem(options as never)).toThrow(why);
  });
});

describe("two writers of one partition", () => {
  test("whoever has stored last has it; the other is told, and nothing of his is read", () => {
    const [before, after] = [new Files(folder), new Files(folder)];
    before.init();
    const store = (files: Files, what: string) => {
      files.begin("p");
      files.piece("p", bytes(what));
      files.finish("p");
    };
    store(before, "one ");
    store(after, "two ");
    expect(() => before.append("p", bytes("late"))).toThrow(/another process has stored/);
    after.append("p", bytes("goes on"));
    expect(text(after.load("p"))).toBe("two goes on");
  });

  test("one that was frozen while it stored does not put its state over a newer one", () => {
    const [frozen, after] = [new Files(folder), new Files(folder)];
    frozen.init();
    frozen.begin("p");
    frozen.piece("p", bytes("old"));
    for (const what of ["newer", "newest"]) {
      after.begin("p");
      after.piece("p", bytes(what));
      after.finish("p");
    }
    expect(() => frozen.finish("p")).toThrow(/another process has stored|ENOENT/);
    expect(text(after.load("p"))).toBe("newest");
    after.append("p", bytes("!"));
    expect(text(after.load("p"))).toBe("newest!");
  });
});

describe("killed", () => {
  /** Lets it write for so many lines, then kills it; the last value that it said to be durable. */
  async function run(lines: number): Promise<{ readonly open: number; readonly last: number }> {
    const child = spawn(process.execPath, ["--import", "tsx", WRITER, folder], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    let said = "";
    const ended = once(child, "exit");
    child.stdout?.setEncoding("utf8").on("data", (part: string) => {
      said += part;
      if (said.split("\n").length > lines) child.kill("SIGKILL");
    });
    await ended;
    const [first = "", ...rest] = said.split("\n").slice(0, -1);
    return { open: Number(first.replace("open ", "")), last: Number(rest.at(-1)) };
  }

  function values(): Map<string, number> {
    const newest = readdirSync(folder).filter((file) => file.endsWith(".state"));
    const files = new Files(folder);
    const changes = [...readChanges(files.load("p") ?? new Uint8Array(), "p")].flat();
    expect(newest.length).toBeGreaterThan(0);
    return new Map(
      changes.map((one) => one as unknown as { key: string; value: number }).map((c) => [c.key, c.value]),
    );
  }

  test("again and again by SIGKILL: what was answered is there, and goes on from there", {
    timeout: 120_000,
  }, async () => {
    let last = 0;
    for (const lines of [3, 40, 111, 250, 90, 17]) {
      const { open, last: newest } = await run(lines);
      // one more may have become durable than was said
      expect([last, last + 1]).toContain(open);
      last = newest;
      const state = values();
      expect([last, last + 1]).toContain(Math.max(...state.values()));
    }
  });

  test("what it was writing beside is removed by the next", async () => {
    const one = opened();
    await one.init("p");
    await one.store("p", bytes("a"));
    writeFileSync(join(folder, "p-p.2.state.123-abc.tmp"), "half");
    await one.store("p", bytes("b"));
    expect(readdirSync(folder)).toEqual(["p-p.2.state"]);
    expect(existsSync(join(folder, "p-p.1.state"))).toBe(false);
    expect(readFileSync(join(folder, "p-p.2.state"), "utf8")).toBe("b");
  });
});
