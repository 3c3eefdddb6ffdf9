/**
 * Who ends the workers when we cannot: a small shell that reads from us which groups live, and ends them when its input
 * does.
 *
 * Owns that shell. Its input ends with our process, however that ends; so after a SIGKILL of ours no worker is left, and
 * no worker has to know anything for it. Without `/bin/sh` there is none, and workers see their standard input close.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";

const SHELL = "/bin/sh";

/** Lines are `+ PID` and `- PID`; at the end all that are left get SIGTERM, and after a grace SIGKILL. */
const SCRIPT = `
trap '' INT TERM HUP
live=" "
while read -r what pid; do
  case $what in
    +) live="$live$pid " ;;
    -) live="\${live%%" $pid "*} \${live#*" $pid "}" ;;
  esac
done
for pid in $live; do kill -s TERM -- "-$pid" 2>/dev/null; done
[ "$live" = " " ] || sleep "$1"
for pid in $live; do kill -s KILL -- "-$pid" 2>/dev/null; done
`;

export class Guard {
  readonly #shell: ChildProcess | undefined;

  constructor(graceMs: number) {
    if (!existsSync(SHELL)) return;
    const seconds = String(Math.max(1, Math.ceil(graceMs / 1_000)));
    this.#shell = spawn(SHELL, ["-c", SCRIPT, "spillway-guard", seconds], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    // Without it the workers' inputs still close.
    this.#shell.on("error", () => {});
    this.#shell.stdin?.on("error", () => {});
    this.#shell.unref();
  }

  lives(pid: number): void {
    this.#shell?.stdin?.write(`+ ${pid}\n`);
  }

  gone(pid: number): void {
    this.#shell?.stdin?.write(`- ${pid}\n`);
  }

  close(): void {
    this.#shell?.stdin?.end();
  }
}
