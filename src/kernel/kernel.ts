/**
 * The kernel: puts run loop, registry, calls and roots together behind `KernelApi`.
 *
 * Owns the root actors. It does not end by itself; whoever made it stops the roots. Every exit that is not
 * orderly is told to `exited`, and without it a root's goes to the process's warnings: no exit is silent.
 */

import { Cell, DEAD, ENDING } from "./actor.ts";
import { Calls, stopped } from "./calls.ts";
import { systemClock } from "./clock.ts";
import { MailboxFull } from "./errors.ts";
import { crash, describeExit, NOPROC, toError } from "./exit.ts";
import type { Host } from "./host.ts";
import { ask, begin, createCell, kill } from "./lifecycle.ts";
import { childrenOf, type Family } from "./links.ts";
import { listen } from "./monitor.ts";
import { OutBuffer } from "./out.ts";
import { Registry } from "./registry.ts";
import { RunLoop } from "./run-loop.ts";
import { findByName, treeOf } from "./tree.ts";
import type {
  Behaviour,
  Clock,
  ExitNotice,
  ExitReason,
  From,
  KernelApi,
  Ref,
  SpawnOptions,
  TreeNode,
} from "./types.ts";

/** Default of `call`. */
const CALL_TIMEOUT_MS = 5_000;

export interface KernelOptions {
  /** Default: the system's. */
  readonly clock?: Clock;
  /**
   * Told of every exit that is not orderly, and of every exit of a supervised child. Without it the abnormal
   * exits of root actors become warnings of the process.
   */
  readonly exited?: (notice: ExitNotice) => void;
}

class Inside implements Host {
  readonly loop: RunLoop;
  readonly out = new OutBuffer(this);
  readonly registry = new Registry();
  readonly calls: Calls;
  readonly roots: Family = { lastChild: undefined };
  lastPid = 0;
  running: Cell | undefined = undefined;
  private readonly warned = new WeakSet<Cell>();

  constructor(
    readonly api: KernelApi,
    readonly clock: Clock,
    private readonly exited: ((notice: ExitNotice) => void) | undefined,
  ) {
    this.loop = new RunLoop(clock);
    this.calls = new Calls(clock);
  }

  notice(cell: Cell, reason: ExitReason, parent: Cell | undefined): void {
    const { exited } = this;
    if (exited === undefined) {
      if (parent === undefined) warn(`${cell.name} ended: ${describeExit(reason)}`, reason);
      return;
    }
    try {
      exited({ actor: cell.name, kind: cell.behaviour.kind, reason, parent: parent?.name });
    } catch (error) {
      this.stray(error);
    }
  }

  mailboxFull(cell: Cell): void {
    // Once an actor: a flood must not become a flood of warnings.
    if (this.warned.has(cell)) return;
    this.warned.add(cell);
    warn(new MailboxFull(cell.name, cell.box.capacity).message);
  }

  stray(thrown: unknown): void {
    const error = toError(thrown);
    warn(`an exit listener threw: ${error.message}`, crash(error));
  }
}

function warn(message: string, reason?: ExitReason): void {
  const detail = reason?.kind === "crash" ? reason.error.stack : undefined;
  process.emitWarning(message, { type: "SpillwayWarning", ...(detail === undefined ? {} : { detail }) });
}

export class Kernel implements KernelApi {
  readonly clock: Clock;
  private readonly host: Host;

  constructor(options: KernelOptions = {}) {
    this.clock = options.clock ?? systemClock;
    this.host = new Inside(this, this.clock, options.exited);
  }

  start<S, M, E, A>(behaviour: Behaviour<S, M, E, A>, args: A, options?: SpawnOptions): Promise<Ref<M>> {
    return this.launch(createCell(this.host, behaviour, options), undefined, args);
  }

  startUnder<S, M, E, A>(
    parent: Ref<never>,
    behaviour: Behaviour<S, M, E, A>,
    args: A,
    options?: SpawnOptions,
  ): Promise<Ref<M>> {
    const above = this.cell(parent);
    if (above === undefined || above.status >= ENDING) {
      return Promise.reject(stopped(parent, above?.reason ?? NOPROC));
    }
    return this.launch(createCell(this.host, behaviour, options), above, args);
  }

  call<M, R>(to: Ref<M>, message: (from: From<R>) => M, timeoutMs = CALL_TIMEOUT_MS): Promise<R> {
    const cell = this.cell(to);
    if (cell === undefined || cell.status >= ENDING) {
      return Promise.reject(stopped(to, cell?.reason ?? NOPROC));
    }
    return new Promise<R>((resolve, reject) => {
      const call = this.host.calls.start(cell, timeoutMs, resolve as (value: unknown) => void, reject);
      try {
        if (!cell.cast(message(call))) call.refuse(new MailboxFull(cell.name, cell.box.capacity));
      } catch (error) {
        call.refuse(toError(error));
      }
    });
  }

  stop(target: Ref<never>, shutdownMs?: number): Promise<ExitReason> {
    return this.ending(target, (cell) => ask(cell, shutdownMs ?? cell.shutdownMs));
  }

  kill(target: Ref<never>): Promise<ExitReason> {
    return this.ending(target, kill);
  }

  isAlive(target: Ref<never>): boolean {
    const cell = this.cell(target);
    return cell !== undefined && cell.status !== DEAD;
  }

  whereis(name: string): Ref<never> | undefined {
    return this.host.registry.get(name) ?? findByName(childrenOf(this.host.roots), name);
  }

  onExit(target: Ref<never>, listener: (reason: ExitReason) => void): () => void {
    const cell = this.cell(target);
    if (cell !== undefined && cell.status !== DEAD) return listen(cell, listener);
    let observed = true;
    queueMicrotask(() => {
      if (observed) listener(NOPROC);
    });
    return () => {
      observed = false;
    };
  }

  tree(root?: Ref<never>): readonly TreeNode[] {
    if (root === undefined) return childrenOf(this.host.roots).map((cell) => treeOf(cell));
    const cell = this.cell(root);
    return cell === undefined || cell.status === DEAD ? [] : [treeOf(cell)];
  }

  private cell(target: Ref<never>): Cell | undefined {
    return target instanceof Cell && target.host === this.host ? target : undefined;
  }

  private launch<M>(cell: Cell, parent: Cell | undefined, args: unknown): Promise<Ref<M>> {
    return new Promise((resolve, reject) => {
      cell.starter = { resolve, reject };
      try {
        begin(cell, parent, args);
      } catch (error) {
        reject(error);
      }
    });
  }

  private ending(target: Ref<never>, act: (cell: Cell) => void): Promise<ExitReason> {
    const cell = this.cell(target);
    if (cell === undefined || cell.status === DEAD) return Promise.resolve(NOPROC);
    return new Promise((resolve) => {
      listen(cell, resolve);
      act(cell);
    });
  }
}
