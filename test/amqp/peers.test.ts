/**
 * Who is there, who is late, who is gone: adoption rests on it, so *gone* must never come too early.
 *
 * Pure: time is what the test says has passed.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { BEAT_MS, Peers, type PeersOut } from "../../src/amqp/peers.ts";

const GONE_MS = 10_000;
const LATE_MS = 3 * BEAT_MS;

let peers: Peers;
let told: string[];
const out: PeersOut = { peer: (name, _boot, state) => void told.push(`${name} ${state}`) };

beforeEach(() => {
  peers = new Peers(GONE_MS);
  told = [];
});

function hear(...names: string[]): void {
  for (const name of names) peers.heard(name, `${name}1`, out);
}

/** As the cluster tells it: second by second. */
function pass(ms: number): void {
  for (let left = ms; left > 0; left -= 1_000) peers.elapsed(Math.min(1_000, left), out);
}

describe("a node that is heard of", () => {
  test("is up, and told once", () => {
    hear("a", "a", "a");
    expect(told).toEqual(["a up"]);
    expect(peers.names).toEqual(["a"]);
    expect(peers.has("a")).toBe(true);
    expect(peers.size).toBe(1);
  });

  test("is late after three beats of silence, once, and up again when it speaks", () => {
    hear("a");
    pass(LATE_MS - 1);
    expect(told).toEqual(["a up"]);
    pass(1);
    pass(1_000);
    expect(told).toEqual(["a up", "a late"]);
    hear("a");
    hear("a");
    expect(told).toEqual(["a up", "a late", "a up"]);
    expect(peers.get("a")?.late).toBe(false);
  });

  test("is there while it is late", () => {
    hear("a");
    pass(GONE_MS - 1);
    expect(peers.names).toEqual(["a"]);
  });

  test("is gone after its silence, once, and not there any more", () => {
    hear("a");
    pass(GONE_MS);
    pass(GONE_MS);
    expect(told).toEqual(["a up", "a late", "a gone"]);
    expect(peers.names).toEqual([]);
  });

  test("is never gone while it speaks, however rarely", () => {
    hear("a");
    for (let times = 0; times < 100; times++) {
      pass(GONE_MS - 1);
      hear("a");
    }
    expect(told).not.toContain("a gone");
  });

  test("goes alone: the others stay", () => {
    hear("a");
    pass(5_000);
    hear("b");
    pass(5_000);
    expect(told).toEqual(["a up", "b up", "a late", "a gone"]);
    expect(peers.names).toEqual(["b"]);
  });
});

describe("farewell", () => {
  test("takes a node away at once", () => {
    hear("a");
    peers.left("a", "a1", out);
    peers.left("a", "a1", out);
    expect(told).toEqual(["a up", "a gone"]);
    expect(peers.size).toBe(0);
  });

  test("of a process that nobody knows changes nothing", () => {
    hear("a");
    peers.left("a", "a0", out);
    peers.left("b", "b1", out);
    expect(told).toEqual(["a up"]);
    expect(peers.names).toEqual(["a"]);
  });

  test("is no farewell for ever", () => {
    hear("a");
    peers.left("a", "a1", out);
    peers.heard("a", "a2", out);
    expect(told).toEqual(["a up", "a gone", "a up"]);
  });
});

describe("another process under the same name", () => {
  test("answers for itself, and is neither gone nor new to anybody", () => {
    hear("a");
    pass(LATE_MS - 1);
    peers.heard("a", "a2", out);
    expect(told).toEqual(["a up"]);
    expect(peers.get("a")).toMatchObject({ boot: "a2", silentMs: 0 });
  });

  test("is not taken away by the farewell of the one before", () => {
    hear("a");
    peers.heard("a", "a2", out);
    peers.left("a", "a1", out);
    expect(peers.names).toEqual(["a"]);
  });

  test("has announced nothing yet", () => {
    const first = peers.heard("a", "a1", out);
    first.announcement = {
      jobs: ["mail"],
      queues: [],
      queueType: "quorum",
      topology: 1,
      nodeTimeoutMs: GONE_MS,
    };
    first.version = 3;
    expect(peers.knows("mail")).toBe(true);
    const second = peers.heard("a", "a2", out);
    expect(second).toMatchObject({ version: 0, announcement: undefined });
    expect(peers.knows("mail")).toBe(false);
  });
});

describe("our own connection", () => {
  test("whoever was cut off heard nobody, and starts all clocks anew", () => {
    hear("a", "b");
    pass(GONE_MS - 1);
    peers.disconnected();
    peers.connected();
    pass(GONE_MS - 1);
    expect(told).not.toContain("a gone");
    pass(1);
    expect(told.slice(-2)).toEqual(["a gone", "b gone"]);
  });

  test("a late one stays late until it is heard", () => {
    hear("a");
    pass(LATE_MS);
    peers.connected();
    expect(peers.get("a")?.late).toBe(true);
    hear("a");
    expect(told).toEqual(["a up", "a late", "a up"]);
  });

  test("a stall of this process is not the others' silence", () => {
    hear("a");
    peers.elapsed(3_600_000, out);
    expect(told).toEqual(["a up"]);
    expect(peers.connectedMs).toBeLessThanOrEqual(2_000);
  });

  test("a node is young until it has been connected for as long as a silence lasts, all in all", () => {
    expect(peers.young).toBe(true);
    pass(GONE_MS - 2);
    peers.disconnected();
    peers.connected();
    pass(1);
    expect(peers.young).toBe(true);
    pass(1);
    expect(peers.young).toBe(false);
    peers.disconnected();
    expect(peers.young).toBe(false);
  });

  test("it has not heard everybody in its first second, nor in the first after it was cut off", () => {
    expect(peers.unheard).toBe(true);
    peers.connected();
    pass(999);
    expect(peers.unheard).toBe(true);
    pass(1);
    expect(peers.unheard).toBe(false);
    peers.disconnected();
    expect(peers.unheard).toBe(true);
    pass(500);
    peers.connected();
    pass(999);
    expect(peers.unheard).toBe(true);
    pass(1);
    expect(peers.unheard).toBe(false);
  });
});

test("which jobs the others know is in their announcements", () => {
  hear("a", "b");
  const says = { queues: ["p.q"], queueType: "quorum", topology: 1, nodeTimeoutMs: GONE_MS };
  for (const peer of peers.alive)
    if (peer.name === "b") peer.announcement = { ...says, jobs: ["mail", "report"] };
  expect(["mail", "report", "other"].map((name) => peers.knows(name))).toEqual([true, true, false]);
  peers.left("b", "b1", out);
  expect(peers.knows("mail")).toBe(false);
});

describe("a node that only others know", () => {
  test("is a peer until it has been silent for long enough", () => {
    expect(peers.heardOf([["a", "a1"]], out)).toBe(true);
    expect(peers.heardOf([["a", "a1"]], out)).toBe(false);
    expect(peers.names).toEqual(["a"]);
    pass(GONE_MS);
    expect(told).toEqual(["a up", "a late", "a gone"]);
  });

  test("and that has left is not brought back by who has not heard that yet", () => {
    hear("a");
    peers.left("a", "a1", out);
    expect(peers.heardOf([["a", "a1"]], out)).toBe(false);
    expect(peers.names).toEqual([]);
    expect(peers.heardOf([["a", "a2"]], out)).toBe(true); // its next process
  });
});
