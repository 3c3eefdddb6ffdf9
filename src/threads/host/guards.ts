/**
 * What ends a thread from within: `process.exit`, an uncaught exception, an unhandled rejection.
 *
 * Owns the handlers, for the thread's life. Each first tells main whose doing it was, which AsyncLocalStorage knows
 * even for a timer that an ended body left behind: the body that happens to run then is a neighbour and runs
 * again. A body's child processes are told too, because after the thread they can't be found any more.
 */
import { readFileSync } from "node:fs";
import { failureOf, plain } from "./failure.ts";
import type { Host } from "./host.ts";

export function guardThread(host: Host): void {
  const exit = process.exit.bind(process);
  process.on("uncaughtException", (error) => {
    host.tellDying(failureOf(error, "crash"), childPids());
    exit(1);
  });
  process.exit = (code) => {
    const shown = code ?? process.exitCode ?? 0;
    host.tellDying(plain("exit", "ProcessExit", `called process.exit(${shown})`, false), childPids());
    return exit(code);
  };
}

function childPids(): number[] {
  try {
    const text = readFileSync("/proc/thread-self/children", "utf8").trim();
    return text === "" ? [] : text.split(" ").map(Number);
  } catch {
    return [];
  }
}
