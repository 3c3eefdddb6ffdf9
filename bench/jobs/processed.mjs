/**
 * The bodies of the rows about processes and kills, which share no memory to count in: one says when it began, by the clock that
 * all processes of a machine share, one keeps libuv's pool full until it is told to end, the others hang.
 */
import { pbkdf2, pbkdf2Sync } from "node:crypto";
import { promisify } from "node:util";
import { defineJob } from "spillway/job";

const WAYS = {
  noop: () => {},
  began: () => process.hrtime.bigint(),
  spins: () => {
    for (;;);
  },
  waits: () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0),
  microtasks: async () => {
    for (;;) await undefined;
  },
  silent: () => new Promise(() => {}),
  fills: async ({ signal }) => {
    const derive = () => promisify(pbkdf2)("secret", "salt", 50_000, 64, "sha512");
    const keep = async () => {
      while (!signal.aborted) await derive();
    };
    await Promise.all(Array.from({ length: 8 }, keep));
  },
  native: () => pbkdf2Sync("secret", "salt", 2 ** 31 - 1, 64, "sha512"),
};

export default defineJob({ name: "processed", perform: ({ way }, context) => WAYS[way](context) });
