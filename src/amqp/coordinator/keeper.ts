/**
 * Where the coordinator of one partition keeps what it decides: all of it in the journal, or all but nodes and suspects with a
 * persister.
 *
 * Owns the vault of the persister. The journal still elects, and is where the list of nodes is. A change is told when it is
 * with the persister *and* a record that was published after that has come back in the journal: by then this node still
 * ruled, so whoever comes next loads what has it. Who takes over stores the state anew first. When its term is over, it
 * stores nothing more.
 */
import { PersisterFailed } from "../../broker/errors.ts";
import type { Persister } from "../../broker/persister.ts";
import type { Clock } from "../../kernel/types.ts";
import { Vault } from "../../persist/vault.ts";
import type { Chair } from "./chair.ts";
import type { Change } from "./requests.ts";
import type { SeatOwner } from "./seat.ts";

export interface KeeperParts {
  readonly partition: string;
  readonly persister: Persister | "none" | undefined;
  readonly clock: Clock;
  readonly chair: Chair;
  /** To the journal. */
  readonly append: (changes: readonly Change[]) => Promise<void>;
  readonly giveUp: (reason: Error) => void;
  /** Why this node could not take over. */
  readonly failed: (reason: Error) => void;
}

const KEPT: ReadonlySet<string> = new Set([
  "key",
  "kept",
  "lapses",
  "free",
  "ended",
  "forgotten",
  "mark",
  "unmark",
  "pause",
  "purged",
]);
const isKept = ({ c }: { readonly c: string }) => KEPT.has(c);
/** Changes nothing; that it comes back is what counts. */
const STILL_HERE: readonly Change[] = [{ c: "closed", until: 0 }];

export class Keeper implements SeatOwner {
  readonly #parts: KeeperParts;
  readonly #vault: Vault | undefined;
  /** Grows with each term, and with its end. */
  #term = 0;
  #epoch = 0;
  #trouble: Error | undefined;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    const { partition, persister, clock, chair } = parts;
    if (persister === undefined || persister === "none") return;
    this.#vault = new Vault({ partition, persister, clock, snapshot: () => chair.snapshot("kept") });
  }

  /** Why this node does not rule, or could not go on; until it rules again. */
  get trouble(): Error | undefined {
    return this.#trouble;
  }

  /** Whether there is something to know, of a partition that has no journal. @throws PersisterFailed */
  async isThere(): Promise<boolean> {
    return (await this.#vault?.load(() => {})) !== undefined;
  }

  /** Resolves when they are durable, and whoever is elected next has them. */
  async append(changes: readonly Change[]): Promise<void> {
    const { persister, append, giveUp } = this.#parts;
    if (persister === undefined) return append(changes);
    const term = this.#term;
    const kept = changes.filter(isKept);
    const others = changes.filter((change) => !isKept(change));
    try {
      if (kept.length > 0) await this.#vault?.append(kept);
    } catch (error) {
      if (term === this.#term) {
        this.#trouble = error as Error;
        giveUp(error as Error);
      }
      throw error;
    }
    this.#trouble = undefined;
    await append(others.length > 0 ? others : STILL_HERE);
  }

  knownEpoch(): number {
    return this.#parts.chair.knownEpoch();
  }

  rebuild(changes: Iterable<Change>, epoch: number): void | Promise<void> {
    const { chair, persister } = this.#parts;
    this.#term += 1;
    this.#epoch = epoch;
    if (persister !== undefined)
      return this.#rebuilt([...changes]).catch((error: Error) => this.#refuse(error));
    try {
      chair.rebuild(this.#allHere(changes));
    } catch (error) {
      this.#refuse(error as Error);
    }
  }

  *snapshot(): Generator<readonly Change[]> {
    const { chair, persister } = this.#parts;
    if (this.#vault !== undefined) yield [{ c: "elsewhere", epoch: this.#epoch }];
    yield* chair.snapshot(persister === undefined ? "all" : "nodes");
  }

  elected(epoch: number): void {
    this.#parts.chair.elected(epoch);
  }

  deposed(): void {
    this.#parts.chair.deposed();
  }

  over(reason: Error): void {
    this.#term += 1;
    this.#vault?.end(reason);
  }

  call(body: unknown, done: () => void): void {
    this.#parts.chair.call(body, done);
  }

  /** Resolves when the persister has nothing to do any more. */
  async idle(): Promise<void> {
    await this.#vault?.idle();
  }

  #refuse(error: Error): never {
    this.#trouble = error;
    this.#parts.failed(error);
    throw error;
  }

  /** A node without the persister would rule as if there were no keys. */
  *#allHere(changes: Iterable<Change>): Generator<Change> {
    for (const change of changes) {
      if (change.c === "elsewhere")
        throw this.#problem(
          "other nodes keep this partition's state with a persister; give this one the same",
        );
      yield change;
    }
  }

  /**
   * The journal says where the state is. What it has itself is newer than whatever a persister has from before; where it
   * says that it is elsewhere, a persister that has nothing, or something older, is not the one that it means.
   */
  async #rebuilt(changes: readonly Change[]): Promise<void> {
    const { chair } = this.#parts;
    const [vault, term] = [this.#vault, this.#term];
    const elsewhere = changes.findLast((change) => change.c === "elsewhere");
    const isHere = elsewhere === undefined && changes.some(isKept);
    chair.rebuild(vault !== undefined && isHere ? changes : changes.filter((change) => !isKept(change)));
    if (vault === undefined) return;
    const found = await vault.load((change) => {
      if (!isKept(change)) throw new Error(`it holds "${change.c}", which this version would drop`);
      if (!isHere) chair.restore(change as Change);
    });
    if (elsewhere !== undefined && (found ?? -1) < elsewhere.epoch)
      throw this.#problem(staleness(found, elsewhere.epoch));
    if (term !== this.#term) throw new Error("its term is over");
    await vault.begin(this.#epoch);
  }

  #problem(why: string): PersisterFailed {
    return new PersisterFailed(this.#parts.partition, "load", why);
  }
}

function staleness(found: number | undefined, epoch: number): string {
  const has = found === undefined ? "it has nothing" : `it has the state of epoch ${found}`;
  return `${has}, and a coordinator has stored one in epoch ${epoch}. Do all nodes see the same? To begin anew with what is there, delete the partition's journal queue`;
}
