/**
 * Admission for all pools of threads: what waits for a thread of one pool holds up nothing of another, also within a queue.
 *
 * Owns an admission of its own for each pool, the unnamed one first; that is also where processes get their slots, and
 * suspects with them. It adds nothing but the way to the right one, and the sums.
 */
import type { Behaviour, From, Out } from "../kernel/types.ts";
import {
  type AdmissionArgs,
  type AdmissionCounts,
  type AdmissionEffect,
  type AdmissionMessage,
  type AdmissionState,
  admissionState,
  countsOf,
  stepAdmission,
} from "./admission.ts";
import { type Others, offer } from "./others.ts";

export interface PoolAdmissionArgs {
  /** `undefined`: there are none, and can be none. */
  readonly others: Others | undefined;
  readonly own: AdmissionArgs;
  /** In the order of `KnownJob.pool`, which counts from 1 for them. */
  readonly named: readonly (AdmissionArgs & { readonly name: string })[];
}

export interface PoolAdmissionState<E = unknown> {
  readonly others: Others | undefined;
  readonly own: AdmissionState<E>;
  readonly named: readonly (AdmissionState<E> & { readonly name: string })[];
}

/** Sums, and each named pool by itself where there is one. */
export interface PoolCounts extends AdmissionCounts {
  readonly pools?: Readonly<Record<string, Omit<AdmissionCounts, "accepted">>>;
}

export function poolAdmissionState<E>({ own, named, others }: PoolAdmissionArgs): PoolAdmissionState<E> {
  return {
    others,
    own: admissionState(own),
    named: named.map((args) => ({ ...admissionState<E>(args), name: args.name })),
  };
}

export function stepPoolAdmission<E>(
  s: PoolAdmissionState<E>,
  m: AdmissionMessage<E>,
  now: number,
  out: Out<AdmissionMessage<E>, AdmissionEffect>,
): void {
  switch (m.t) {
    case "open":
      for (const pool of [s.own, ...s.named]) stepAdmission(pool, m, now, out);
      return;
    case "counts":
      return out.reply(m.from as From<PoolCounts>, sumOf(s));
    case "withdraw":
      return stepAdmission(poolOf(s, m.ask.pool), m, now, out);
    case "ask":
    case "done":
    case "wedged":
    case "gave-way":
    case "look":
      return stepAdmission(poolOf(s, m.pool), m, now, out);
    default:
      return stepAdmission(s.own, m, now, out);
  }
}

function poolOf<E>(s: PoolAdmissionState<E>, pool: number | undefined): AdmissionState<E> {
  return pool === undefined || pool === 0 ? s.own : (s.named[pool - 1] ?? s.own);
}

function sumOf<E>(s: PoolAdmissionState<E>): PoolCounts {
  const own = countsOf(s.own);
  if (s.named.length === 0) return own;
  const sum = { ...own };
  const pools: Record<string, Omit<AdmissionCounts, "accepted">> = {};
  for (const pool of s.named) {
    const { watermark, running, waiting, accepted } = countsOf(pool);
    pools[pool.name] = { watermark, running, waiting };
    sum.watermark += watermark;
    sum.running += running;
    sum.waiting += waiting;
    sum.accepted += accepted;
  }
  return { ...sum, pools };
}

export const poolAdmission: Behaviour<
  PoolAdmissionState,
  AdmissionMessage,
  AdmissionEffect,
  PoolAdmissionArgs
> = {
  kind: "admission",
  init: (args) => poolAdmissionState(args),
  step: stepPoolAdmission,
  interpret: ({ queues }, { others }) => {
    if (others !== undefined) void offer(queues, others);
  },
  describe: (s) => ({ ...sumOf(s) }),
};
