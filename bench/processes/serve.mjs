/**
 * How a process beside the bench answers it: commands by name, one answer each, until its parent is gone.
 *
 * Owns the channel to the parent. What is thrown is the answer.
 */

/** In milliseconds, of the clock that all processes of a machine share. */
export const now = () => Number(process.hrtime.bigint()) / 1e6;

/** Says something that nobody asked for. */
export const tell = (event) => process.connected && process.send(event);

export function serve(commands) {
  process.once("disconnect", () => process.exit());
  process.on("message", async ({ serial, command, args }) => {
    try {
      tell({ serial, value: await commands[command](args) });
    } catch (error) {
      tell({ serial, error: String(error?.stack ?? error) });
    }
  });
  tell({ event: "ready" });
}
