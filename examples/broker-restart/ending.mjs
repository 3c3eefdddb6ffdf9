/**
 * How an example ends: well, with a mistake of whoever called it, or by a signal in the middle of all that it has started.
 *
 * Owns the signals from `clearOnSignals` on. What fails while everything is taken away is nobody's concern.
 */
import { rmSync } from "node:fs";

const SIGNALS = { SIGINT: 130, SIGTERM: 143 };
let interrupted = false;

/** `stage.clear` takes away what was started; `folder` goes too. */
export function clearOnSignals(stage, screen, folder) {
  for (const [signal, code] of Object.entries(SIGNALS))
    process.on(signal, async () => {
      if (interrupted) return;
      interrupted = true;
      screen.end();
      screen.print(`  ${signal}: what was started is taken away.`);
      await stage.clear().catch(() => {});
      rmSync(folder, { recursive: true, force: true });
      process.exit(code);
    });
}

/** Runs `main`. Exit code 2 for a `Usage`, whose message is all that is shown, 1 for what else it throws. */
export async function ended(name, main, Usage) {
  try {
    await main();
  } catch (error) {
    if (interrupted) await new Promise(() => {});
    const message = error instanceof Usage || error.code !== undefined ? error.message : error.stack;
    process.stderr.write(`${name}: ${message}\n`);
    process.exitCode = error instanceof Usage ? 2 : 1;
  }
}
