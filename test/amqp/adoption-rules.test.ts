/**
 * Whether a delivery may start, rule by rule: what a node does with one delivery, given what it knows and hears.
 *
 * The simulation beside it plays whole clusters, `adoption.test.ts` real ones; here each rule stands alone, with what
 * must and must not be done.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { Adoption, type AdoptionOut, type Claim, type InHand } from "../../src/amqp/adoption.ts";
import type { Copy } from "../../src/amqp/ended.ts";

/** Node `m` between `a` and `z`, with all that adoption is told and all that it wants. */
class Node implements AdoptionOut<string> {
  readonly did: string[] = [];
  readonly asked: Copy[][] = [];
  readonly peers = { names: [] as string[], young: false, unheard: false };
  readonly hands = new Map<string, InHand>();
  readonly adoption: Adoption<string>;
  /** A list says who may be there, and all of it is accounted for. */
  accounted = false;
  now = 0;
  /** Whether what starts is in hand from then on. */
  keeps = false;

  constructor(name = "m") {
    const { peers } = this;
    this.adoption = new Adoption<string>({
      self: name,
      peers,
      inHand: (id) => this.hands.get(id),
      accounted: () => this.accounted,
      now: 0,
    });
  }

  start(item: string): void {
    this.did.push(`start ${item}`);
    if (this.keeps) this.has(job);
  }
  over(item: string): void {
    this.did.push(`acknowledge ${item}`);
  }
  adopt(item: string, id: string): void {
    this.did.push(`adopt ${item} as ${id}`);
  }
  hold(item: string, held: boolean): void {
    this.did.push(`${held ? "hold" : "free"} ${item}`);
  }
  ask(copies: readonly Copy[]): void {
    this.asked.push([...copies]);
  }

  first(item: string, copy: Copy): void {
    this.adoption.arrived(copy, item, false, false, this.now, this);
  }
  flagged(item: string, copy: Copy): void {
    this.adoption.arrived(copy, item, true, false, this.now, this);
  }
  /** It came through a retry or delay queue. */
  doubled(item: string, copy: Copy): void {
    this.adoption.arrived(copy, item, false, true, this.now, this);
  }
  says(from: string, claim: Claim, copy: Copy): void {
    this.adoption.answered(from, [[copy, claim]], this);
  }
  /** Time goes on, and it looks as it does several times a second. */
  later(ms: number): void {
    this.now += ms;
    this.adoption.look(this.now, this);
  }
  has(copy: Copy, attached = true): void {
    this.hands.set(copy.id, { copy, attached });
  }
  ends(copy: Copy): void {
    this.hands.delete(copy.id);
    this.adoption.ended.add(copy, this.now, false);
    this.adoption.left(copy.id, this.now, this);
  }
}

const copyOf = (id: string, fields: Partial<Copy> = {}): Copy => ({
  id,
  attempt: 0,
  hop: 0,
  enqueuedAt: 1,
  ...fields,
});
const job = copyOf("job");

let node: Node;
beforeEach(() => {
  node = new Node();
  node.peers.names = ["a", "z"];
});

describe("a first delivery", () => {
  test("starts at once, and nobody is asked", () => {
    node.first("d", job);
    expect(node.did).toEqual(["start d"]);
    expect(node.asked).toEqual([]);
  });

  test("starts at once also on a node that has only just come", () => {
    Object.assign(node.peers, { young: true, unheard: true });
    node.first("d", job);
    expect(node.did).toEqual(["start d"]);
  });
});

describe("what has ended here", () => {
  test.each(["first", "flagged", "doubled"] as const)("is acknowledged when it comes again (%s)", (how) => {
    node.adoption.ended.add(job, 0, false);
    node[how]("d", job);
    expect(node.did).toEqual(["acknowledge d"]);
    expect(node.asked).toEqual([]);
  });

  test("takes its earlier copies with it, and not its later ones", () => {
    node.adoption.ended.add(copyOf("job", { attempt: 1 }), 0, false);
    node.first("earlier", job);
    node.first("later", copyOf("job", { attempt: 2 }));
    node.first("another", copyOf("job", { enqueuedAt: 2 }));
    expect(node.did).toEqual(["acknowledge earlier", "start later", "start another"]);
  });
});

describe("what is in hand here", () => {
  test("adopts its redelivery when it has lost its own", () => {
    node.has(job, false);
    node.flagged("d", job);
    expect(node.did).toEqual(["adopt d as job"]);
  });

  test("lets a double wait, and acknowledges it at its end", () => {
    node.has(job);
    node.doubled("d", job);
    expect(node.did).toEqual(["hold d"]);
    node.ends(job);
    expect(node.did).toEqual(["hold d", "free d", "acknowledge d"]);
  });

  test("lets its retry wait, which starts when its turn comes: a first delivery is in nobody's hands", () => {
    const retry = copyOf("job", { attempt: 1 });
    node.has(job);
    node.first("d", retry);
    expect(node.did).toEqual(["hold d"]);
    node.ends(job);
    expect(node.did).toEqual(["hold d", "free d", "start d"]);
    expect(node.asked).toEqual([]);
  });

  test("lets a retry that came again wait, and that is asked about when its turn comes", () => {
    const retry = copyOf("job", { attempt: 1 });
    node.has(job);
    node.flagged("d", retry);
    node.ends(job);
    expect(node.did).toEqual(["hold d", "free d"]);
    expect(node.asked).toEqual([[retry]]);
    node.says("a", "no", retry);
    node.says("z", "no", retry);
    expect(node.did.at(-1)).toBe("start d");
  });

  test("is not tied to another copy of its job, whatever it has lost", () => {
    node.has(job, false);
    node.flagged("d", copyOf("job", { attempt: 1 }));
    node.flagged("e", copyOf("job", { enqueuedAt: 2 }));
    expect(node.did).toEqual(["hold d", "hold e"]);
  });

  test("lets more than one wait, in their order", () => {
    const retry = copyOf("job", { attempt: 1 });
    node.has(job);
    node.doubled("d1", job);
    node.doubled("d2", retry);
    node.peers.names = [];
    node.ends(job);
    expect(node.did).toEqual(["hold d1", "hold d2", "free d1", "acknowledge d1", "free d2", "start d2"]);
  });

  test("keeps what was handed back from waiting for ever", () => {
    node.has(job);
    node.doubled("d", job);
    node.peers.names = [];
    node.hands.delete("job");
    node.adoption.left("job", node.now, node);
    expect(node.did).toEqual(["hold d", "free d", "start d"]);
  });
});

describe("what comes again", () => {
  test("starts when every peer has said no, and not before", () => {
    node.flagged("d", job);
    expect(node.asked).toEqual([[job]]);
    node.says("a", "no", job);
    expect(node.did).toEqual([]);
    node.says("z", "no", job);
    expect(node.did).toEqual(["start d"]);
    expect(node.adoption.settled).toBe(true);
  });

  test("starts at once on a node that is alone", () => {
    node.peers.names = [];
    node.flagged("d", job);
    expect(node.did).toEqual(["start d"]);
    expect(node.asked).toEqual([]);
  });

  test("waits while a peer is silent, however long, and is asked about every 300 ms", () => {
    node.flagged("d", job);
    node.says("a", "no", job);
    for (let ms = 0; ms < 60_000; ms += 100) node.later(100);
    expect(node.did).toEqual(["hold d"]);
    expect(node.asked).toHaveLength(1 + 60_000 / 300);
  });

  test("starts when the silent peer is gone", () => {
    node.flagged("d", job);
    node.says("a", "no", job);
    node.peers.names = ["a"];
    node.adoption.peerGone("z", node.now, node);
    expect(node.did).toEqual(["start d"]);
  });

  test("waits on a young node, though all have said no: it may not know yet who is gone", () => {
    node.peers.young = true;
    node.flagged("d", job);
    node.says("a", "no", job);
    node.says("z", "no", job);
    node.later(900);
    expect(node.did).toEqual([]);
    node.peers.young = false;
    node.later(50);
    expect(node.did).toEqual(["start d"]);
  });

  test("keeps no other job of its queue waiting for longer than a second", () => {
    node.peers.young = true;
    node.flagged("d", job);
    node.says("a", "no", job);
    node.says("z", "no", job);
    node.later(1_000);
    node.later(1_000);
    expect(node.did).toEqual(["hold d"]); // the broker may send one more in its stead
    node.peers.young = false;
    node.later(300);
    expect(node.did).toEqual(["hold d", "free d", "start d"]);
  });

  test("holds what comes behind it at once, when it has taken its time", () => {
    const second = { ...job, id: "j2" };
    node.peers.young = true;
    node.flagged("d", job);
    node.later(1_000);
    node.flagged("e", second);
    expect(node.did).toEqual(["hold d", "hold e"]);
    node.peers.young = false;
    node.peers.names = [];
    node.later(300);
    expect(node.did).toEqual(["hold d", "hold e", "free d", "start d", "free e", "start e"]);
    node.peers.young = true;
    node.flagged("f", { ...job, id: "j3" });
    expect(node.did).not.toContain("hold f");
  });

  test("is asked of whoever comes meanwhile too", () => {
    node.flagged("d", job);
    node.says("a", "no", job);
    node.peers.names = ["a", "b", "z"];
    node.says("z", "no", job);
    expect(node.did).toEqual([]);
    node.says("b", "no", job);
    expect(node.did).toEqual(["start d"]);
  });

  test("is acknowledged when one peer says that it has ended, whatever the others say", () => {
    node.flagged("d", job);
    node.says("a", "no", job);
    node.says("z", "ended", job);
    expect(node.did).toEqual(["acknowledge d"]);
    node.says("a", "no", job);
    expect(node.did).toHaveLength(1);
  });

  test("five hundred are asked about in one question", () => {
    node.peers.unheard = true;
    node.peers.names = [];
    for (let at = 0; at < 1_200; at++) node.flagged(`d${at}`, copyOf(`${at}`));
    node.peers.names = ["a"];
    node.asked.length = 0;
    node.later(300);
    expect(node.asked.map((copies) => copies.length)).toEqual([500, 500, 200]);
  });

  test("an answer that this version does not know is no answer", () => {
    node.flagged("d", job);
    node.says("a", "no", job);
    node.says("z", "perhaps" as Claim, job);
    expect(node.did).toEqual([]);
  });

  test("an answer about another copy of the job is no answer", () => {
    node.flagged("d", copyOf("job", { attempt: 1 }));
    for (const name of ["a", "z"]) {
      node.says(name, "no", job);
      node.says(name, "ended", copyOf("job", { attempt: 1, enqueuedAt: 2 }));
    }
    expect(node.did).toEqual([]);
  });
});

describe("what was handed back here without having started", () => {
  beforeEach(() => {
    node.peers.young = true;
    node.adoption.gaveBack(job, 0, node);
  });

  test("does not wait for the node's youth when it comes again: it did not run here", () => {
    node.flagged("d", job);
    expect(node.asked).toEqual([[job]]);
    node.says("a", "no", job);
    expect(node.did).toEqual([]);
    node.says("z", "no", job);
    expect(node.did).toEqual(["start d"]);
  });

  test("is known by its copy: others of its job wait", () => {
    const retry = copyOf("job", { attempt: 1 });
    node.flagged("d", retry);
    for (const name of ["a", "z"]) node.says(name, "no", retry);
    expect(node.did).toEqual([]);
  });
});

describe("what came through a retry or delay queue", () => {
  test("is asked about, and does not wait for the node's youth", () => {
    node.peers.young = true;
    node.doubled("d", job);
    node.says("a", "no", job);
    expect(node.did).toEqual([]);
    node.says("z", "no", job);
    expect(node.did).toEqual(["start d"]);
  });

  test("waits until the others can have been heard", () => {
    node.peers.unheard = true;
    node.peers.names = [];
    node.doubled("d", job);
    expect(node.did).toEqual([]);
    node.peers.unheard = false;
    node.later(300);
    expect(node.did).toEqual(["start d"]);
  });
});

describe("what another node has", () => {
  beforeEach(() => {
    node.flagged("d", job);
    node.says("z", "running", job);
  });

  test("is held, and takes a place meanwhile", () => {
    node.says("z", "running", job);
    node.says("a", "no", job);
    expect(node.did).toEqual(["hold d"]);
  });

  test("is asked about every second", () => {
    node.asked.length = 0;
    for (let ms = 0; ms < 10_000; ms += 100) node.later(100);
    expect(node.asked).toHaveLength(10);
  });

  test("is acknowledged when its owner says that it has ended", () => {
    node.adoption.toldEnded([job], node.now, node);
    expect(node.did).toEqual(["hold d", "free d", "acknowledge d"]);
    node.flagged("again", job);
    expect(node.did.at(-1)).toBe("acknowledge again");
  });

  test("starts when its owner has handed it back and all say no", () => {
    node.says("z", "no", job);
    expect(node.did).toEqual(["hold d"]);
    node.says("a", "no", job);
    expect(node.did).toEqual(["hold d", "free d", "start d"]);
  });

  test("is asked about anew when its owner is gone: a no from before counts no more", () => {
    node.says("a", "no", job);
    node.peers.names = ["a"];
    node.now += 1_000;
    node.adoption.peerGone("z", node.now, node);
    expect(node.did).toEqual(["hold d"]);
    node.says("a", "no", job);
    expect(node.did.at(-1)).toBe("start d");
  });

  test("starts at once when its owner is gone and nobody else is there", () => {
    node.peers.names = [];
    node.adoption.peerGone("z", node.now, node);
    expect(node.did).toEqual(["hold d", "free d", "start d"]);
  });

  test("stays held when somebody else goes", () => {
    node.peers.names = ["z"];
    node.adoption.peerGone("a", node.now, node);
    node.later(1_000);
    expect(node.did).toEqual(["hold d"]);
  });

  test("passes to another owner without being freed between", () => {
    node.says("a", "running", job);
    node.says("z", "no", job);
    expect(node.did).toEqual(["hold d"]);
    node.says("a", "no", job);
    node.says("z", "no", job);
    expect(node.did).toEqual(["hold d", "free d", "start d"]);
  });

  test("an owner that said no before it took it is an owner", () => {
    node.says("a", "no", job);
    node.says("a", "running", job);
    node.says("z", "running", job);
    node.says("z", "no", job);
    expect(node.did).not.toContain("start d");
  });
});

describe("two nodes in doubt about one copy", () => {
  test("of two the smaller name has it", () => {
    node.flagged("d", job);
    expect(node.adoption.claimOf(job, "z")).toBe("running");
    expect(node.adoption.claimOf(job, "a")).toBe("no");
  });

  test("of two nodes exactly one starts it", () => {
    const [first, second] = [new Node("a"), new Node("b")];
    first.peers.names = ["b"];
    second.peers.names = ["a"];
    first.keeps = true;
    first.flagged("d1", job);
    second.flagged("d2", job);
    for (let turn = 0; turn < 3; turn++) {
      second.says("a", first.adoption.claimOf(job, "b"), job);
      first.says("b", second.adoption.claimOf(job, "a"), job);
    }
    expect(first.did).toEqual(["start d1"]);
    expect(second.did).toEqual(["hold d2"]);
  });

  test("a no that a peer said before it was in doubt itself counts no more", () => {
    node.flagged("d", job);
    node.says("a", "no", job);
    // a has got a copy since, and asks
    expect(node.adoption.claimOf(job, "a")).toBe("no");
    node.says("z", "no", job);
    expect(node.did).toEqual([]);
    node.says("a", "running", job);
    expect(node.did).toEqual(["hold d"]);
  });
});

describe("two deliveries of one copy on one node", () => {
  test("one starts, the other waits for its end and is acknowledged", () => {
    node.doubled("d1", job);
    node.doubled("d2", job);
    node.keeps = true;
    for (const name of ["a", "z"]) node.says(name, "no", job);
    expect(node.did).toEqual(["start d1", "hold d2"]);
    node.ends(job);
    expect(node.did.slice(2)).toEqual(["free d2", "acknowledge d2"]);
  });

  test("one that is still in doubt when the other has ended is acknowledged, and never starts", () => {
    node.peers.young = true;
    node.keeps = true;
    node.doubled("d1", job);
    node.flagged("d2", job);
    for (const name of ["a", "z"]) node.says(name, "no", job);
    expect(node.did).toEqual(["start d1"]);
    node.ends(job);
    expect(node.did).toEqual(["start d1", "acknowledge d2"]);
    node.peers.young = false;
    node.later(1_000);
    expect(node.did).toHaveLength(2);
    expect(node.adoption.settled).toBe(true);
  });

  test("one that is still in doubt when the other has lost its channel is adopted", () => {
    node.peers.young = true;
    node.flagged("d", job);
    for (const name of ["a", "z"]) node.says(name, "no", job);
    node.has(job, false);
    node.peers.young = false;
    node.later(1_000);
    expect(node.did).toEqual(["adopt d as job"]);
  });
});

describe("what a node says when it is asked", () => {
  test("running, of what it has in hand, attached or not", () => {
    node.has(job, false);
    expect(node.adoption.claimOf(job, "a")).toBe("running");
    node.has(job, true);
    expect(node.adoption.claimOf(job, "a")).toBe("running");
    expect(node.adoption.claimOf(copyOf("job", { attempt: 1 }), "a")).toBe("no");
  });

  test("ended, of what has ended, and of copies before that", () => {
    node.ends(copyOf("job", { attempt: 1 }));
    expect(node.adoption.claimOf(copyOf("job", { attempt: 1 }), "a")).toBe("ended");
    expect(node.adoption.claimOf(job, "a")).toBe("ended");
    expect(node.adoption.claimOf(copyOf("job", { attempt: 2 }), "a")).toBe("no");
  });

  test("no, of all else", () => {
    expect(node.adoption.claimOf(job, "a")).toBe("no");
    expect(node.adoption.claimOf(job, "z")).toBe("no");
  });
});

describe("what a node says to one that was cut off with the job in hand", () => {
  test("ended, of what has ended here meanwhile", () => {
    node.ends(job);
    expect(node.adoption.counterClaimOf(job, "a")).toBe("ended");
  });

  test("running, of what it has started itself", () => {
    node.has(job);
    expect(node.adoption.counterClaimOf(job, "a")).toBe("running");
    expect(node.adoption.counterClaimOf(job, "z")).toBe("running");
    expect(node.adoption.counterClaimOf(copyOf("job", { attempt: 1 }), "z")).toBe("no");
  });

  test("of two without a delivery the smaller name has it", () => {
    node.has(job, false);
    expect(node.adoption.counterClaimOf(job, "a")).toBe("no");
    expect(node.adoption.counterClaimOf(job, "z")).toBe("running");
  });

  test("no, of what it is only in doubt about, whatever their names", () => {
    node.flagged("d", job);
    node.says("a", "running", job);
    expect(node.adoption.counterClaimOf(job, "a")).toBe("no");
    expect(node.adoption.counterClaimOf(job, "z")).toBe("no");
  });
});

describe("a channel is lost", () => {
  test("what it brought is the broker's again: held, in doubt or waiting", () => {
    node.has(copyOf("mine"));
    node.flagged("1 held", copyOf("held"));
    node.says("z", "running", copyOf("held"));
    node.flagged("1 doubt", copyOf("doubt"));
    node.doubled("1 parked", copyOf("mine"));
    node.did.length = 0;
    node.adoption.lost((item) => item.startsWith("1"), node);
    expect(node.did).toEqual(["free 1 held", "free 1 parked"]);
    expect(node.adoption.settled).toBe(true);
    node.ends(copyOf("mine"));
    node.says("a", "no", copyOf("doubt"));
    node.says("z", "no", copyOf("doubt"));
    expect(node.did).toHaveLength(2);
  });

  test("what came by another one stays", () => {
    node.has(copyOf("mine"));
    node.flagged("2 doubt", copyOf("doubt"));
    node.doubled("2 parked", copyOf("mine"));
    node.doubled("1 parked", copyOf("mine"));
    node.did.length = 0;
    node.adoption.lost((item) => item.startsWith("1"), node);
    node.ends(copyOf("mine"));
    for (const name of ["a", "z"]) node.says(name, "no", copyOf("doubt"));
    expect(node.did).toEqual(["free 1 parked", "free 2 parked", "acknowledge 2 parked", "start 2 doubt"]);
  });

  test("what had ended is still known", () => {
    node.ends(job);
    node.adoption.lost(() => true, node);
    node.flagged("d", job);
    expect(node.did).toEqual(["acknowledge d"]);
  });
});
