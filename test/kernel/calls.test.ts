import { expect, test } from "vitest";
import type { From, Ref } from "../../src/kernel/index.ts";
import { ActorStopped, CallTimeout, MailboxFull } from "../../src/kernel/index.ts";
import { actor, deferred, setup } from "./helpers.ts";

type Ask = { readonly type: string; readonly from: From<string> };
const asking = (type: string) => (from: From<string>) => ({ type, from });

test("a step that replies now answers the call", async () => {
  const { kernel } = setup();
  const ref = await kernel.start(
    actor<Ask>((message, out) => out.reply(message.from, message.type)),
    undefined,
  );
  expect(await kernel.call<Ask, string>(ref, asking("hello"))).toBe("hello");
});

test("a step may keep the call and reply later", async () => {
  const { kernel, settle } = setup();
  const kept: From<string>[] = [];
  const ref = await kernel.start(
    actor<Ask>((message, out) => {
      if (message.type === "keep") kept.push(message.from);
      else for (const from of kept.splice(0)) out.reply(from, "later");
    }),
    undefined,
  );
  const answer = kernel.call<Ask, string>(ref, asking("keep"));
  await settle();
  expect(kept).toHaveLength(1);
  expect(await Promise.all([answer, kernel.call<Ask, string>(ref, asking("keep")), release(ref)])).toEqual([
    "later",
    "later",
    true,
  ]);
});

function release(ref: Ref<Ask>): boolean {
  return ref.cast({ type: "release", from: { answer: () => {}, refuse: () => {} } });
}

test("a step may refuse a call with an error", async () => {
  const { kernel } = setup();
  const error = new Error("no");
  const ref = await kernel.start(
    actor<Ask>((message, out) => out.refuse(message.from, error)),
    undefined,
  );
  await expect(kernel.call<Ask, string>(ref, asking("x"))).rejects.toBe(error);
});

test("a step may stop with a reply, and the reply arrives", async () => {
  const { kernel } = setup();
  const ref = await kernel.start(
    actor<Ask>((message, out) => {
      out.reply(message.from, "bye");
      out.stop();
    }),
    undefined,
  );
  expect(await kernel.call<Ask, string>(ref, asking("x"))).toBe("bye");
  expect(kernel.isAlive(ref)).toBe(false);
});

test("a step that stops without a reply leaves its caller with ActorStopped", async () => {
  const { kernel } = setup();
  const ref = await kernel.start(
    actor<Ask>((_message, out) => out.stop()),
    undefined,
    { name: "mute" },
  );
  const error = await kernel.call<Ask, string>(ref, asking("x")).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ActorStopped);
  expect(error).toMatchObject({ actor: "mute", reason: "normal" });
});

test("when an actor crashes, calls it had taken and calls that still wait are refused alike, with the cause", async () => {
  const { kernel } = setup();
  const boom = new Error("boom");
  const ref = await kernel.start(
    actor<Ask>((message) => {
      if (message.type === "crash") throw boom;
    }),
    undefined,
  );
  const types = ["taken", "crash", "waiting"];
  const ends = await Promise.allSettled(types.map((type) => kernel.call<Ask, string>(ref, asking(type))));
  expect(ends).toMatchObject(
    types.map(() => ({ status: "rejected", reason: { code: "ActorStopped", cause: boom } })),
  );
});

test("terminate may still answer what the actor had taken", async () => {
  const { kernel, settle } = setup();
  const kept: From<string>[] = [];
  const ref = await kernel.start(
    actor<Ask>((message) => kept.push(message.from), {
      terminate: () => {
        for (const from of kept) from.answer("last words");
      },
    }),
    undefined,
  );
  const answer = kernel.call<Ask, string>(ref, asking("x"));
  await settle();
  await kernel.stop(ref);
  expect(await answer).toBe("last words");
});

test("a call to a dead actor rejects, and a cast to it returns false", async () => {
  const { kernel } = setup();
  const ref = await kernel.start(
    actor<Ask>(() => {}),
    undefined,
    { name: "late" },
  );
  await kernel.stop(ref);
  await expect(kernel.call<Ask, string>(ref, asking("x"))).rejects.toMatchObject({ actor: "late" });
  expect(ref.cast({ type: "x", from: { answer: () => {}, refuse: () => {} } })).toBe(false);
});

test("a call that is not answered in its time rejects with CallTimeout, and a late answer is dropped", async () => {
  const { kernel, clock, settle } = setup();
  const kept: From<string>[] = [];
  const ref = await kernel.start(
    actor<Ask>((message) => kept.push(message.from)),
    undefined,
    { name: "slow" },
  );
  const end = kernel.call<Ask, string>(ref, asking("x"), 100).then(String, (error: unknown) => error);
  await clock.advance(99);
  expect(await Promise.race([end, Promise.resolve("open")])).toBe("open");
  await clock.advance(1);
  const error = await end;
  expect(error).toBeInstanceOf(CallTimeout);
  expect(error).toMatchObject({ actor: "slow", timeoutMs: 100 });
  for (const from of kept) from.answer("late");
  await settle();
  expect(kernel.isAlive(ref)).toBe(true);
});

test("the default timeout of a call is 5,000 ms", async () => {
  const { kernel, clock } = setup();
  const ref = await kernel.start(
    actor<Ask>(() => {}),
    undefined,
  );
  const end = kernel.call<Ask, string>(ref, asking("x")).catch((error: unknown) => error);
  await clock.advance(4_999);
  expect(await Promise.race([end, "open"])).toBe("open");
  await clock.advance(1);
  expect(await end).toMatchObject({ timeoutMs: 5_000 });
});

test("each call has its own time, and all of them share one timer", async () => {
  const { kernel, clock } = setup();
  const ref = await kernel.start(
    actor<Ask>(() => {}),
    undefined,
  );
  const ended: number[] = [];
  for (const ms of [300, 50, 200, 5_000]) {
    kernel.call<Ask, string>(ref, asking("x"), ms).catch(() => ended.push(ms));
  }
  expect(clock.pending).toBe(1);
  await clock.advance(50);
  expect(ended).toEqual([50]);
  await clock.advance(260);
  expect(ended).toEqual([50, 200, 300]);
  expect(clock.pending).toBe(1);
});

test("a call with no time limit waits", async () => {
  const { kernel, clock } = setup();
  const answer = deferred<void>();
  const ref = await kernel.start(
    actor<Ask, From<string>>((message, out) => out.effect(message.from), {
      interpret: (from) => void answer.promise.then(() => from.answer("at last")),
    }),
    undefined,
  );
  const call = kernel.call<Ask, string>(ref, asking("x"), Number.POSITIVE_INFINITY);
  await clock.advance(1e9);
  answer.resolve();
  expect(await call).toBe("at last");
});

test("a call to a full mailbox rejects with MailboxFull", async () => {
  const { kernel } = setup();
  const ref = await kernel.start(
    actor<Ask>((message, out) => out.reply(message.from, "ok"), { mailbox: { capacity: 2 } }),
    undefined,
  );
  const calls = [1, 2, 3].map(() => kernel.call<Ask, string>(ref, asking("x")));
  const ends = await Promise.allSettled(calls);
  expect(ends.map((end) => end.status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
  expect(ends[2]).toMatchObject({ reason: { code: "MailboxFull", capacity: 2 } });
  expect(MailboxFull.name).toBe("MailboxFull");
});

test("an answer counts once", async () => {
  const { kernel } = setup();
  const ref = await kernel.start(
    actor<Ask>((message, out) => {
      out.reply(message.from, "first");
      out.reply(message.from, "second");
      out.refuse(message.from, new Error("third"));
    }),
    undefined,
  );
  expect(await kernel.call<Ask, string>(ref, asking("x"))).toBe("first");
});

test("a message maker that throws rejects the call", async () => {
  const { kernel } = setup();
  const ref = await kernel.start(
    actor<Ask>(() => {}),
    undefined,
  );
  const call = kernel.call<Ask, string>(ref, () => {
    throw new Error("maker");
  });
  await expect(call).rejects.toThrow("maker");
});
