/**
 * What raw Piscina runs: the body of `jobs/stamped.mjs`, as a plain function.
 */
const { getEnvironmentData } = require("node:worker_threads");

const shared = getEnvironmentData("spillway-bench");
const runs = new Int32Array(shared);
const starts = new BigInt64Array(shared, 8);

module.exports = () => {
  Atomics.store(starts, 1, process.hrtime.bigint());
  Atomics.add(runs, 1, 1);
};
