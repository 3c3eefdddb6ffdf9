/** Waits for an answer that does not come. No code runs, so there is no stack: the report says that it waits. */
import { defineJob } from "spillway/job";

const answer = new Promise(() => {});

export default defineJob({
  name: "promise",
  queue: "wild",
  maxExecutionTime: 500,
  async perform() {
    return await answer;
  },
});
