import { MemoryBroker } from "../../src/embedded/memory.ts";
import { conformance } from "./broker.ts";
import { ALL } from "./harness.ts";

conformance("memory", async () => ({ broker: new MemoryBroker(), dispose: async () => undefined }), {
  ...ALL,
  durable: false,
});
