import { MemoryBroker } from "../../src/embedded/memory.ts";
import { conformance } from "./broker.ts";

conformance("memory", async () => ({ broker: new MemoryBroker(), dispose: async () => undefined }), {
  durable: false,
});
