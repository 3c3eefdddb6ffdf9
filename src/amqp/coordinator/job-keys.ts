/**
 * The keys of this node's jobs: taken before a job is published, asserted before it runs, freed before it is acknowledged.
 *
 * Owns the numbers by which a later ask is told from an earlier one. Jobs without keys never come here. When the process
 * dies, the coordinator hears that the node is gone: leases lapse, queue keys stay with their jobs.
 */
import type { ClusterKeys, KeyHolder, KeyListener } from "../../broker/contract.ts";
import type { Envelope } from "../../jobs/envelope.ts";
import { DuplicateJob } from "../../jobs/errors.ts";
import { refOf } from "../handed.ts";
import type { Coordinators } from "./coordinators.ts";
import type { Request } from "./requests.ts";

/** What becomes of a delivery whose keys have been asked for. */
export type Begun =
  /** It may go on; whether it has its execution key is told to whoever acquires it. */
  | { readonly t: "go" }
  /** A copy of what has ended, or of an earlier attempt: acknowledged, not run. */
  | { readonly t: "over" }
  | { readonly t: "duplicate"; readonly holder: string };

/** How a job leaves this node. */
export type Leaving = "ended" | "buried" | "comes again" | "goes round";

export class JobKeys implements ClusterKeys {
  readonly #coordinators: Coordinators;
  /** Of jobs in this node's hands, by partition and id. */
  readonly #tokens = new Map<string, number>();
  #token = 0;

  constructor(coordinators: Coordinators) {
    this.#coordinators = coordinators;
  }

  /**
   * Before a job is published. `again`: it was reserved before, and may stand on the broker. An error says why it is
   * refused: `DuplicateJob`, or `CoordinatorUnavailable`.
   */
  async reserve(envelope: Envelope): Promise<Error | "new" | "again"> {
    const { partition, id, queueKey: key, hop } = envelope;
    if (key === undefined) return "new";
    try {
      const answer = await this.#coordinators.of(partition).ask({ t: "reserve", key, id, hop });
      if (!("duplicate" in answer)) return "again" in answer && answer.again === true ? "again" : "new";
      this.published(envelope, false);
      return new DuplicateJob(id, answer.holder, answer.duplicate);
    } catch (error) {
      this.published(envelope, false);
      return error as Error;
    }
  }

  /**
   * What became of the publish, where that is known. Also told of a job that was refused: the question may have been asked
   * twice, and what the second one reserves is nobody's.
   */
  published({ partition, id, queueKey: key, hop }: Envelope, ok: boolean): void {
    if (key !== undefined) this.#coordinators.of(partition).tellSoon({ t: "published", key, id, ok, hop });
  }

  /** Before a delivery is handed out. Rejects when the node is closed. */
  async begin(envelope: Envelope): Promise<Begun> {
    const { partition, id, hop, attempt, queueKey, executionKey } = envelope;
    const token = ++this.#token;
    this.#tokens.set(nameOf(envelope), token);
    const answer = await this.#coordinators.of(partition).begin({
      t: "begin",
      id,
      hop,
      attempt,
      token,
      ...(queueKey === undefined ? {} : { queueKey }),
      ...(executionKey === undefined ? {} : { executionKey }),
    });
    if ("duplicate" in answer) return { t: "duplicate", holder: answer.holder };
    const isOver = "ended" in answer || ("outdated" in answer && answer.outdated === true);
    return isOver ? { t: "over" } : { t: "go" };
  }

  /** Resolves when its keys are free, durably: before it is acknowledged. `attempt`: the one under which it comes again. */
  async end(envelope: Envelope, leaving: Leaving, attempt = envelope.attempt): Promise<void> {
    const { partition, id, hop, queueKey, executionKey } = envelope;
    const name = nameOf(envelope);
    const token = this.#tokens.get(name) ?? 0;
    this.#tokens.delete(name);
    await this.#coordinators.of(partition).end({
      t: "end",
      id,
      hop,
      attempt,
      token,
      ended: leaving === "ended" || leaving === "buried",
      buried: leaving === "buried",
      ...(leaving === "goes round" ? { round: true } : {}),
      ...(queueKey === undefined ? {} : { queueKey }),
      ...(executionKey === undefined ? {} : { executionKey }),
    });
  }

  /** Buried jobs that were dropped: their ids are free. */
  dropped(partition: string, ids: readonly string[]): void {
    if (ids.length > 0) this.#coordinators.of(partition).tell({ t: "dropped", ids });
  }

  acquire(partition: string, executionKey: string, id: string, listener: KeyListener): void {
    const token = this.#tokens.get(refOf(partition, id)) ?? ++this.#token;
    this.#coordinators.of(partition).acquire({ executionKey, id, token }, listener);
  }

  async holders(partition: string): Promise<readonly KeyHolder[]> {
    const answer = await (await this.#coordinators.found(partition))?.ask({ t: "holders" });
    return answer !== undefined && "holders" in answer ? answer.holders : [];
  }

  executing(partition: string, key: string): Promise<string | undefined> {
    return this.#holder(partition, { t: "is-executing", key });
  }

  release(partition: string, key: string): Promise<string | undefined> {
    return this.#holder(partition, { t: "release-executing", key });
  }

  /** The id that has a queue key. */
  queued(partition: string, key: string): Promise<string | undefined> {
    return this.#holder(partition, { t: "is-queued", key });
  }

  /** Frees a queue key by hand: the id that had it. */
  releaseQueued(partition: string, key: string): Promise<string | undefined> {
    return this.#holder(partition, { t: "release-queued", key });
  }

  async #holder(partition: string, question: Request): Promise<string | undefined> {
    const answer = await (await this.#coordinators.found(partition))?.ask(question);
    return answer !== undefined && "holder" in answer && answer.holder !== null ? answer.holder : undefined;
  }

  withdraw(partition: string, executionKey: string, id: string): void {
    const token = this.#tokens.get(refOf(partition, id)) ?? 0;
    this.#coordinators.of(partition).withdraw({ executionKey, id, token });
  }
}

export const hasKeys = ({ queueKey, executionKey }: Envelope): boolean =>
  queueKey !== undefined || executionKey !== undefined;

const nameOf = ({ partition, id }: Envelope) => refOf(partition, id);
