/**
 * The gateways' child of the tree: opens their ports after there is somewhere to put workers, closes them after the
 * last job has ended.
 *
 * Owns the gateways' lives. One that cannot start keeps the node from starting, with the others closed again.
 */
import type { Behaviour } from "../../kernel/types.ts";
import type { ExternalWorkers, Gateway } from "./port.ts";

export interface GatewayArgs {
  readonly gateways: readonly Gateway[];
  readonly workers: ExternalWorkers;
}

export const gatewayKeeper: Behaviour<GatewayArgs, never, never, GatewayArgs> = {
  kind: "gateways",
  init: async (args) => {
    try {
      for (const gateway of args.gateways) await gateway.start(args.workers);
    } catch (error) {
      await stopAll(args);
      throw error;
    }
    return args;
  },
  step: () => {},
  terminate: stopAll,
  describe: ({ gateways }) => Object.fromEntries(gateways.map((one) => [one.kind, one.describe()])),
};

async function stopAll({ gateways }: GatewayArgs): Promise<void> {
  await Promise.all(gateways.map((gateway) => gateway.stop()));
}
