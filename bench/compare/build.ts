/**
 * The build of another commit, beside this one: its source and its `dist`, with the suites of today.
 *
 * Owns a git worktree in the system's folder for temporary files until `remove`. It has the packages that are installed
 * here, and today's `bench/`, so that both builds are asked the same; what the other one can't do yet fails there.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Usage } from "../runner/settings.ts";
import { git, ROOT } from "../runner/versions.ts";

export class OtherBuild {
  readonly root: string;
  /** Short, for tables. */
  readonly commit: string;
  readonly #above: string;

  private constructor(above: string, commit: string) {
    this.#above = above;
    this.root = join(above, "spillway");
    this.commit = commit;
  }

  /** @throws Usage when there is no such commit; Error when it can't be built. */
  static async of(ref: string): Promise<OtherBuild> {
    const commit = git("rev-parse", "--verify", "--quiet", "--short", `${ref}^{commit}`);
    if (commit === undefined || commit === "")
      throw new Usage(
        `--compare: there is no commit "${ref}" here; a shallow clone has few (git fetch --unshallow).`,
      );
    const build = new OtherBuild(mkdtempSync(join(tmpdir(), "spillway-compare-")), commit);
    try {
      build.#make();
      return build;
    } catch (error) {
      build.remove();
      throw error;
    }
  }

  #make(): void {
    must("git", ["worktree", "add", "--detach", "--quiet", this.root, this.commit], ROOT);
    const bench = join(this.root, "bench");
    rmSync(bench, { recursive: true, force: true });
    cpSync(join(ROOT, "bench"), bench, {
      recursive: true,
      filter: (path) => !path.endsWith("node_modules"),
    });
    for (const folder of ["node_modules", "bench/peers/node_modules"])
      if (existsSync(join(ROOT, folder))) symlinkSync(join(ROOT, folder), join(this.root, folder), "dir");
    must("npm", ["run", "--silent", "build"], this.root);
  }

  /** Whether the other commit asks for other packages than are installed here, with which it runs all the same. */
  get otherPackages(): boolean {
    const lock = (root: string) => readFileSync(join(root, "package-lock.json"), "utf8");
    return lock(ROOT) !== lock(this.root);
  }

  remove(): void {
    spawnSync("git", ["worktree", "remove", "--force", this.root], { cwd: ROOT });
    rmSync(this.#above, { recursive: true, force: true });
    spawnSync("git", ["worktree", "prune"], { cwd: ROOT });
  }
}

function must(command: string, args: readonly string[], cwd: string): void {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stdout}${stderr}`.trim());
}
