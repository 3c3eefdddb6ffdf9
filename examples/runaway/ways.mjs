/**
 * The ways not to end, in the order of their turns, and what must be known of each afterwards.
 *
 * `hungIn`: the function and file that the stack must begin with. `waits`: there is no stack, because nothing runs; the
 * report must say so. `children`: the body has started a process, which must be gone too.
 */
export const LIMIT_MS = 500;

export const WAYS = [
  { job: "spin", does: "for (;;) {}", kind: "timeout", hungIn: ["addUp", "spin.mjs"] },
  {
    job: "regexp",
    does: "a regular expression that backtracks",
    kind: "timeout",
    hungIn: ["isPlainText", "regexp.mjs"],
  },
  { job: "lock", does: "Atomics.wait, in TypeScript", kind: "timeout", hungIn: ["acquire", "lock.ts"] },
  { job: "promise", does: "a promise that never settles", kind: "timeout", waits: true },
  { job: "child", does: 'execSync("sleep 60")', kind: "timeout", children: true },
  { job: "native", does: "pbkdf2Sync, in a process", kind: "timeout" },
  { job: "crash", does: "a native crash, in a process", kind: "crash" },
];
