/** A native call that takes an hour: no thread can be ended in the middle of one, a process can. */
import { pbkdf2Sync } from "node:crypto";
import { defineJob } from "spillway/job";

export default defineJob({
  name: "native",
  queue: "wild",
  runsIn: "process",
  maxExecutionTime: 500,
  perform: () => pbkdf2Sync("password", "salt", 2 ** 31 - 1, 64, "sha512").length,
});
