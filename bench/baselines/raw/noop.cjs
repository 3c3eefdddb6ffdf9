/**
 * What raw Piscina runs: the body of `jobs/noop.mjs`, as a plain function.
 */
const { getEnvironmentData } = require("node:worker_threads");

const runs = new Int32Array(getEnvironmentData("spillway-bench"));

module.exports = () => {
  Atomics.add(runs, 1, 1);
};
