/**
 * A sandboxed processor of BullMQ, as it runs in a thread: the job's name says which body.
 */
import { computes, marked, noop } from "./bodies.mjs";

const bodies = { noop, computes, marked };

export default async function processor({ name, data }) {
  bodies[name](data);
}
