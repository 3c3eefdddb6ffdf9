/**
 * Jobs that take their node's process down, on RabbitMQ: each costs one crash at most, is buried as poison by whoever has
 * it then, and nobody who ran beside it is. 3 poisons among 60 jobs; 10 runs of 1,000 with SPILLWAY_LONG.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { rabbitmq } from "../../src/amqp/index.ts";
import { defineJob } from "../../src/jobs/definition.ts";
import { Runtime } from "../../src/runtime/runtime.ts";
import { until } from "../conformance/harness.ts";
import { quiet } from "../runtime/support.ts";
import { describeAmqp, freshPrefix } from "./support/broker.ts";
import { cleanUpPrefix } from "./support/made.ts";
import { NodeProcess } from "./support/node-process.ts";

const [RUNS, JOBS] = process.env.SPILLWAY_LONG === undefined ? [1, 60] : [10, 1_000];
const POISONS = 3;
const mortal = defineJob({ name: "mortal", perform: (_args: { log: string; poison: boolean }) => {} });

/** Runs nodes, one after another as each dies; the signals that ended them, and who was buried there. */
class Service {
  readonly ends: string[] = [];
  readonly #buried = new Set<string>();
  readonly #told: (() => void)[] = [];
  #stopped = false;
  #current: NodeProcess | undefined;
  readonly #over: Promise<void>;

  constructor(url: string, prefix: string) {
    this.#over = this.#run(url, prefix);
  }

  async #run(url: string, prefix: string): Promise<void> {
    for (let at = 0; !this.#stopped; at++) {
      const node = new NodeProcess("node.mjs", { url, prefix, name: `node-${at}` });
      this.#current = node;
      node.listen(({ type, id }) => {
        if (type === "job.buried" && id !== undefined) this.#buried.add(id);
        for (const look of this.#told) look();
      });
      const end = await node.ended;
      if (!this.#stopped) this.ends.push(end);
    }
  }

  buries(count: number): Promise<void> {
    return new Promise((resolve) => this.#told.push(() => this.#buried.size >= count && resolve()));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#current?.stop();
    await this.#over;
  }
}

describeAmqp("poison", (url) => {
  test.each(Array.from({ length: RUNS }, (_, at) => at))(
    "jobs that kill their process are buried, and cost at most one crash each (%i)",
    {
      timeout: 300_000,
    },
    async () => {
      const prefix = freshPrefix();
      const folder = mkdtempSync(join(tmpdir(), "spillway-poison-"));
      const log = join(folder, "log");
      writeFileSync(log, "");
      const producer = await Runtime.start({
        broker: rabbitmq({ url, prefix, heartbeat: 1, newQueueGrace: 0 }),
        nodeTimeout: 7_000,
        partitions: { p: { default: 0 } },
        logger: quiet,
      });
      const services: Service[] = [];
      onTestFinished(async () => {
        for (const service of services) await service.stop();
        await producer.stop();
        await cleanUpPrefix(url, prefix, [{ partition: "p", queue: "default" }]);
        rmSync(folder, { recursive: true });
      });
      const args = Array.from({ length: JOBS + POISONS }, (_, at) => ({
        log,
        poison: at % Math.floor(JOBS / POISONS) === 5 && at < JOBS,
      }));
      const handles = await producer.enqueueMany(mortal, args, { partition: "p" });
      const poisons = handles.filter((_, at) => args[at]?.poison === true).map(({ id }) => id);
      expect(poisons).toHaveLength(POISONS);

      const service = new Service(url, prefix);
      services.push(service);
      await service.buries(POISONS);
      const graves = await until(
        () => producer.buried.list("p", "default"),
        (all) => all.length >= POISONS,
      );
      const ended = await until(
        () => readFileSync(log, "utf8").trim().split("\n"),
        (lines) => new Set(lines.map((line) => line.split(" ")[1])).size === JOBS,
      );

      expect(graves.map(({ id, reason, attempt }) => `${id} ${reason} ${attempt}`).sort()).toEqual(
        poisons.map((id) => `${id} poison 0`).sort(),
      );
      expect(ended.every((line) => line.split(" ")[2] === "0")).toBe(true);
      expect(service.ends).toEqual(service.ends.map(() => "SIGSEGV"));
      expect(service.ends.length).toBeGreaterThanOrEqual(1);
      expect(service.ends.length).toBeLessThanOrEqual(POISONS);
    },
  );
});
