import { expect, test } from "vitest";
import { EventHub } from "../../src/actors/events.ts";

function hub() {
  const errors: unknown[] = [];
  return {
    errors,
    hub: new EventHub(
      "node",
      () => 5,
      (error) => void errors.push(error),
    ),
  };
}

const paused = { partition: "p", queue: "q" };

test("a listener gets the events of its type, with time and node", () => {
  const { hub: events } = hub();
  const seen: unknown[] = [];
  events.on("queue.paused", (event) => void seen.push(event));
  events.emit("queue.paused", paused);
  events.emit("queue.resumed", paused);
  expect(seen).toEqual([{ type: "queue.paused", at: 5, node: "node", ...paused }]);
});

test("nobody listens, nothing is wanted; one that listens to everything wants everything", () => {
  const { hub: events } = hub();
  const listener = () => {};
  expect(events.wants("job.started")).toBe(false);
  events.on("*", listener);
  expect(events.wants("job.started")).toBe(true);
  events.off("*", listener);
  expect(events.wants("job.started")).toBe(false);
});

test("a listener that throws is reported, and the others are still called", () => {
  const { hub: events, errors } = hub();
  const seen: string[] = [];
  events.on("queue.paused", () => {
    throw new Error("mine");
  });
  events.on("queue.paused", () => void seen.push("second"));
  events.emit("queue.paused", paused);
  expect(seen).toEqual(["second"]);
  expect(errors).toMatchObject([{ message: "mine" }]);
});

test("once is once, also when the listener emits the same event", () => {
  const { hub: events } = hub();
  let calls = 0;
  events.once("queue.paused", () => {
    calls++;
    events.emit("queue.paused", paused);
  });
  events.emit("queue.paused", paused);
  expect(calls).toBe(1);
});

test("a stream has every event since it began, in order, and ends when the hub closes", async () => {
  const { hub: events } = hub();
  const stream = events.stream();
  events.emit("queue.paused", paused);
  const first = await stream.next();
  const second = stream.next();
  events.emit("queue.resumed", paused);
  expect([first.value.type, (await second).value.type]).toEqual(["queue.paused", "queue.resumed"]);
  events.emit("queue.paused", paused);
  events.close();
  expect((await stream.next()).done).toBe(false);
  expect(await stream.next()).toEqual({ done: true, value: undefined });
  expect(events.wants("queue.paused")).toBe(false);
});

test("a reader that falls 10,000 behind loses the oldest, not the newest", async () => {
  const { hub: events } = hub();
  const stream = events.stream();
  for (let i = 0; i < 10_001; i++) events.emit("buried.dropped", { ...paused, id: `${i}` });
  expect((await stream.next()).value).toMatchObject({ id: "1" });
});

test("a stream that is asked for after the close has ended already", async () => {
  const { hub: events } = hub();
  events.close();
  expect(await events.stream().next()).toEqual({ done: true, value: undefined });
  expect(events.wants("job.started")).toBe(false);
});

test("a listener for one event is let go of by the function it was given as", () => {
  const { hub: events } = hub();
  const seen: unknown[] = [];
  const listener = (event: unknown) => void seen.push(event);
  events.once("queue.paused", listener);
  events.off("queue.paused", listener);
  events.emit("queue.paused", paused);
  expect(seen).toEqual([]);
  expect(events.wants("queue.paused")).toBe(false);
});
