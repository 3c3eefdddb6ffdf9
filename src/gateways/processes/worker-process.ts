/**
 * One worker process, as an actor: it lives as long as its process does.
 *
 * Owns the process and its group. It ends when the process has ended, and takes what is left of the group with it; its
 * supervisor starts the next. Asked to end: a signal, after the grace SIGKILL.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { newId } from "../../jobs/ids.ts";
import { crash, SHUTDOWN } from "../../kernel/exit.ts";
import type { Behaviour, Out, Self } from "../../kernel/types.ts";
import { WorkerExited } from "../errors.ts";
import { withId } from "./command.ts";
import type { Guard } from "./guard.ts";
import { Lines } from "./lines.ts";
import { forget, PROCESS_VARIABLE, remember } from "./own.ts";

/** A line that a worker has written. */
export interface WorkerLine {
  readonly wid: number;
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

export interface WorkerProcessArgs {
  readonly wid: number;
  readonly words: readonly string[];
  readonly cwd: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: NodeJS.Signals;
  readonly graceMs: number;
  readonly guard: Guard;
  /** Worker number → process number, of those that live. */
  readonly living: Map<number, number>;
  line(line: WorkerLine): void;
  exited(error: WorkerExited): void;
}

interface State {
  readonly args: WorkerProcessArgs;
  readonly child: ChildProcess;
  stopping: boolean;
}

type Message =
  | { readonly t: "exited"; readonly code: number | null; readonly signal: NodeJS.Signals | null }
  | { readonly t: "shutdown" }
  | { readonly t: "grace-over" };
type Effect =
  | { readonly t: "kill"; readonly signal: NodeJS.Signals }
  | { readonly t: "tell"; readonly error: WorkerExited };

export const workerProcess: Behaviour<State, Message, Effect, WorkerProcessArgs> = {
  kind: "worker-process",
  init: begin,
  step,
  interpret: (effect, { args, child }) => {
    if (effect.t === "tell") args.exited(effect.error);
    else killGroup(child.pid, effect.signal);
  },
  shutdown: () => ({ t: "shutdown" }),
  describe: ({ args, child }) => ({ wid: args.wid, pid: child.pid }),
};

function step(s: State, m: Message, _now: number, out: Out<Message, Effect>): void {
  switch (m.t) {
    case "shutdown":
      s.stopping = true;
      out.effect({ t: "kill", signal: s.args.signal });
      return out.timer("grace", s.args.graceMs, { t: "grace-over" });
    case "grace-over":
      return out.effect({ t: "kill", signal: "SIGKILL" });
    case "exited": {
      out.effect({ t: "kill", signal: "SIGKILL" });
      if (s.stopping) return out.stop(SHUTDOWN);
      const error = new WorkerExited(s.args.wid, s.child.pid ?? 0, m.code, m.signal);
      out.effect({ t: "tell", error });
      return out.stop(crash(error));
    }
  }
}

/** Rejects with what kept it from starting. */
function begin(args: WorkerProcessArgs, self: Self<Message>): Promise<State> {
  const { wid, cwd, env, guard, living } = args;
  const [file = "", ...rest] = withId(args.words, wid);
  const word = newId();
  const child = spawn(file, rest, {
    // Its input closes when we end: a worker that reads it knows.
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
    env: { ...env, WID: String(wid), [PROCESS_VARIABLE]: word },
    ...(cwd === undefined ? {} : { cwd }),
  });
  child.stdin?.on("error", () => {});
  for (const stream of ["stdout", "stderr"] as const) {
    const lines = new Lines((text) => args.line({ wid, stream, text }));
    child[stream]?.on("data", (chunk: Buffer) => lines.push(chunk)).on("end", () => lines.end());
  }
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("spawn", () => {
      const pid = child.pid ?? 0;
      guard.lives(pid);
      living.set(wid, pid);
      remember(word, pid);
      // Not `close`: what it has started may hold its output open, and is ended now.
      child.once("exit", (code, signal) => {
        guard.gone(pid);
        living.delete(wid);
        forget(word);
        self.ref.cast({ t: "exited", code, signal });
      });
      resolve({ args, child, stopping: false });
    });
  });
}

function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It is gone.
  }
}
