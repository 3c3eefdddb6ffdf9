import { expect, test } from "vitest";
import { normal, type Out } from "../../src/kernel/index.ts";
import { fakeFrom, fakeRef, Recorder } from "../../src/testing/recorder.ts";

const child = { kind: "child", init: () => 0, step: () => {} };

function step(out: Out<string, { readonly log: string }>): void {
  const to = fakeRef<number>("ear");
  out.cast(to, 7);
  out.effect({ log: "written" });
  const ref = out.spawn(child, undefined);
  out.spawn(child, undefined, { name: "named" });
  out.monitor(ref, (reason) => `gone ${reason.kind}`);
  out.stopChild(ref);
  out.timer("t", 5, "tick");
  out.cancelTimer("t");
  out.idle(9, "idle");
  out.stop(normal());
}

test("every operation is recorded as plain data, in order", () => {
  const recorder = new Recorder<string, { readonly log: string }>();
  step(recorder);
  expect(recorder.take()).toEqual([
    { op: "cast", to: "ear", message: 7 },
    { op: "effect", effect: { log: "written" } },
    { op: "spawn", name: "child:1", kind: "child", args: undefined },
    { op: "spawn", name: "named", kind: "child", args: undefined },
    { op: "monitor", target: "child:1" },
    { op: "stopChild", child: "child:1" },
    { op: "timer", name: "t", afterMs: 5, message: "tick" },
    { op: "cancelTimer", name: "t" },
    { op: "idle", idleMs: 9, message: "idle" },
    { op: "stop", reason: { kind: "normal" } },
  ]);
  expect(recorder.take()).toEqual([]);
  expect(recorder.monitors.get("child:1")?.({ kind: "killed" })).toBe("gone killed");
});

test("replies and refusals are recorded with the call they belong to, and answer nobody", () => {
  const recorder = new Recorder<string, never>();
  const from = fakeFrom<number>();
  const error = new Error("no");
  recorder.reply(from, 1);
  recorder.refuse(from, error);
  expect(recorder.ops).toEqual([
    { op: "reply", from, value: 1 },
    { op: "refuse", from, error },
  ]);
  expect(from.answers).toEqual([]);
});

test("a spawned fake keeps what is cast to it", () => {
  const recorder = new Recorder<string, never>();
  const ref = recorder.spawn(
    { kind: "child", init: () => 0, step: (_state, _message: string) => {} },
    undefined,
  );
  expect(ref.cast("hello")).toBe(true);
  expect(recorder.spawned.map((fake) => fake.received)).toEqual([["hello"]]);
});
