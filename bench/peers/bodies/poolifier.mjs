/**
 * A thread of poolifier: a `ThreadWorker` with several task functions.
 */
import { ThreadWorker } from "poolifier";
import { computes, marked, noop } from "./bodies.mjs";

export default new ThreadWorker({ noop, computes, marked });
