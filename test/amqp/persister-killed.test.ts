/**
 * Coordinators that keep their state in a shared folder, in processes that are killed and frozen while they take keys: every
 * key that anybody was told to have is held by its job, whoever rules next.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { rabbitmq } from "../../src/amqp/index.ts";
import { defineJob } from "../../src/jobs/definition.ts";
import { filesystem } from "../../src/persist/filesystem.ts";
import { Runtime } from "../../src/runtime/runtime.ts";
import { quiet } from "../runtime/support.ts";
import { describeAmqp, freshPrefix } from "./support/broker.ts";
import { cleanUpPrefix } from "./support/made.ts";
import { type Given, NodeProcess } from "./support/node-process.ts";

const again = defineJob({
  name: "again",
  queueKey: ({ key }: { key: string }) => key,
  perform: () => undefined,
});

interface Told {
  readonly type: "elected" | "has";
  readonly key: string;
  readonly id: string;
}

class Place {
  readonly prefix = freshPrefix();
  readonly folder = mkdtempSync(join(tmpdir(), "spillway-shared-"));
  readonly #children: Taker[] = [];

  constructor(readonly url: string) {
    onTestFinished(async () => {
      await Promise.all(this.#children.map((child) => child.kill()));
      await cleanUpPrefix(url, this.prefix, [{ partition: "p", queue: "default" }]);
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  taker(name: string): Taker {
    const { url, prefix, folder } = this;
    const child = new Taker({ url, prefix, name, folder });
    this.#children.push(child);
    return child;
  }

  /** Asks whoever rules for every key that somebody has: all are held, by the ids that were told. */
  async check(...takers: readonly Taker[]): Promise<number> {
    const runtime = await Runtime.start({
      broker: rabbitmq({ url: this.url, prefix: this.prefix, heartbeat: 1, newQueueGrace: 0 }),
      nodeTimeout: 7_000,
      persister: filesystem({ path: this.folder, shared: true }),
      partitions: { p: { default: 0 } },
      logger: quiet,
    });
    try {
      const all = takers.flatMap(({ has }) => [...has]);
      const asked = all.map(async ([key, id]) => {
        const error: unknown = await runtime
          .enqueue(again, { key }, { partition: "p" })
          .catch((thrown) => thrown);
        expect({ key, error }).toMatchObject({
          key,
          error: { code: "DuplicateJob", by: "queueKey", holder: id },
        });
      });
      await Promise.all(asked);
      return all.length;
    } finally {
      await runtime.stop();
    }
  }
}

class Taker extends NodeProcess<Told> {
  readonly has = new Map<string, string>();
  elections = 0;

  constructor(given: Given & { readonly folder: string }) {
    super("keyed.mjs", given);
    this.listen(({ type, key, id }) => {
      if (type === "elected") this.elections += 1;
      else this.has.set(key, id);
    });
  }

  holds(count: number): Promise<void> {
    return this.until(() => this.has.size >= count);
  }
}

describeAmqp("a coordinator with a shared folder", (url) => {
  test("killed three times while it takes keys, leaves every key that was answered", {
    timeout: 180_000,
  }, async () => {
    const place = new Place(url);
    const takers: Taker[] = [];
    for (const name of ["a", "b", "c"]) {
      const taker = place.taker(name);
      takers.push(taker);
      await taker.holds(150);
      await taker.kill(); // alone, so it ruled
    }
    expect(await place.check(...takers)).toBeGreaterThanOrEqual(450);
  });

  test("frozen until the next one rules, changes nothing when it wakes up", {
    timeout: 180_000,
  }, async () => {
    const place = new Place(url);
    const frozen = place.taker("frozen");
    await frozen.holds(100);
    const heir = place.taker("heir");
    await heir.holds(20);
    expect(frozen.elections).toBe(1);
    frozen.signal("SIGSTOP");
    await heir.holds(heir.has.size + 100);
    expect(heir.elections).toBe(1);
    frozen.signal("SIGCONT");
    // it goes on, as a node whose coordinator is elsewhere
    await frozen.holds(frozen.has.size + 100);
    await Promise.all([frozen.kill(), heir.kill()]);
    expect(await place.check(frozen, heir)).toBeGreaterThan(300);
  });
});
