import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EmbeddedBroker } from "../../src/embedded/broker.ts";
import { conformance } from "./broker.ts";
import { ALL } from "./harness.ts";

async function make() {
  const path = await mkdtemp(join(tmpdir(), "spillway-"));
  const create = () => new EmbeddedBroker({ path, tuning: { ballastBytes: 0 } });
  return {
    broker: create(),
    reopen: create,
    dispose: () => rm(path, { recursive: true, force: true }),
  };
}

conformance("embedded", make, ALL);
