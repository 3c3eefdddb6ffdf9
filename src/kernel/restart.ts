/**
 * Restart decisions, pure: which exit is followed by a restart, when, and who is stopped and started with it.
 *
 * Owns nothing; time and chance are arguments. `supervisor.ts` and `dynamic-supervisor.ts` carry out what
 * this file decides, which is OTP's `supervisor.erl` with the delayed restart of RabbitMQ's
 * `supervisor2.erl`.
 */

import { isOrderly } from "./exit.ts";
import type { Backoff, ExitReason, Intensity, RestartKind, Strategy } from "./types.ts";

/** OTP's default. */
export const DEFAULT_INTENSITY: Intensity = { restarts: 1, periodMs: 5_000 };

/** `permanent`: always; `transient`: after what is not orderly; `temporary`: never. */
export function isRestarted(kind: RestartKind, reason: ExitReason): boolean {
  if (kind === "permanent") return true;
  return kind === "transient" && !isOrderly(reason);
}

/** The restarts within the period, with one at `now`; `exceeded` when they are more than is allowed. */
export function addRestart(
  restarts: readonly number[],
  now: number,
  intensity: Intensity,
): { readonly restarts: number[]; readonly exceeded: boolean } {
  const within = restarts.filter((at) => now - at <= intensity.periodMs);
  within.push(now);
  return { restarts: within, exceeded: within.length > intensity.restarts };
}

/** Before restart `nth` in a row (1 is the first). `random` is in 0 … 1; 0.5 is the middle. */
export function backoffDelayMs(backoff: Backoff, nth: number, random: number): number {
  const plainMs = Math.min(backoff.maxMs, backoff.firstMs * backoff.factor ** (nth - 1));
  return Math.max(0, plainMs * (1 + (backoff.jitter ?? 0) * (2 * random - 1)));
}

/** What is known when a child has ended, or a restart of it has failed. */
export interface ExitCase {
  readonly kind: RestartKind;
  readonly reason: ExitReason;
  readonly now: number;
  readonly restarts: readonly number[];
  readonly intensity: Intensity;
  readonly backoff?: Backoff | undefined;
  readonly delayedRestartMs?: number | undefined;
  /** Restarts in a row so far. */
  readonly inRow: number;
  readonly random: number;
}

export type Decision =
  /** A temporary child's slot goes with it. */
  | { readonly type: "forget" }
  /** A transient child is done; its slot stays. */
  | { readonly type: "rest" }
  | { readonly type: "restart"; readonly afterMs: number; readonly restarts: number[] }
  /** supervisor2: too many restarts, and yet again after this long. */
  | { readonly type: "delay"; readonly afterMs: number; readonly restarts: number[] }
  | { readonly type: "giveUp"; readonly restarts: number[] };

export function decide(one: ExitCase): Decision {
  if (one.kind === "temporary") return { type: "forget" };
  if (!isRestarted(one.kind, one.reason)) return { type: "rest" };
  const { restarts, exceeded } = addRestart(one.restarts, one.now, one.intensity);
  if (exceeded) {
    if (one.delayedRestartMs === undefined) return { type: "giveUp", restarts };
    // At most `restarts` entries are ever of use: a child that fails for a week must not fill the memory.
    return {
      type: "delay",
      afterMs: one.delayedRestartMs,
      restarts: restarts.slice(-one.intensity.restarts - 1),
    };
  }
  const afterMs = one.backoff === undefined ? 0 : backoffDelayMs(one.backoff, one.inRow + 1, one.random);
  return { type: "restart", afterMs, restarts };
}

/** The ids that a restart of `failed` concerns, in the order of their slots. */
export function affected(strategy: Strategy, ids: readonly string[], failed: string): readonly string[] {
  if (strategy === "one_for_all") return ids;
  const at = ids.indexOf(failed);
  if (at < 0) return [];
  return strategy === "rest_for_one" ? ids.slice(at) : [failed];
}

export interface RestartChild {
  readonly id: string;
  readonly kind: RestartKind;
  readonly running: boolean;
}

export interface RestartPlan {
  /** Right to left; only what runs. */
  readonly stop: readonly string[];
  /** Left to right. */
  readonly start: readonly string[];
  /** Temporary children that were stopped for the sake of others are not started again. */
  readonly forget: readonly string[];
}

/** Who is stopped and who is started, in which order, when `failed` has to be restarted. */
export function restartPlan(
  strategy: Strategy,
  children: readonly RestartChild[],
  failed: string,
): RestartPlan {
  const ids = new Set(
    affected(
      strategy,
      children.map((child) => child.id),
      failed,
    ),
  );
  const concerned = children.filter((child) => ids.has(child.id));
  const lasting = concerned.filter((child) => child.kind !== "temporary");
  return {
    stop: concerned
      .filter((child) => child.running)
      .map((child) => child.id)
      .reverse(),
    start: lasting.map((child) => child.id),
    forget: concerned.filter((child) => child.kind === "temporary").map((child) => child.id),
  };
}
