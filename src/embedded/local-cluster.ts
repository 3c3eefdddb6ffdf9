/**
 * The `Cluster` of a single process: a call has one answer, its own, and a candidate is elected at once.
 *
 * Owns the one handler and who stands for which partition; of two candidates for one partition the second
 * waits until the first withdraws. Dies with its broker: there is nobody to tell.
 */
import type { Cluster, NodeAnswer } from "../broker/contract.ts";
import { CallTimeout } from "../kernel/errors.ts";
import type { Clock } from "../kernel/types.ts";

type Answer = (command: string, args: unknown) => Promise<unknown>;
type Face = Parameters<Cluster["candidate"]>[1];

const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));

export class LocalCluster implements Cluster {
  readonly #clock: Clock;
  readonly #nextEpoch: () => Promise<number>;
  readonly #standing = new Map<string, Face[]>();
  #node = "";
  #answer: Answer | undefined;

  /** `nextEpoch` gives a number above all it gave before, in this process and in earlier ones. */
  constructor(clock: Clock, nextEpoch: () => Promise<number>) {
    this.#clock = clock;
    this.#nextEpoch = nextEpoch;
  }

  serve(node: string, answer: Answer): Promise<void> {
    this.#node = node;
    this.#answer = answer;
    return Promise.resolve();
  }

  call(command: string, args: unknown, timeoutMs: number): Promise<readonly NodeAnswer[]> {
    const answer = this.#answer;
    if (answer === undefined) return Promise.resolve([]);
    const node = this.#node;
    return new Promise((resolve) => {
      const late = () => resolve([{ node, ok: false, error: new CallTimeout(`node ${node}`, timeoutMs) }]);
      const stop = this.#clock.timer(timeoutMs, late);
      new Promise((started) => started(answer(command, args))).then(
        (value) => {
          stop();
          resolve([{ node, ok: true, value }]);
        },
        (thrown: unknown) => {
          stop();
          resolve([{ node, ok: false, error: asError(thrown) }]);
        },
      );
    });
  }

  cast(command: string, args: unknown): void {
    const answer = this.#answer;
    if (answer === undefined) return;
    // a cast has nobody to tell of its failure
    queueMicrotask(
      () => void new Promise((started) => started(answer(command, args))).catch(() => undefined),
    );
  }

  readonly others: readonly string[] = [];
  readonly isNew = false;

  announce(): void {}

  knows(): boolean {
    return false;
  }

  async candidate(partition: string, face: Face): Promise<{ withdraw(): Promise<void> }> {
    const standing = this.#standing.get(partition) ?? [];
    this.#standing.set(partition, standing);
    standing.push(face);
    if (standing[0] === face) await this.#elect(partition, face);
    return { withdraw: () => this.#withdraw(partition, face) };
  }

  async #elect(partition: string, face: Face): Promise<void> {
    const epoch = await this.#nextEpoch();
    if (this.#standing.get(partition)?.[0] === face) face.elected(epoch);
  }

  async #withdraw(partition: string, face: Face): Promise<void> {
    const standing = this.#standing.get(partition) ?? [];
    const at = standing.indexOf(face);
    if (at < 0) return;
    standing.splice(at, 1);
    const next = standing[0];
    if (at === 0 && next !== undefined) await this.#elect(partition, next);
  }
}
