/**
 * The same in a process, which shares no memory with the bench: its result says how often it ran bodies so far.
 */
import { computes, marked, noop, runsSoFar } from "./bodies.mjs";

const bodies = { noop, computes, marked };

export default async function processor({ name, data }) {
  bodies[name](data);
  return { pid: process.pid, runs: runsSoFar() };
}
