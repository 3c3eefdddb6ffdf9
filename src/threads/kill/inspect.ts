/**
 * What the operating system knows of a thread and of the processes it has started.
 *
 * Owns no state; reads `/proc` synchronously, some 50 µs, because libuv's pool may be full of what hangs. Elsewhere
 * than on Linux there is nothing to read and all answers are empty. Must be asked before the thread ends: the link
 * from a thread to its children is lost with it.
 */
import { readdirSync, readFileSync } from "node:fs";

export interface ThreadState {
  /** R running, S sleeping, D in the disk …, or undefined where it can't be read. */
  readonly state?: string;
  /** CPU time it has used, in clock ticks of 10 ms. */
  readonly cpuTicks?: number;
  /** The kernel's function it sleeps in. */
  readonly wchan?: string;
  /** Number of the system call it is in, `running` when in none. */
  readonly syscall?: string;
  /** The same in words. */
  readonly doing?: string;
}

const MS_A_TICK = 10;

const CALLS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  x64: {
    0: "read",
    1: "write",
    202: "futex",
    232: "epoll",
    281: "epoll",
    257: "openat",
    61: "wait4",
    7: "poll",
    9: "mmap",
    10: "mprotect",
    11: "munmap",
    12: "brk",
    28: "madvise",
  },
  arm64: {
    63: "read",
    64: "write",
    98: "futex",
    22: "epoll",
    56: "openat",
    260: "wait4",
    73: "poll",
    222: "mmap",
    226: "mprotect",
    215: "munmap",
    214: "brk",
    233: "madvise",
  },
};

/** They wait for each other, all threads of a process: none of these lasts. */
const OF_MEMORY = ["mmap", "mprotect", "munmap", "brk", "madvise"];
/** It sleeps and is in no call: in a page fault. */
const NO_CALL = "-1";

const WORDS: Readonly<Record<string, string>> = {
  read: "in system call read, waiting for input",
  write: "in system call write, waiting for room",
  futex: "waiting on a lock (Atomics.wait, or native code that waits for a thread)",
  epoll: "waiting in an event loop, its own or that of a child process it waits for",
  openat: "in system call openat, waiting for a pipe's other end or a slow file system",
  wait4: "waiting for a child process",
  poll: "waiting for a descriptor",
};

/** State of the thread with this system number; empty where it can't be read. */
export function inspectThread(tid: number): ThreadState {
  return tid === 0 ? {} : inspectTask(`/proc/self/task/${tid}`);
}

/** State of another process, of its main thread; empty where it can't be read. */
export function inspectProcess(pid: number): ThreadState {
  return inspectTask(`/proc/${pid}`);
}

/** From the state on; undefined where there is no such task. The name in brackets may itself hold blanks and brackets. */
function statOf(folder: string): string[] | undefined {
  const stat = read(`${folder}/stat`);
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
}

function inspectTask(folder: string): ThreadState {
  const fields = statOf(folder);
  if (fields === undefined) return {};
  const syscall = read(`${folder}/syscall`)?.split(" ")[0]?.trim();
  const wchan = read(`${folder}/wchan`)?.trim();
  return {
    ...(fields[0] === undefined ? {} : { state: fields[0] }),
    cpuTicks: Number(fields[11]) + Number(fields[12]),
    ...(wchan === undefined || wchan === "" || wchan === "0" ? {} : { wchan }),
    ...(syscall === undefined ? {} : { syscall }),
    doing: inWords(fields[0], syscall),
  };
}

/** Whether the thread only waits for events: then there is no stack to capture. */
export function isIdle(state: ThreadState): boolean {
  return state.state === "S" && (callName(state.syscall) === "epoll" || state.wchan === "ep_poll");
}

function wantsToRun({ state, syscall }: ThreadState): boolean {
  if (state !== "D") return state === "R";
  return syscall === NO_CALL || OF_MEMORY.includes(callName(syscall) ?? "");
}

/** Tells a thread that does not answer from one that the busy machine does not run. */
export class CpuShare {
  readonly #tid: number;
  readonly #startMs = performance.now();
  readonly #startTicks: number;

  constructor(tid: number) {
    this.#tid = tid;
    this.#startTicks = inspectThread(tid).cpuTicks ?? 0;
  }

  /** It wants to run and has had less than this much CPU time since; false where that can't be read. */
  owed(ms: number): boolean {
    const state = inspectThread(this.#tid);
    return wantsToRun(state) && ((state.cpuTicks ?? 0) - this.#startTicks) * MS_A_TICK < ms - MS_A_TICK;
  }

  /** It wants to run and has had less than four fifths of a CPU since; false where that can't be read. */
  starved(): boolean {
    return this.owed((performance.now() - this.#startMs) * 0.8);
  }
}

/** Processes started by the thread, and theirs, deepest last. */
export function childrenOf(tid: number): number[] {
  if (tid === 0) return [];
  return withDescendants(pidsIn(`/proc/self/task/${tid}/children`));
}

/** These processes and all below them. */
export function withDescendants(pids: readonly number[]): number[] {
  const all = [...pids];
  for (let i = 0; i < all.length; i++) {
    const tasks = `/proc/${all[i]}/task`;
    for (const task of names(tasks)) {
      for (const pid of pidsIn(`${tasks}/${task}/children`)) if (!all.includes(pid)) all.push(pid);
    }
  }
  return all;
}

/** It has not ended; a zombie has. Where that cannot be read, it counts as ended. */
export function isRunning(pid: number): boolean {
  const fields = statOf(`/proc/${pid}`);
  return fields !== undefined && fields[0] !== "Z";
}

/** SIGKILL to each; those that are gone already are no error. */
export function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    if (pid === 0) continue; // it was never started; to the kernel it means our own group
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // ESRCH: it ended by itself.
    }
  }
}

function inWords(state: string | undefined, syscall: string | undefined): string {
  const name = callName(syscall);
  if (name !== undefined) return WORDS[name] ?? `in system call ${name}`;
  if (state === "R" || syscall === "running") return "busy on the CPU";
  return syscall === undefined ? "sleeping" : `in system call ${syscall}`;
}

function callName(syscall: string | undefined): string | undefined {
  return syscall === undefined ? undefined : CALLS[process.arch]?.[syscall];
}

function pidsIn(path: string): number[] {
  return (read(path) ?? "")
    .split(" ")
    .map(Number)
    .filter((pid) => pid > 0);
}

function names(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
