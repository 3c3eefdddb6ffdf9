/** A supervisor of logging workers, for the tests of what it does when they end. */

import { type ChildSpec, type Intensity, type Strategy, supervisor } from "../../src/kernel/index.ts";
import { named, setup, take, type WorkerMessage, type WorkerOptions, workerSpec } from "./helpers.ts";

const often: Intensity = { restarts: 1_000, periodMs: 1_000 };

export async function supervised(options: {
  strategy?: Strategy;
  intensity?: Intensity;
  ids?: string;
  children?: (log: string[]) => ChildSpec[];
}) {
  const all = setup();
  const log: string[] = [];
  const children =
    options.children?.(log) ?? (options.ids ?? "a b c").split(" ").map((id) => workerSpec(log, id));
  const ref = await all.kernel.start(
    supervisor(
      { strategy: options.strategy ?? "one_for_one", children, intensity: options.intensity ?? often },
      () => 0.5,
    ),
    undefined,
    { name: "sup" },
  );
  take(log);
  const send = async (id: string, message: WorkerMessage): Promise<void> => {
    named(all.kernel, id).cast(message);
    await all.settle();
  };
  return { ...all, log, ref, send };
}

/** `b` cannot start as long as `broken.is`. */
export async function breakable(options: {
  strategy?: Strategy;
  intensity?: Intensity;
  spec?: Partial<ChildSpec>;
}) {
  const broken = { is: false };
  const failing: WorkerOptions = { failing: () => broken.is };
  const all = await supervised({
    ...options,
    children: (log) => [
      workerSpec(log, "a"),
      workerSpec(log, "b", options.spec, failing),
      workerSpec(log, "c"),
    ],
  });
  return { ...all, broken };
}
