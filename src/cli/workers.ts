/**
 * `spillway workers`: so many processes of one command, in the foreground.
 *
 * Owns them until a signal ends them. Their lines are this command's output, each after its worker's number.
 */
import { Workers } from "../gateways/index.ts";
import type { Duration } from "../jobs/duration.ts";
import type { CommandCall } from "./command.ts";
import { UsageError } from "./errors.ts";
import { Signals } from "./signals.ts";

export async function workers(call: CommandCall): Promise<number> {
  const { terminal, positionals } = call;
  if (positionals.length === 0) throw new UsageError("there is no command to run after --.", call.command);
  const count = call.text("count") ?? "5";
  if (!/^\d{1,4}$/.test(count))
    throw new UsageError(`--count: expected a whole number, got "${count}".`, call.command);
  const grace = call.text("grace");
  const signals = new Signals(terminal, "workers get their grace, then they are killed");
  const all = new Workers(positionals, Number(count), {
    ...(grace === undefined ? {} : { grace: (/^\d+$/.test(grace) ? Number(grace) : grace) as Duration }),
    onLine: ({ wid, stream, text }) => {
      terminal.record({ type: "worker.line", at: Date.now(), wid, stream, text });
      if (stream === "stdout") terminal.line(`[${wid}] ${text}`);
      else if (!terminal.json) terminal.note(`[${wid}] ${text}`);
    },
    onExit: ({ wid, pid, exitCode, signal, message }) => {
      terminal.record({ type: "worker.exited", at: Date.now(), wid, pid, exitCode, signal });
      if (!terminal.json) terminal.note(message);
    },
  });
  try {
    await all.start();
    for (const { wid, pid } of all.running) {
      terminal.record({ type: "worker.started", at: Date.now(), wid, pid });
      terminal.line(`worker ${wid} is process ${pid}`);
    }
    await signals.first;
    await all.stop();
    terminal.record({ type: "workers.stopped", at: Date.now() });
    terminal.line("stopped");
    return 0;
  } finally {
    signals.close();
  }
}
