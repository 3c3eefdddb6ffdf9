/** What an enqueue says of each thing that may become of its publish: stored, known not to be, or nobody can tell. */
import { expect, test } from "vitest";
import { EnqueueGroup } from "../../src/amqp/enqueue-group.ts";
import { CONFIRMED, RETURNED } from "../../src/amqp/letter.ts";
import { jobs } from "../conformance/harness.ts";

const lost = new Error("the connection was lost");

test("a job by itself rejects when nobody can tell whether it was stored, and is refused when it is known not to be", async () => {
  const outcomes = [
    [CONFIRMED, undefined],
    [RETURNED, "UnknownQueue"],
    [{ kind: "unsent", error: Object.assign(lost, { code: "BrokerUnreachable" }) }, "BrokerUnreachable"],
  ] as const;
  for (const [sent, code] of outcomes) {
    const [job] = jobs(1);
    if (job === undefined) throw new Error("no job");
    const group = new EnqueueGroup(1);
    group.settled(job, sent);
    const refused = await group.done;
    expect(refused?.get(job)).toEqual(code === undefined ? undefined : expect.objectContaining({ code }));
  }
  const [job] = jobs(1);
  if (job === undefined) throw new Error("no job");
  const group = new EnqueueGroup(1);
  group.settled(job, { kind: "unknown", error: lost });
  await expect(group.done).rejects.toMatchObject({
    code: "EnqueueOutcomeUnknown",
    message: expect.stringContaining(job.id),
    cause: lost,
  });
});

test("of several each has its own answer, and those that were stored have none", async () => {
  const all = jobs(4);
  const group = new EnqueueGroup(all.length);
  const kinds = [CONFIRMED, RETURNED, { kind: "unknown", error: lost } as const, CONFIRMED];
  for (const [at, job] of all.entries()) group.settled(job, kinds[at] ?? CONFIRMED);
  const refused = await group.done;
  const told = all.map((job) => (refused?.get(job) as { code?: string } | undefined)?.code);
  expect(told).toEqual([undefined, "UnknownQueue", "EnqueueOutcomeUnknown", undefined]);
});
