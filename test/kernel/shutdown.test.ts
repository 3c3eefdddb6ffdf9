import { expect, test } from "vitest";
import { type Behaviour, type Out, shutdown } from "../../src/kernel/index.ts";
import { actor, deferred, setup, worker } from "./helpers.ts";

/** Asked to stop, it does so only when it gets `finish`. */
function polite(log: string[]): Behaviour<undefined, string, never, void> {
  return actor<string>(
    (message, out) => {
      log.push(message);
      if (message === "finish") out.stop();
    },
    { shutdown: () => "asked", terminate: (_state, reason) => void log.push(`terminate ${reason.kind}`) },
  );
}

test("shutdown is ask → wait: the actor is asked, handles what comes, and ends when it says so", async () => {
  const { kernel, settle } = setup();
  const log: string[] = [];
  const ref = await kernel.start(polite(log), undefined);
  const stopped = kernel.stop(ref);
  await settle();
  expect(kernel.tree(ref)[0]?.state).toBe("stopping");
  ref.cast("still here");
  ref.cast("finish");
  expect(await stopped).toEqual({ kind: "shutdown" });
  expect(log).toEqual(["asked", "still here", "finish", "terminate shutdown"]);
});

test("… → kill: past shutdownMs it is killed, without its last words", async () => {
  const { kernel, clock } = setup();
  const log: string[] = [];
  const ref = await kernel.start(polite(log), undefined, { shutdownMs: 250 });
  const stopped = kernel.stop(ref);
  await clock.advance(249);
  expect(kernel.isAlive(ref)).toBe(true);
  await clock.advance(1);
  expect(await stopped).toEqual({ kind: "killed" });
  expect(log).toEqual(["asked"]);
});

test("a worker gets 5,000 ms", async () => {
  const { kernel, clock } = setup();
  const ref = await kernel.start(polite([]), undefined);
  const stopped = kernel.stop(ref);
  await clock.advance(4_999);
  expect(kernel.isAlive(ref)).toBe(true);
  await clock.advance(1);
  expect(await stopped).toEqual({ kind: "killed" });
});

test("a time given to stop goes before the actor's own, and 0 kills at once", async () => {
  const { kernel, clock } = setup();
  const slow = await kernel.start(polite([]), undefined, { shutdownMs: 60_000 });
  const stopped = kernel.stop(slow, 10);
  await clock.advance(10);
  expect(await stopped).toEqual({ kind: "killed" });
  const other = await kernel.start(polite([]), undefined);
  expect(await kernel.stop(other, 0)).toEqual({ kind: "killed" });
});

test("a second, shorter stop shortens the wait; both learn the end", async () => {
  const { kernel, clock } = setup();
  const ref = await kernel.start(polite([]), undefined, { shutdownMs: 60_000 });
  const ends = Promise.all([kernel.stop(ref), kernel.stop(ref, 50)]);
  await clock.advance(50);
  expect(await ends).toEqual([{ kind: "killed" }, { kind: "killed" }]);
});

test("stopping what is gone resolves with noproc", async () => {
  const { kernel } = setup();
  const ref = await kernel.start(worker([], "x"), undefined);
  await kernel.stop(ref);
  expect(await kernel.stop(ref)).toEqual({ kind: "noproc" });
  expect(await kernel.kill(ref)).toEqual({ kind: "noproc" });
});

test("an actor without a shutdown message ends at once when asked, and what waits is discarded", async () => {
  const { kernel, settle } = setup();
  const seen: string[] = [];
  const ref = await kernel.start(
    actor<string>((message) => seen.push(message)),
    undefined,
  );
  ref.cast("waits");
  expect(await kernel.stop(ref)).toEqual({ kind: "shutdown" });
  await settle();
  expect(seen).toEqual([]);
});

test("children end before the parent's terminate, one after the other, right to left", async () => {
  const { kernel, settle } = setup();
  const log: string[] = [];
  const gate = deferred();
  const parent = actor<string>(
    (_message, out: Out<string, never>) => {
      out.spawn(worker(log, "a"), undefined);
      out.spawn(worker(log, "b", { ending: () => gate.promise }), undefined);
      out.spawn(worker(log, "c"), undefined);
    },
    { terminate: () => void log.push("-parent") },
  );
  const ref = await kernel.start(parent, undefined);
  ref.cast("go");
  await settle();
  const stopped = kernel.stop(ref);
  await settle();
  expect(log).toEqual(["+a", "+b", "+c", "-c", "-b"]);
  gate.resolve();
  await stopped;
  expect(log).toEqual(["+a", "+b", "+c", "-c", "-b", "-a", "-parent"]);
});

test("each child has its own time to end before the next is asked", async () => {
  const { kernel, clock } = setup();
  const ref = await kernel.start(
    actor<string>(() => {}),
    undefined,
    { shutdownMs: 60_000 },
  );
  const log: string[] = [];
  await kernel.startUnder(ref, polite(log), undefined, { shutdownMs: 100 });
  await kernel.startUnder(ref, polite(log), undefined, { shutdownMs: 200 });
  const stopped = kernel.stop(ref);
  await clock.advance(199);
  expect(log).toEqual(["asked"]);
  await clock.advance(1);
  expect(log).toEqual(["asked", "asked"]);
  await clock.advance(100);
  expect(await stopped).toEqual({ kind: "shutdown" });
});

test("a kill takes everything below it, and nobody below says last words", async () => {
  const { kernel, notices } = setup();
  const log: string[] = [];
  const ref = await kernel.start(worker(log, "top"), undefined, { name: "top" });
  const middle = await kernel.startUnder(ref, worker(log, "middle"), undefined, { name: "middle" });
  await kernel.startUnder(middle, worker(log, "bottom"), undefined, { name: "bottom" });
  expect(await kernel.kill(ref)).toEqual({ kind: "killed" });
  expect(log).toEqual(["+top", "+middle", "+bottom"]);
  expect(notices.map((notice) => `${notice.actor} ${notice.reason.kind}`)).toEqual([
    "bottom killed",
    "middle killed",
    "top killed",
  ]);
});

test("a kill cuts an endless terminate short", async () => {
  const { kernel, clock } = setup();
  const ref = await kernel.start(worker([], "x", { ending: () => new Promise(() => {}) }), undefined);
  const stopped = kernel.stop(ref);
  await clock.advance(4_999);
  expect(kernel.isAlive(ref)).toBe(true);
  await clock.advance(1);
  expect(await stopped).toEqual({ kind: "killed" });
});

test("the last words of a crashed actor have shutdownMs too, and its crash stays the reason", async () => {
  const { kernel, clock, settle, notices } = setup();
  const ref = await kernel.start(worker([], "x", { ending: () => new Promise(() => {}) }), undefined);
  ref.cast("crash");
  await settle();
  expect(kernel.isAlive(ref)).toBe(true);
  await clock.advance(5_000);
  expect(kernel.isAlive(ref)).toBe(false);
  expect(notices).toMatchObject([{ reason: { error: { message: "x crashed" } } }]);
});

test("an actor that is stopped while its init is under way never runs, but what init opened is released", async () => {
  const { kernel, settle } = setup();
  const log: string[] = [];
  const gate = deferred();
  const start = kernel.start(worker(log, "x", { ready: () => gate.promise }), undefined, { name: "x" });
  const started = start.catch((error: unknown) => error);
  const ref = kernel.whereis("x");
  if (ref === undefined) throw new Error("not registered while it starts");
  const stopped = kernel.stop(ref);
  await settle();
  expect(kernel.isAlive(ref)).toBe(true);
  gate.resolve();
  expect(await stopped).toEqual({ kind: "shutdown" });
  expect(await started).toMatchObject({ code: "ActorStopped" });
  expect(log).toEqual(["+x", "-x"]);
});

test("an init that never ends is killed when its time is up", async () => {
  const { kernel, clock } = setup();
  const start = kernel.start(worker([], "x", { ready: () => new Promise(() => {}) }), undefined, {
    name: "x",
  });
  const started = start.catch((error: unknown) => error);
  const stopped = kernel.stop(kernel.whereis("x") ?? never());
  await clock.advance(5_000);
  expect(await stopped).toEqual({ kind: "killed" });
  expect(await started).toMatchObject({ code: "ActorStopped", reason: "killed" });
});

function never(): never {
  throw new Error("not registered");
}

test("an actor that stops or kills itself from its own effect ends after its step", async () => {
  const { kernel, settle } = setup();
  const log: string[] = [];
  for (const how of ["stop", "kill"] as const) {
    const ref = await kernel.start(
      actor<string, string>(
        (_message, out) => {
          out.effect("end");
          out.effect("after");
        },
        {
          interpret: (effect, _state, self) => {
            log.push(`${how} ${effect}`);
            if (effect === "end") void self.kernel[how](self.ref);
          },
          terminate: (_state, reason) => void log.push(`terminate ${reason.kind}`),
        },
      ),
      undefined,
    );
    ref.cast("go");
    ref.cast("never handled");
    await settle();
    expect(kernel.isAlive(ref)).toBe(false);
  }
  expect(log).toEqual(["stop end", "stop after", "terminate shutdown", "kill end", "kill after"]);
});

test("a child that kills its parent from an effect goes with it", async () => {
  const { kernel, settle } = setup();
  const parent = await kernel.start(worker([], "parent"), undefined);
  const child = await kernel.startUnder(
    parent,
    actor<string, string>((_message, out) => out.effect("kill"), {
      interpret: (_effect, _state, self) => void self.kernel.kill(parent),
    }),
    undefined,
  );
  child.cast("go");
  await settle();
  expect([kernel.isAlive(parent), kernel.isAlive(child)]).toEqual([false, false]);
});

test("a shutdown message whose maker throws ends the actor with that error", async () => {
  const { kernel } = setup();
  const ref = await kernel.start(
    actor<string>(() => {}, {
      shutdown: () => {
        throw new Error("maker");
      },
    }),
    undefined,
  );
  expect(await kernel.stop(ref)).toMatchObject({ kind: "crash", error: { message: "maker" } });
});

test("the reason a step gives stays, also when it was asked", async () => {
  const { kernel } = setup();
  const crash = actor<string>(
    () => {
      throw new Error("while stopping");
    },
    { shutdown: () => "asked" },
  );
  expect(await kernel.stop(await kernel.start(crash, undefined))).toMatchObject({ kind: "crash" });
  const plain = actor<string>((_message, out) => out.stop(shutdown()), { shutdown: () => "asked" });
  expect(await kernel.stop(await kernel.start(plain, undefined))).toEqual({ kind: "shutdown" });
});
