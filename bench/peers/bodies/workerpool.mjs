/**
 * A thread of workerpool: registers the bodies, as its documentation has it for dedicated workers.
 */
import workerpool from "workerpool";
import { computes, marked, noop } from "./bodies.mjs";

workerpool.worker({ noop, computes, marked });
