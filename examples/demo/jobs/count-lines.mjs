/**
 * A body that never returns: a small mistake, as one makes it, and no await anywhere.
 *
 * The runtime kills it at `maxExecutionTime` and tells in which line it was.
 */
import { defineJob } from "spillway/job";

export default defineJob({
  name: "count-lines",
  queue: "beside",
  maxExecutionTime: "1 second",
  perform({ text }) {
    return countLines(text);
  },
});

function countLines(text) {
  let lines = 0;
  let at = 0;
  while (at < text.length) {
    // Behind the last line break indexOf says -1, so this starts again at 0, for ever.
    at = text.indexOf("\n", at) + 1;
    lines += 1;
  }
  return lines;
}
