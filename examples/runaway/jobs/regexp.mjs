/** A regular expression that has 2^60 ways to fail: one call, no JavaScript runs in it. */
import { defineJob } from "spillway/job";

const WORDS = /^(\w+\s?)+$/;

function isPlainText(text) {
  return WORDS.test(text);
}

export default defineJob({
  name: "regexp",
  queue: "wild",
  maxExecutionTime: 500,
  perform: () => isPlainText(`${"a".repeat(60)}!`),
});
