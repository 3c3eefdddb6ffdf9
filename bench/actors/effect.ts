/**
 * Plain Effect: a fiber that takes from a queue is an actor, a deferred is an answer, `retry` brings back what failed.
 *
 * Owns its fibers until each run ends. Effect is what the package stands on, so it is always there.
 */
import type { Deferred as DeferredType } from "effect/Deferred";
import type { Fiber as FiberType } from "effect/Fiber";
import type { Queue as QueueType } from "effect/Queue";
import { loadEffect } from "../runner/package.ts";
import { crowdOf } from "./crowd.ts";
import { type ActorSystem, byLives, type Rate, rateOf } from "./system.ts";

type Modules = Awaited<ReturnType<typeof loadEffect>>;

export async function effect(): Promise<ActorSystem> {
  const modules = await loadEffect();
  return {
    name: "Effect, fibers and queues",
    casts: (count) => casts(modules, count),
    calls: (count, many) => calls(modules, count, many),
    spawns: (count) => spawns(modules, count),
    crowd: (count) => crowd(modules, count),
    restarts: (count) => restarts(modules, count),
  };
}

async function casts({ Deferred, Effect, Queue }: Modules, count: number): Promise<Rate> {
  const box = await Effect.runPromise(Queue.unbounded<{ readonly n: number }>());
  const all = Deferred.makeUnsafe<number>();
  let sum = 0;
  const server = Effect.gen(function* () {
    for (;;) {
      const { n } = yield* Queue.take(box);
      sum += n;
      if (sum === count) Deferred.doneUnsafe(all, Effect.succeed(sum));
    }
  });
  const fiber = Effect.runFork(server);
  const { perSecond } = await rateOf(count, () => {
    for (let left = count; left > 0; left--) Queue.offerUnsafe(box, { n: 1 });
    return Effect.runPromise(Deferred.await(all));
  });
  fiber.interruptUnsafe();
  return { perSecond, done: sum };
}

async function calls({ Deferred, Effect, Queue }: Modules, count: number, many: number): Promise<Rate> {
  const box = await Effect.runPromise(
    Queue.unbounded<{ readonly n: number; readonly answer: DeferredType<number> }>(),
  );
  let sum = 0;
  const server = Effect.gen(function* () {
    for (;;) {
      const { n, answer } = yield* Queue.take(box);
      sum += n;
      Deferred.doneUnsafe(answer, Effect.succeed(sum));
    }
  });
  const fiber = Effect.runFork(server);
  let left = count;
  const caller = Effect.gen(function* () {
    while (left-- > 0) {
      const answer = Deferred.makeUnsafe<number>();
      yield* Queue.offer(box, { n: 1, answer });
      yield* Deferred.await(answer);
    }
  });
  const all = Effect.all(
    Array.from({ length: many }, () => caller),
    { concurrency: "unbounded", discard: true },
  );
  const { perSecond } = await rateOf(count, async () => {
    await Effect.runPromise(all);
    return sum;
  });
  fiber.interruptUnsafe();
  return { perSecond, done: sum };
}

/** An exit notice is what awaiting a fiber gives. */
function spawns({ Deferred, Effect, Fiber }: Modules, count: number): Promise<Rate> {
  const program = Effect.gen(function* () {
    let exits = 0;
    for (; exits < count; exits++) {
      const stop = Deferred.makeUnsafe<void>();
      const fiber = yield* Effect.forkChild(Deferred.await(stop));
      yield* Deferred.succeed(stop, undefined);
      yield* Fiber.await(fiber);
    }
    return exits;
  });
  return rateOf(count, () => Effect.runPromise(program));
}

interface Member {
  readonly box: QueueType<{ readonly to: QueueType<"got"> }>;
  readonly fiber: FiberType<never>;
}

const crowd = ({ Effect, Queue }: Modules, count: number) =>
  crowdOf<Member>(count, {
    start: (all) =>
      Effect.runPromise(
        Effect.gen(function* () {
          const members: Member[] = [];
          while (members.length < all) {
            const box = yield* Queue.unbounded<{ readonly to: QueueType<"got"> }>();
            const server = Effect.gen(function* () {
              for (;;) {
                const { to } = yield* Queue.take(box);
                yield* Queue.offer(to, "got");
              }
            });
            members.push({ box, fiber: yield* Effect.forkDetach(server) });
          }
          return members;
        }),
      ),
    tell: (members) =>
      Effect.runPromise(
        Effect.gen(function* () {
          const to = yield* Queue.unbounded<"got">();
          for (const { box } of members) Queue.offerUnsafe(box, { to });
          let heard = 0;
          for (; heard < members.length; heard++) yield* Queue.take(to);
          return heard;
        }),
      ),
    end: async (members) => {
      for (const { fiber } of members) fiber.interruptUnsafe();
    },
  });

/** One fiber lives again and again; what it is told to fail by waits in a queue, as a message does. */
function restarts({ Effect, Queue }: Modules, count: number): Promise<Rate> {
  return rateOf(count, async () => {
    let lives = 0;
    await byLives(count, async (crashes) => {
      const box = await Effect.runPromise(Queue.unbounded<"crash">());
      let left = crashes;
      const life = Effect.gen(function* () {
        if (left < crashes) lives++;
        if (left-- === 0) return;
        Queue.offerUnsafe(box, "crash");
        yield* Queue.take(box);
        return yield* Effect.fail(new Error("told to crash"));
      });
      await Effect.runPromise(Effect.retry(life, { times: crashes }));
    });
    return lives;
  });
}
