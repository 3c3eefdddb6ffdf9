/**
 * Entry of the thread of `filesystem({ path })`. CommonJS: with libuv's pool full, a thread with an ESM entry took 15 s
 * to start.
 */
const { start } = require("./thread.js") as { start: () => void };

start();
