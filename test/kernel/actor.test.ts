import { expect, test } from "vitest";
import { type ExitReason, Kernel, type Out, type Ref } from "../../src/kernel/index.ts";
import { actor, deferred, setup } from "./helpers.ts";

test("messages are handled in the order they were cast", async () => {
  const { kernel, settle } = setup();
  const seen: number[] = [];
  const ref = await kernel.start(
    actor<number>((message) => seen.push(message)),
    undefined,
  );
  for (let i = 0; i < 1000; i++) expect(ref.cast(i)).toBe(true);
  expect(seen).toEqual([]);
  await settle();
  expect(seen).toEqual(Array.from({ length: 1000 }, (_, i) => i));
});

test("what a step writes is carried out after it, in order", async () => {
  const { kernel, settle } = setup();
  const log: string[] = [];
  const other = await kernel.start(
    actor<string>((message) => log.push(message)),
    undefined,
  );
  const behaviour = actor<string, string>(
    (_message, out) => {
      out.effect("one");
      out.cast(other, "cast");
      out.effect("two");
      log.push("step");
    },
    { interpret: (effect) => log.push(effect) },
  );
  (await kernel.start(behaviour, undefined)).cast("go");
  await settle();
  expect(log).toEqual(["step", "one", "two", "cast"]);
});

test("a step that throws has done nothing, and ends the actor with its error", async () => {
  const { kernel, settle, notices } = setup();
  const heard: string[] = [];
  const other = await kernel.start(
    actor<string>((message) => heard.push(message)),
    undefined,
  );
  let child: Ref<string> | undefined;
  const behaviour = actor<string, string>(
    (_message, out) => {
      out.cast(other, "never");
      out.effect("never");
      out.timer("never", 1, "never");
      child = out.spawn(
        actor<string>(() => heard.push("never")),
        undefined,
      );
      throw new Error("boom");
    },
    { interpret: (effect) => heard.push(effect) },
  );
  const ref = await kernel.start(behaviour, undefined, { name: "thrower" });
  ref.cast("go");
  await settle();
  expect(heard).toEqual([]);
  expect(kernel.isAlive(ref)).toBe(false);
  expect(child?.cast("hello")).toBe(false);
  expect(notices).toMatchObject([
    { actor: "thrower", parent: undefined, reason: { error: { message: "boom" } } },
  ]);
});

test("the next actor's step finds an empty buffer after another's has thrown", async () => {
  const { kernel, settle } = setup();
  const heard: string[] = [];
  const ear = await kernel.start(
    actor<string>((message) => heard.push(message)),
    undefined,
  );
  const write = (text: string) => (_message: string, out: Out<string, never>) => {
    out.cast(ear, text);
    if (text === "bad") throw new Error("boom");
  };
  const good = await kernel.start(actor(write("good")), undefined);
  const bad = await kernel.start(actor(write("bad")), undefined);
  good.cast("go");
  bad.cast("go");
  good.cast("go");
  await settle();
  good.cast("go");
  await settle();
  expect(heard).toEqual(["good", "good", "good"]);
});

test("an effect that throws crashes its actor, and what was written after it is not carried out", async () => {
  const { kernel, settle, notices } = setup();
  const heard: string[] = [];
  const ear = await kernel.start(
    actor<string>((message) => heard.push(message)),
    undefined,
  );
  const behaviour = actor<string, string>(
    (_message, out) => {
      out.cast(ear, "before");
      out.effect("bang");
      out.cast(ear, "after");
    },
    {
      interpret: (effect) => {
        throw new Error(effect);
      },
    },
  );
  (await kernel.start(behaviour, undefined)).cast("go");
  await settle();
  expect(heard).toEqual(["before"]);
  expect(notices).toMatchObject([{ reason: { kind: "crash", error: { message: "bang" } } }]);
});

test("an asynchronous interpret that rejects crashes its actor too", async () => {
  const { kernel, settle, notices } = setup();
  const behaviour = actor<string, string>((_message, out) => out.effect("late"), {
    interpret: async (effect) => {
      throw new Error(effect);
    },
  });
  (await kernel.start(behaviour, undefined)).cast("go");
  await settle();
  expect(notices).toMatchObject([{ reason: { kind: "crash", error: { message: "late" } } }]);
});

test("stop ends the actor after its step, with normal by default; what waits is discarded", async () => {
  const { kernel, settle } = setup();
  const seen: string[] = [];
  const ear = await kernel.start(
    actor<string>((message) => seen.push(message)),
    undefined,
  );
  const behaviour = actor<string>((message, out) => {
    out.stop();
    out.cast(ear, message);
  });
  const ref = await kernel.start(behaviour, undefined);
  const reasons: ExitReason[] = [];
  kernel.onExit(ref, (reason) => reasons.push(reason));
  ref.cast("first");
  ref.cast("second");
  await settle();
  expect(seen).toEqual(["first"]);
  expect(reasons).toEqual([{ kind: "normal" }]);
  expect(ref.cast("third")).toBe(false);
});

test("an actor may cast to itself", async () => {
  const { kernel, settle } = setup();
  let count = 0;
  const ref: Ref<number> = await kernel.start(
    actor<number>((message, out) => {
      count++;
      if (message > 0) out.cast(ref, message - 1);
    }),
    undefined,
  );
  ref.cast(99);
  await settle();
  expect(count).toBe(100);
});

test("start rejects with what init threw, now or later", async () => {
  const { kernel, notices } = setup();
  const now = new Error("now");
  const later = new Error("later");
  const thrower = actor<string>(() => {}, {
    init: () => {
      throw now;
    },
  });
  await expect(kernel.start(thrower, undefined)).rejects.toBe(now);
  await expect(
    kernel.start({ ...actor<string>(() => {}), init: () => Promise.reject(later) }, undefined),
  ).rejects.toBe(later);
  expect(notices.map((notice) => notice.reason)).toEqual([
    { kind: "crash", error: now },
    { kind: "crash", error: later },
  ]);
  expect(kernel.tree()).toEqual([]);
});

test("a thrown non-Error becomes an error that keeps the value", async () => {
  const { kernel, notices, settle } = setup();
  const ref = await kernel.start(
    actor<string>(() => {
      throw { odd: true };
    }),
    undefined,
  );
  ref.cast("go");
  await settle();
  expect(notices).toMatchObject([{ reason: { kind: "crash", error: { cause: { odd: true } } } }]);
});

test("messages to an actor whose init is under way wait for it", async () => {
  const { kernel, settle } = setup();
  const gate = deferred<undefined>();
  const seen: string[] = [];
  const parent = await kernel.start(
    actor<string>((_message, out) => {
      const child = out.spawn(
        actor<string>((message) => seen.push(message), { init: () => gate.promise }),
        undefined,
      );
      out.cast(child, "early");
    }),
    undefined,
  );
  parent.cast("go");
  await settle();
  expect(seen).toEqual([]);
  gate.resolve(undefined);
  await settle();
  expect(seen).toEqual(["early"]);
});

test("what is cast to a spawned child in the same step, before it has started, waits", async () => {
  const { kernel, settle } = setup();
  const seen: string[] = [];
  const behaviour = actor<string>((_message, out) => {
    const child = out.spawn(
      actor<string>((message) => seen.push(message)),
      undefined,
    );
    child.cast("direct");
    out.cast(child, "buffered");
  });
  (await kernel.start(behaviour, undefined)).cast("go");
  await settle();
  expect(seen).toEqual(["direct", "buffered"]);
});

test("terminate sees the state and the reason, under the actor's own name", async () => {
  const { kernel, notices } = setup();
  const seen: unknown[] = [];
  const behaviour = {
    kind: "keeper",
    init: () => ({ file: "open" }),
    step: () => {},
    terminate: (state: { file: string }, reason: ExitReason) => {
      seen.push({ ...state }, reason, kernel.whereis("keeper") !== undefined);
    },
  };
  const ref = await kernel.start(behaviour, undefined, { name: "keeper" });
  await kernel.stop(ref);
  expect(seen).toEqual([{ file: "open" }, { kind: "shutdown" }, true]);
  expect(kernel.whereis("keeper")).toBeUndefined();
  expect(notices).toEqual([]);
});

test.each([
  [
    "throws",
    () => {
      throw new Error("last words");
    },
  ],
  ["rejects", () => Promise.reject(new Error("last words"))],
] as const)("a terminate that %s is noticed, and the exit goes on", async (_how, terminate) => {
  const { kernel, notices } = setup();
  const ref = await kernel.start(
    actor<string>(() => {}, { terminate }),
    undefined,
  );
  expect(await kernel.stop(ref)).toEqual({ kind: "shutdown" });
  expect(kernel.isAlive(ref)).toBe(false);
  expect(notices).toMatchObject([{ reason: { kind: "crash", error: { message: "last words" } } }]);
});

test("without anyone to tell, the crash of a root is a warning of the process", async () => {
  const kernel = new Kernel();
  const warned = deferred<Error>();
  const listener = (warning: Error): void => {
    if (warning.name === "SpillwayWarning") warned.resolve(warning);
  };
  process.on("warning", listener);
  const ref = await kernel.start(
    actor<string>(() => {
      throw new Error("unheard");
    }),
    undefined,
    { name: "lonely" },
  );
  ref.cast("go");
  const warning = await warned.promise;
  process.off("warning", listener);
  expect(warning.message).toContain("lonely ended: crash: unheard");
});

test("an ended actor holds neither its state nor its messages", async () => {
  const { kernel, settle } = setup();
  const ref = await kernel.start(
    { ...actor<object>(() => {}), init: () => ({ secret: "state" }) } as never,
    undefined,
  );
  await kernel.kill(ref);
  await settle();
  const held = Object.entries(ref).filter(([key]) => key !== "host" && key !== "behaviour");
  expect(JSON.stringify(held)).not.toContain("secret");
});
