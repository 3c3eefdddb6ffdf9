/**
 * What nodes say to each other about their jobs: who has it, who ended it, whose it is after a long silence.
 *
 * Two or three custodies on one line that can be cut; readers and channels are fakes that note what is done to them.
 * SPILLWAY_SEED repeats a run.
 */
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import type { Roll } from "../../src/amqp/coordinator/requests.ts";
import { Custody } from "../../src/amqp/custody.ts";
import { Handed } from "../../src/amqp/handed.ts";
import { Peers, type PeersOut } from "../../src/amqp/peers.ts";
import type { QueueChannel } from "../../src/amqp/queue-channel.ts";
import type { QueueReader } from "../../src/amqp/queue-reader.ts";
import { Envelope } from "../../src/jobs/envelope.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";

const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 2 ** 31);
const RUNS = process.env.SPILLWAY_LONG === undefined ? 500 : 50_000;
const GONE_MS = 10_000;
const NOBODY: PeersOut = { peer: () => {} };

const clock = { now: new VirtualClock() };
let nodes: Map<string, Node>;

class Node {
  readonly did: string[] = [];
  readonly peers = new Peers(GONE_MS);
  readonly reader: QueueReader;
  readonly custody: Custody;
  readonly channel = { serial: 1 } as unknown as QueueChannel;
  isUp = true;
  roll: Roll | undefined;
  isCutOff = false;
  #tags = 0;

  constructor(readonly name: string) {
    const { did } = this;
    const isCutOff = () => this.isCutOff;
    const reader = {
      held: 0,
      get isCutOff() {
        return isCutOff();
      },
      wantedChanged: () => {},
      settled: (handed: Handed) => {
        did.push(`acknowledge ${handed.envelope.id}`);
        handed.source = undefined;
      },
      lane: { push: (handed: Handed) => did.push(`start ${handed.envelope.id}`), forget: () => [] },
    };
    this.reader = reader as unknown as QueueReader;
    const say = (kind: string, body: unknown, to?: string) => this.#say(kind, body, to);
    const canAsk = () => this.isUp;
    this.custody = new Custody({
      clock: clock.now,
      node: name,
      boot: name,
      roll: () => this.roll,
      peers: this.peers,
      say,
      canAsk,
    });
  }

  /** To the others, as it would travel. */
  #say(kind: string, body: unknown, to: string | undefined): void {
    const text = JSON.stringify(body);
    for (const other of nodes.values())
      if (other !== this && this.isUp && other.isUp && (to === undefined || to === other.name))
        other.custody.heard(kind, this.name, JSON.parse(text));
  }

  delivered(id: string, again = false): Handed {
    const envelope = new Envelope({ id, job: "j", partition: "p", queue: "q", argsText: "1" });
    const handed = new Handed(envelope, again, this.reader, this.channel, ++this.#tags);
    this.custody.arrived(handed, false);
    return handed;
  }

  /** Its connection is lost: what it runs goes on. */
  cut(): void {
    this.isUp = false;
    this.custody.channelGone(this.channel, this.reader);
  }

  /** All nodes know each other, and have been there for long. */
  meets(others: Iterable<Node>): void {
    for (const { name } of others) if (name !== this.name) this.peers.heard(name, `${name}1`, NOBODY);
    for (let ms = 0; ms < GONE_MS; ms += 1_000) {
      this.peers.elapsed(1_000, NOBODY);
      for (const { name } of others) if (name !== this.name) this.peers.heard(name, `${name}1`, NOBODY);
    }
  }

  /** It has heard nothing of that one for too long. */
  givesUp(other: Node): void {
    this.peers.left(other.name, `${other.name}1`, { peer: (name) => this.custody.peerGone(name) });
  }
}

let a: Node;
let b: Node;
let c: Node;

beforeEach(() => {
  clock.now = new VirtualClock();
  nodes = new Map();
  [a, b, c] = [new Node("a"), new Node("b"), new Node("c")];
  for (const node of [a, b, c]) nodes.set(node.name, node);
  for (const node of nodes.values()) node.meets([a, b, c]);
});

/** What a promise has come to, once it has. */
function outcome(promise: Promise<boolean>): { is: boolean | undefined } {
  const told: { is: boolean | undefined } = { is: undefined };
  void promise.then((value) => {
    told.is = value;
  });
  return told;
}

describe("a job whose node lost its connection", () => {
  test("is held by whoever gets it, and acknowledged there when it has ended", async () => {
    const handed = a.delivered("job");
    a.cut();
    a.isUp = true;
    b.delivered("job", true);
    await clock.now.advance(5_000);
    expect(b.did).toEqual([]);
    expect(b.reader.held).toBe(1);
    a.custody.ended(handed);
    expect(a.did).toEqual(["start job"]);
    expect(b.did).toEqual(["acknowledge job"]);
    expect(b.reader.held).toBe(0);
  });

  test("is adopted when it comes back to the node itself, and acknowledged at its end", () => {
    const handed = a.delivered("job");
    a.cut();
    a.isUp = true;
    a.delivered("job", true);
    expect(handed.attached).toBe(true);
    a.custody.ended(handed);
    expect(a.did).toEqual(["start job", "acknowledge job"]);
    a.delivered("job", true);
    expect(a.did.at(-1)).toBe("acknowledge job");
  });

  test("is acknowledged by whoever gets it after its end, though nobody was told", async () => {
    const handed = a.delivered("job");
    a.cut();
    a.custody.ended(handed);
    b.delivered("job", true);
    await clock.now.advance(1_000);
    expect(b.did).toEqual([]);
    a.isUp = true;
    await clock.now.advance(300);
    expect(b.did).toEqual(["acknowledge job"]);
  });

  test("starts elsewhere when its node is gone", async () => {
    a.delivered("job");
    a.cut();
    b.delivered("job", true);
    await clock.now.advance(GONE_MS);
    expect(b.did).toEqual([]);
    b.givesUp(a);
    expect(b.did).toEqual(["start job"]);
  });

  test("that was handed back is anybody's", async () => {
    const handed = a.delivered("job");
    a.custody.gaveBack(handed);
    b.delivered("job", true);
    await clock.now.advance(300);
    expect(b.did).toEqual(["start job"]);
  });
});

describe("after a long cut", () => {
  let handed: Handed;
  beforeEach(() => {
    handed = a.delivered("job");
    a.cut();
    a.isCutOff = true;
  });

  function back(): void {
    a.custody.hands.doubtAll();
    a.isCutOff = false;
    a.isUp = true;
  }

  test("what is in hand is doubtful, while it lasts and after", () => {
    expect(handed.doubtful).toBe(true);
    back();
    expect(handed.doubtful).toBe(true);
    const other = a.delivered("other");
    expect(other.doubtful).toBe(false);
  });

  test("nothing is asked before anybody can be asked", async () => {
    const told = outcome(a.custody.stillOurs(handed));
    await clock.now.advance(60_000);
    expect(told.is).toBeUndefined();
    back();
    await clock.now.advance(300);
    expect(told.is).toBe(true);
    expect(handed.doubtful).toBe(false);
  });

  test("it is ours when all say that they have not started it", async () => {
    back();
    const told = outcome(a.custody.stillOurs(handed));
    await clock.now.settle();
    expect(told.is).toBe(true);
  });

  test("it is ours though others are in doubt about it: that is no claim, whatever their names", async () => {
    for (const node of [a, b, c]) node.peers.heard("silent", "s1", NOBODY);
    const asked = c.delivered("mine too");
    c.cut();
    b.delivered("job", true);
    a.delivered("mine too", true);
    back();
    c.isUp = true;
    c.custody.hands.doubtAll();
    const told = [a.custody.stillOurs(handed), c.custody.stillOurs(asked)].map(outcome);
    await clock.now.advance(5_000);
    expect(told.map(({ is }) => is)).toEqual([true, true]);
  });

  test("it is not when another node has started it", async () => {
    b.delivered("job", true);
    b.givesUp(a);
    expect(b.did).toEqual(["start job"]);
    back();
    const told = outcome(a.custody.stillOurs(handed));
    await clock.now.settle();
    expect(told.is).toBe(false);
  });

  test("it is not when another node has ended it", async () => {
    const other = b.delivered("job", true);
    b.givesUp(a);
    await clock.now.advance(300);
    b.custody.ended(other);
    back();
    const told = outcome(a.custody.stillOurs(handed));
    await clock.now.settle();
    expect(told.is).toBe(false);
  });

  test("a peer that does not answer within 5 s is not waited for, one that is gone at once", async () => {
    back();
    b.isUp = false;
    const first = outcome(a.custody.stillOurs(handed));
    await clock.now.advance(4_900);
    expect(first.is).toBeUndefined();
    await clock.now.advance(200);
    expect(first.is).toBe(true);
    a.custody.hands.doubtAll();
    const second = outcome(a.custody.stillOurs(handed));
    await clock.now.settle();
    expect(second.is).toBeUndefined();
    a.givesUp(b);
    await clock.now.settle();
    expect(second.is).toBe(true);
  });

  test("whoever ends meanwhile keeps what it has", async () => {
    const told = outcome(a.custody.stillOurs(handed));
    a.custody.close();
    await clock.now.advance(300);
    expect(told.is).toBe(true);
    expect(clock.now.pending).toBe(0);
  });
});

test(`whatever is said, nothing is thrown, and nothing starts that was not all denied (seed ${SEED})`, () => {
  const number = fc.oneof(fc.integer(), fc.constant(0), fc.string(), fc.constant(null));
  const claim = fc.oneof(
    fc.constantFrom("running", "perhaps", 5, null, {}),
    fc.string().map((text) => `?${text}`),
  );
  const packed = fc.oneof(
    fc.tuple(fc.constantFrom("job", "x"), number, number, number, claim),
    fc.array(fc.jsonValue()),
    fc.jsonValue(),
  );
  const kind = fc.oneof(fc.constantFrom("ask", "mine", "claims", "counter-claims"), fc.string());
  fc.assert(
    fc.property(kind, fc.oneof(fc.array(packed), fc.jsonValue()), (what, body) => {
      b.isUp = false;
      c.isUp = false;
      const node = new Node("a");
      nodes.set("a", node);
      node.meets([node, b, c]);
      node.delivered("job", true);
      node.custody.heard(what, "b", body);
      node.custody.heard(what, "c", body);
      expect(node.did).toEqual([]);
      node.custody.close();
    }),
    { numRuns: RUNS, seed: SEED },
  );
});
