/**
 * What this node says and asks of suspects: jobs that came again, and that nobody has, after a process has died.
 *
 * Owns nothing: the counts are in each partition's journal, whatever its persister. A partition without a coordinator has
 * none, and gets one with its first suspect.
 */
import type { Envelope } from "../jobs/envelope.ts";
import type { Coordinators } from "./coordinator/coordinators.ts";

export class Suspects {
  readonly #coordinators: Coordinators;

  constructor(coordinators: Coordinators) {
    this.#coordinators = coordinators;
  }

  /** Crashes that are counted against it. Rejects when the node is closed. */
  async countedOf({ partition, id }: Envelope): Promise<number> {
    const answer = await this.#coordinators.standing(partition)?.ask({ t: "suspect", id }, true);
    return answer !== undefined && "crashes" in answer ? answer.crashes : 0;
  }

  /** Resolves when its start is durable. */
  async started({ partition, id }: Envelope, alone: boolean): Promise<void> {
    await this.#coordinators.of(partition).ask({ t: "started", id, alone }, true);
  }

  /** Its own process has died; how many of those there are by now, durably. */
  async crashed({ partition, id }: Envelope): Promise<number> {
    const answer = await this.#coordinators.of(partition).ask({ t: "crashed", id }, true);
    return "crashes" in answer ? answer.crashes : 1;
  }

  /** It runs no more. `kept`: it was handed back, and what is counted against it stays. */
  cleared({ partition, id }: Envelope, kept: boolean): void {
    this.#coordinators.standing(partition)?.tell({ t: "cleared", id, kept });
  }
}
