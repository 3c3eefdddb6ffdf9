/**
 * One partition's state with a persister: what was answered is there again, a call at a time, and what fails is told.
 */
import { beforeEach, describe, expect, test } from "vitest";
import type { KeptChange } from "../../src/persist/lines.ts";
import { Vault, type VaultLimits } from "../../src/persist/vault.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { HeapPersister } from "./memory-persister.ts";

const P = "p";

interface Set extends KeptChange {
  readonly key: string;
  readonly value: number;
}

let clock: VirtualClock;
let kept: HeapPersister;

beforeEach(() => {
  clock = new VirtualClock(1_000);
  kept = new HeapPersister();
});

/** A map of numbers, kept by a vault: applied first, then appended. */
class Numbers {
  state = new Map<string, number>();
  readonly vault: Vault;

  constructor(
    limits: Partial<VaultLimits> = {},
    persister = kept as ConstructorParameters<typeof Vault>[0]["persister"],
  ) {
    this.vault = new Vault({ partition: P, persister, clock, limits, snapshot: () => this.#slices() });
  }

  *#slices(): Generator<readonly Set[]> {
    for (const [key, value] of this.state) yield [{ c: "set", key, value }];
  }

  /** Whether anything was there. */
  async opened(epoch = 0): Promise<boolean> {
    this.state.clear();
    const found = await this.vault.load((change) => {
      const { key, value } = change as Set;
      this.state.set(key, value);
    });
    await this.vault.begin(epoch);
    return found !== undefined;
  }

  set(key: string, value: number): Promise<void> {
    this.state.set(key, value);
    const change: Set = { c: "set", key, value };
    return this.vault.append([change]);
  }
}

async function again(): Promise<Record<string, number>> {
  const numbers = new Numbers();
  await numbers.opened();
  return Object.fromEntries(numbers.state);
}

describe("a vault", () => {
  test("has again what was answered, with one append for what came together", async () => {
    const numbers = new Numbers();
    expect(await numbers.opened()).toBe(false);
    const first = numbers.set("a", 1);
    await Promise.all([first, numbers.set("b", 2), numbers.set("a", 3)]);
    expect(kept.count("append")).toBe(2);
    expect(await again()).toEqual({ a: 3, b: 2 });
  });

  test("stores the whole for each group where there is no append", async () => {
    const numbers = new Numbers({}, kept.withoutAppend);
    await numbers.opened();
    const stores = kept.count("store");
    await Promise.all([numbers.set("a", 1), numbers.set("b", 2)]);
    expect(kept.count("append")).toBe(0);
    expect(kept.count("store")).toBe(stores + 1);
    expect(await again()).toEqual({ a: 1, b: 2 });
  });

  test("compacts when what was appended has outgrown the state, and loses nothing that comes meanwhile", async () => {
    const numbers = new Numbers({ compactAtBytes: 2_000 });
    await numbers.opened();
    for (let round = 0; round < 200; round++)
      await Promise.all([numbers.set("a", round), numbers.set(`b${round % 7}`, round)]);
    expect(kept.count("store")).toBeGreaterThan(3);
    expect(kept.kept.get(P)?.length).toBeLessThan(4_000);
    expect(await again()).toEqual(Object.fromEntries(numbers.state));
  });

  test("asks nothing beside a call that has not answered", async () => {
    let atOnce = 0;
    let most = 0;
    const slow = async () => {
      most = Math.max(most, ++atOnce);
      await new Promise((go) => setImmediate(go));
      atOnce -= 1;
    };
    for (const name of ["init", "store", "append"] as const) kept.instead.set(name, slow);
    const numbers = new Numbers({ compactAtBytes: 300 });
    await numbers.opened();
    await Promise.all(Array.from({ length: 50 }, (_, at) => numbers.set(`k${at}`, at)));
    expect(most).toBe(1);
  });

  test("takes nothing before it is begun", async () => {
    await expect(new Numbers().set("a", 1)).rejects.toThrow("not loaded");
  });

  test("gives an append that arrives behind a newer state no weight", async () => {
    const before = new Numbers();
    await before.opened(1);
    await before.set("a", 1);
    let late: (() => void) | undefined;
    const bytes: Uint8Array[] = [];
    const append = kept.append.bind(kept);
    kept.append = (partition, group) => {
      bytes.push(group);
      return new Promise((resolve) => {
        late = () => void append(partition, group).then(resolve);
      });
    };
    const lost = before.set("a", 2);
    await clock.settle();
    const after = new Numbers();
    await after.opened(2);
    expect(after.state.get("a")).toBe(1);
    late?.();
    await lost;
    expect(bytes).toHaveLength(1);
    expect(await again()).toEqual({ a: 1 });
  });
});

describe("a persister that fails", () => {
  const wrongs: [string, () => unknown, RegExp][] = [
    [
      "throws",
      () => {
        throw new Error("no disk");
      },
      /no disk/,
    ],
    ["throws what is no error", () => Promise.reject("no"), /no/],
    ["gives text", () => "rubbish", /gave a string, not bytes/],
    ["gives null", () => null, /gave null, not bytes/],
    ["gives no bytes at all", () => new Uint8Array(), /ends before/],
    ["gives rubbish", () => Buffer.from("rubbish"), /does not begin/],
  ];

  test.each(wrongs)(
    "in load: one that %s is told, and nothing is stored over it",
    async (_what, wrong, why) => {
      const numbers = new Numbers();
      await numbers.opened();
      await numbers.set("a", 1);
      const [bytes, stores] = [kept.kept.get(P), kept.count("store")];
      kept.instead.set("load", wrong);
      const error = await new Numbers().opened().catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "PersisterFailed", partition: P, call: "load" });
      expect((error as Error).message).toMatch(why);
      expect(kept.count("store")).toBe(stores);
      expect(kept.kept.get(P)).toBe(bytes);
      kept.instead.clear();
      expect(await again()).toEqual({ a: 1 });
    },
  );

  test.each(["init", "load"] as const)(
    "%s that never answers is given up, and nothing is asked beside it",
    async (name) => {
      let answer: (() => void) | undefined;
      kept.instead.set(
        name,
        () =>
          new Promise<void>((resolve) => {
            answer = resolve;
          }),
      );
      const numbers = new Numbers({ answerMs: 500 });
      const first = expect(numbers.opened()).rejects.toMatchObject({
        code: "PersisterFailed",
        call: name,
        why: `${name} did not answer within 0.5 s`,
      });
      await clock.advance(500);
      await first;
      const calls = kept.calls.length;
      const second = expect(numbers.opened()).rejects.toMatchObject({
        code: "PersisterFailed",
        call: "init",
      });
      await clock.advance(500);
      await second;
      expect(kept.calls.length).toBe(calls);
      kept.instead.clear();
      answer?.();
      await clock.settle();
      expect(await numbers.opened()).toBe(false);
    },
  );

  test.each(["append", "store"] as const)(
    "in %s: the change is not answered, nothing more is taken until it is loaded anew",
    async (name) => {
      const persister = name === "append" ? kept : kept.withoutAppend;
      const numbers = new Numbers({}, persister);
      await numbers.opened();
      await numbers.set("a", 1);
      kept.instead.set(name, () => {
        throw new Error("disk full");
      });
      const failed = Promise.allSettled([numbers.set("a", 2), numbers.set("b", 2)]);
      for (const one of await failed)
        expect(one).toMatchObject({
          status: "rejected",
          reason: { code: "PersisterFailed", call: name, why: "disk full" },
        });
      kept.instead.clear();
      await expect(numbers.set("c", 3)).rejects.toThrow("disk full");
      expect(await numbers.opened()).toBe(true);
      expect(Object.fromEntries(numbers.state)).toEqual({ a: 1 });
      await numbers.set("c", 3);
      expect(await again()).toEqual({ a: 1, c: 3 });
    },
  );

  test("one that has half appended is stored anew before anything goes behind that", async () => {
    const numbers = new Numbers();
    await numbers.opened();
    await numbers.set("a", 1);
    const append = kept.append.bind(kept);
    kept.append = async (partition, bytes) => {
      await append(partition, bytes.subarray(0, 20));
      throw new Error("cut");
    };
    await expect(numbers.set("a", 2)).rejects.toThrow("cut");
    kept.append = append;
    await numbers.opened();
    await numbers.set("b", 3);
    expect(await again()).toEqual({ a: 1, b: 3 });
  });

  test("whoever is ended answers nobody, and stores nothing more", async () => {
    const numbers = new Numbers();
    await numbers.opened();
    const waiting = numbers.set("a", 1);
    const behind = numbers.set("b", 1);
    numbers.vault.end(new Error("deposed"));
    await expect(behind).rejects.toThrow("deposed");
    await waiting.catch(() => {});
    await expect(numbers.set("c", 1)).rejects.toThrow("deposed");
    expect(kept.count("append")).toBeLessThanOrEqual(1);
  });
});

describe("the whole of a large state", () => {
  /** Each look at it is a hundredth of a millisecond: what it measures is work, whatever the machine does beside. */
  class WorkClock extends VirtualClock {
    looks = 0;
    longest = 0;
    turnsTaken = 0;
    override now = (): number => 1_000 + ++this.looks / 100;
    override turn(callback: () => void): void {
      this.longest = Math.max(this.longest, this.looks);
      this.looks = 0;
      this.turnsTaken += 1;
      super.turn(callback);
    }
  }

  test("is read in slices of 5 ms", async () => {
    const work = new WorkClock();
    clock = work;
    const numbers = new Numbers();
    await numbers.opened();
    for (let at = 0; at < 20_000; at++) numbers.state.set(`key-${at}`, at);
    Object.assign(work, { looks: 0, longest: 0, turnsTaken: 0 });
    await numbers.vault.begin(1);
    expect(work.turnsTaken).toBeGreaterThan(30);
    expect(work.longest).toBeLessThan(600);
  });
});
