/**
 * GlobalCoordinator of one partition: execution keys, and the place where cancel is decided.
 *
 * Owns the execution keys of what runs and waits here. With a broker of one process it is elected at once; queue
 * keys, pauses and marks of cancelled ids live in the broker's own store, in the same commit as the jobs. On RabbitMQ
 * the cluster's coordinator sits in the broker (`amqp/coordinator`), and this is the node's address for it. When it
 * dies the partition's other actors restart with it (rest_for_one), hand back what had not started, and ask again.
 */
import type { Behaviour, From, Out, Ref } from "../kernel/types.ts";
import { ExecutionKeys, type Requester } from "./execution-keys.ts";
import type { NodeServices } from "./services.ts";

export type CoordinatorMessage =
  | { readonly t: "elected"; readonly epoch: number }
  | { readonly t: "deposed" }
  | {
      readonly t: "acquire";
      readonly key: string;
      readonly id: string;
      readonly token: number;
      readonly to: Ref<CoordinatorAnswer>;
    }
  | { readonly t: "release"; readonly key: string; readonly id: string }
  /** Takes an ask back, also one whose grant is under way: who asked looks at that no more. */
  | {
      readonly t: "withdraw";
      readonly key: string;
      readonly id: string;
      readonly token: number;
      readonly to: Ref<CoordinatorAnswer>;
    }
  | { readonly t: "requester-gone"; readonly to: Ref<CoordinatorAnswer> }
  /** By hand: whoever is next has it now. Answers with the id that had it. */
  | { readonly t: "free"; readonly key: string; readonly from: From<string | undefined> }
  | { readonly t: "holders"; readonly from: From<ReturnType<ExecutionKeys<unknown>["holders"]>> };

/** What the coordinator casts to whoever asked for a key. */
export type CoordinatorAnswer =
  | { readonly t: "granted"; readonly key: string; readonly id: string; readonly token: number }
  /** `place` grows along the line. */
  | {
      readonly t: "queued";
      readonly key: string;
      readonly id: string;
      readonly token: number;
      readonly place: number;
    };

export interface CoordinatorState {
  readonly partition: string;
  readonly keys: ExecutionKeys<Ref<CoordinatorAnswer>>;
  /** Requesters that are monitored already. */
  readonly known: Set<Ref<CoordinatorAnswer>>;
  epoch: number;
  readonly withdrawCandidate: () => Promise<void>;
  /** The broker has the keys of the whole cluster: what is asked here is passed on to it. */
  readonly remote: boolean;
}

export interface CoordinatorArgs {
  readonly partition: string;
  readonly services: NodeServices;
}

type Effect =
  | { readonly t: "announce"; readonly epoch: number }
  | { readonly t: "lost" }
  | Extract<CoordinatorMessage, { readonly t: "acquire" | "withdraw" }>;

interface Interpreted extends CoordinatorState {
  readonly services: NodeServices;
}

export function stepCoordinator(
  s: CoordinatorState,
  m: CoordinatorMessage,
  _now: number,
  out: Out<CoordinatorMessage, Effect>,
): void {
  if (s.remote && isOfKeys(m)) return pass(m, out);
  switch (m.t) {
    case "acquire":
      return acquire(s, m, out);
    case "release":
      return grant(m.key, s.keys.release(m.key, m.id), out);
    case "withdraw":
      return grant(m.key, s.keys.withdraw(m.key, { id: m.id, who: m.to, token: m.token }), out);
    case "requester-gone":
      s.known.delete(m.to);
      return s.keys.withdrawAll(m.to);
    case "free":
      return free(s, m.key, m.from, out);
    case "holders":
      return out.reply(m.from, s.keys.holders());
    case "elected":
      s.epoch = m.epoch;
      return out.effect({ t: "announce", epoch: m.epoch });
    case "deposed":
      return out.effect({ t: "lost" });
  }
}

type OfKeys = Extract<CoordinatorMessage, { readonly t: "acquire" | "withdraw" | "release" }>;

const isOfKeys = (m: CoordinatorMessage): m is OfKeys =>
  m.t === "acquire" || m.t === "withdraw" || m.t === "release";

/** What settles a delivery frees its key there, so a release has nothing to do. */
function pass(m: OfKeys, out: Out<CoordinatorMessage, Effect>): void {
  if (m.t !== "release") out.effect(m);
}

type Next = Requester<Ref<CoordinatorAnswer>> | undefined;

function grant(key: string, next: Next, out: Out<CoordinatorMessage, Effect>): void {
  if (next !== undefined) out.cast(next.who, { t: "granted", key, id: next.id, token: next.token });
}

function free(
  s: CoordinatorState,
  key: string,
  from: From<string | undefined>,
  out: Out<CoordinatorMessage, Effect>,
): void {
  const id = s.keys.holderOf(key);
  if (id !== undefined) grant(key, s.keys.release(key, id), out);
  out.reply(from, id);
}

function acquire(
  s: CoordinatorState,
  m: CoordinatorMessage & { t: "acquire" },
  out: Out<CoordinatorMessage, Effect>,
): void {
  if (!s.known.has(m.to)) {
    s.known.add(m.to);
    out.monitor(m.to as Ref<never>, () => ({ t: "requester-gone", to: m.to }));
  }
  const granted = s.keys.acquire(m.key, { id: m.id, who: m.to, token: m.token });
  const { key, id, token } = m;
  // who asks numbers its asks in their order
  out.cast(m.to, granted ? { t: "granted", key, id, token } : { t: "queued", key, id, token, place: token });
}

export const globalCoordinator: Behaviour<Interpreted, CoordinatorMessage, Effect, CoordinatorArgs> = {
  kind: "global-coordinator",
  init: async ({ partition, services }, self) => {
    const candidate = await services.broker.cluster.candidate(partition, {
      elected: (epoch) => void self.ref.cast({ t: "elected", epoch }),
      deposed: () => void self.ref.cast({ t: "deposed" }),
    });
    const withdrawCandidate = () => candidate.withdraw();
    return {
      partition,
      services,
      keys: new ExecutionKeys(),
      known: new Set(),
      epoch: 0,
      withdrawCandidate,
      remote: services.broker.keys !== undefined,
    };
  },
  step: stepCoordinator,
  interpret: (effect, s) => {
    const { partition } = s;
    const { events, broker } = s.services;
    if (effect.t === "announce") events.emit("coordinator.elected", { partition, epoch: effect.epoch });
    else if (effect.t === "lost") events.emit("coordinator.lost", { partition });
    else if (effect.t === "withdraw") broker.keys?.withdraw(partition, effect.key, effect.id);
    else {
      const { key, id, token, to } = effect;
      broker.keys?.acquire(partition, key, id, {
        granted: () => void to.cast({ t: "granted", key, id, token }),
        queued: (place) => void to.cast({ t: "queued", key, id, token, place }),
      });
    }
  },
  terminate: (s) => s.withdrawCandidate(),
  describe: (s) => ({ epoch: s.epoch, executionKeys: s.keys.holders().length }),
};
