/**
 * System: this node among its peers: what is asked of it by name, and who else is there.
 *
 * Owns the table of commands. Commands come from any node, this one included; an unknown one is an error in its
 * answer, never a hang. When it dies, its supervisor starts it again and it serves anew.
 */

import { toError } from "../kernel/exit.ts";
import type { Behaviour, Ref } from "../kernel/types.ts";
import { UnknownCommand } from "./errors.ts";
import type { NodeServices } from "./services.ts";

export type Command = (args: unknown) => unknown;

export type SystemMessage = {
  readonly t: "ask";
  readonly command: string;
  readonly args: unknown;
  readonly answer: (value: Promise<unknown>) => void;
};

type Effect = { readonly t: "run"; readonly command: Command | undefined; readonly of: SystemMessage };

export interface SystemState {
  readonly commands: ReadonlyMap<string, Command>;
}

export interface SystemArgs {
  readonly services: NodeServices;
  /** Shared with the runtime, which registers in it. */
  readonly commands: ReadonlyMap<string, Command>;
}

export const system: Behaviour<SystemState, SystemMessage, Effect, SystemArgs> = {
  kind: "system",
  init: async ({ services, commands }, self) => {
    await services.broker.cluster.serve(services.node, (command, args) => ask(self.ref, command, args));
    return { commands };
  },
  step: (s, m, _now, out) => out.effect({ t: "run", command: s.commands.get(m.command), of: m }),
  interpret: ({ command, of }) => of.answer(run(command, of)),
  describe: (s) => ({ commands: [...s.commands.keys()] }),
};

function ask(ref: Ref<SystemMessage>, command: string, args: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    if (!ref.cast({ t: "ask", command, args, answer: resolve }))
      reject(new Error("this node's system is not running"));
  });
}

async function run(command: Command | undefined, of: SystemMessage): Promise<unknown> {
  if (command === undefined) throw new UnknownCommand(of.command);
  try {
    return await command(of.args);
  } catch (error) {
    throw toError(error);
  }
}
