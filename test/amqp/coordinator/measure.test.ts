import { monitorEventLoopDelay } from "node:perf_hooks";
import { test } from "vitest";
import { describeAmqp } from "../support/broker.ts";
import { set, apply } from "./history.ts";
import { Council } from "./council.ts";
describeAmqp("x", (url) => {
  test.each([[10_000, 0], [10_000, 14_000], [100_000, 0], [1_000_000, 0]])("%i keys, %i records", { timeout: 100_000 }, async (keys, records) => {
    const log = (...x: unknown[]) => process.stderr.write(`MEASURED ${keys} ${records}: ${x.join(" ")}\n`);
    const council = new Council(url);
    const [a, b] = await council.seated(2, { limits: { compactAt: 1e9 } });
    if (!a || !b) return;
    a.sliceLength = b.sliceLength = 1000;
    for (let n = 0; n < keys; n++) a.state.set(`some-key-${n}`, `0196a5f0-0000-7000-8000-${n}`);
    let t = Date.now();
    const h = monitorEventLoopDelay({ resolution: 1 }); h.enable();
    await a.seat.compact();
    h.disable();
    log(`compaction ${Date.now() - t} ms, event loop max ${(h.max / 1e6).toFixed(1)} p99 ${(h.percentile(99) / 1e6).toFixed(1)}, records ${a.seat.records}`);
    t = Date.now();
    // each a record of its own: one at a time is slow, so many windows
    for (let n = 0; n < records; n++) { if (n % 1000 === 0) await a.seat.append([]); const c = set(`k${n}`, "x"); apply(a.state, c); await a.seat.append([c]); if (Date.now() - t > 60_000) { log("stopped at", n); break; } }
    log(`records ${a.seat.records} in ${Date.now() - t} ms`);
    t = Date.now();
    const many = Array.from({ length: 20_000 }, (_, n) => a.put([`m${n % 100}`, "y"]));
    await Promise.all(many);
    log(`20000 appends ${Date.now() - t} ms, records ${a.seat.records}`);
    t = Date.now();
    a.cut();
    await b.rules();
    log(`fail-over ${Date.now() - t} ms, keys ${b.state.size}`);
  });
});
