/**
 * The words of the kernel: references, exit reasons, behaviours, child specifications, the tree as it is read.
 *
 * Owns no code. Everything that lives in the tree is written against this page alone: an actor is a
 * `step(state, message, now, out)` that knows only its arguments, and a thin `interpret` that carries out its
 * effects. OTP's meanings throughout (`gen_server`, `supervisor`, links and monitors).
 */

/** Why an actor ended. `normal` and `shutdown` are orderly; `killed` and `crash` are not. */
export type ExitReason =
  | { readonly kind: "normal" }
  | { readonly kind: "shutdown" }
  | { readonly kind: "killed" }
  /** Monitoring or calling what does not live. */
  | { readonly kind: "noproc" }
  | { readonly kind: "crash"; readonly error: Error };

/** The address of an actor. Stays valid after its death: casts are then refused, calls fail. */
export interface Ref<in M> {
  /** Unique while it lives, readable: `partition:myapp/consumer`. */
  readonly name: string;
  /** Grows with each spawn, never reused. */
  readonly pid: number;
  /**
   * Leaves a message and returns at once. `false` when the actor has ended, or when its bounded mailbox is full
   * and its overflow policy is `refuse`.
   */
  cast(message: M): boolean;
}

/** Where a call's answer goes; made by the kernel, answered once with `out.reply` or `out.refuse`. */
export interface From<in R> {
  readonly answer: (value: R) => void;
  readonly refuse: (error: Error) => void;
}

/** What a full mailbox does. `refuse`: the cast returns false, a call rejects with `MailboxFull`. */
export interface MailboxOptions {
  /** Most messages that wait; default 1,048,576. */
  readonly capacity?: number;
  /** Default `refuse`. `drop-oldest` is for status only, never for work. */
  readonly overflow?: "refuse" | "drop-oldest";
}

/**
 * What a step wants done. Written into a reused buffer, carried out in order after the step has returned; a step
 * that throws has done nothing. A step MUST NOT keep `out`.
 */
export interface Out<in M, in E> {
  cast<N>(to: Ref<N>, message: N): void;
  reply<R>(from: From<R>, value: R): void;
  refuse(from: From<never>, error: Error): void;
  /** Handed to the behaviour's `interpret` with the actor's own context. */
  effect(effect: E): void;
  /**
   * Starts a linked child when the buffer is carried out; the reference is good at once, and what is cast to it
   * before it has started waits in its mailbox. Its end arrives as the message that `exited` makes.
   */
  spawn<S2, M2, E2, A2>(behaviour: Behaviour<S2, M2, E2, A2>, args: A2, options?: SpawnOptions): Ref<M2>;
  /** Ask → wait `shutdownMs` → kill, without waiting here; the exit arrives as any other. */
  stopChild(child: Ref<never>): void;
  /** The exit of any actor arrives once as `message(reason)`; at once with `noproc` when it is gone already. */
  monitor(target: Ref<never>, message: (reason: ExitReason) => M): void;
  /**
   * `message` arrives after `afterMs`; a timer of the same name is replaced, ends with the actor, and is not sent
   * when it was cancelled first.
   */
  timer(name: string, afterMs: number, message: M): void;
  cancelTimer(name: string): void;
  /** `message` arrives when nothing else has for `idleMs` from now (gen_server's timeout). */
  idle(idleMs: number, message: M): void;
  /** Ends after this step, once what the step wrote before has been carried out. */
  stop(reason?: ExitReason): void;
}

/** What `interpret` and `init` may touch. */
export interface Self<in M> {
  readonly ref: Ref<M>;
  readonly kernel: KernelApi;
}

/**
 * What an actor is. `init` and `step` are pure but for their own state, which `step` changes in place; `interpret`
 * is the only part with I/O, and brings results back as messages to `self.ref`.
 */
export interface Behaviour<S, M, E, A> {
  /** What kind of actor this is; the default name and the label in the tree. */
  readonly kind: string;
  /** Synchronous for most; a promise holds back the next sibling's start (OTP: `init` is synchronous to the parent). */
  init(args: A, self: Self<M>): S | Promise<S>;
  step(state: S, message: M, now: number, out: Out<M, E>): void;
  interpret?(effect: E, state: S, self: Self<M>): void;
  /**
   * Traps exits (OTP's `trap_exit`): the end of a spawned child becomes this message. Without it a child's crash
   * crashes the parent with the same reason, and its orderly end is ignored.
   */
  exited?(child: Ref<never>, reason: ExitReason): M;
  /**
   * A message asking the actor to end in order (supervisor's shutdown). The step answers with `out.stop()` when it
   * is done; past `shutdownMs` it is killed. Without it an ask ends the actor at once with `shutdown`.
   */
  shutdown?(): M;
  /** Last words, after the last step, whatever the reason but `killed`; releases what the state holds. May await. */
  terminate?(state: S, reason: ExitReason, self: Self<M>): void | Promise<void>;
  /** What `info.tree()` shows of the state; small and plain. */
  describe?(state: S): Readonly<Record<string, unknown>>;
  readonly mailbox?: MailboxOptions;
}

export interface SpawnOptions {
  /** Registered under this name; `NameTaken` crashes the spawner when it is in use. Default `kind:pid`. */
  readonly name?: string;
  /** From ask to kill; default 5,000 (a supervisor: no limit). */
  readonly shutdownMs?: number;
}

export type Strategy = "one_for_one" | "one_for_all" | "rest_for_one";
/** `permanent` is always restarted, `transient` after a crash or kill only, `temporary` never. */
export type RestartKind = "permanent" | "transient" | "temporary";

/** Milliseconds before restart n (1 is the first in a row); grows by `factor` up to `maxMs`, jittered by ± `jitter`. */
export interface Backoff {
  readonly firstMs: number;
  readonly factor: number;
  readonly maxMs: number;
  /** 0 … 1; default 0. */
  readonly jitter?: number;
}

/** At most `restarts` within `periodMs`; OTP's default is 1 in 5 s. */
export interface Intensity {
  readonly restarts: number;
  readonly periodMs: number;
}

/** How a supervisor starts one child. */
// biome-ignore lint/suspicious/noExplicitAny: a list of children of different types; `childSpec` checks each.
export interface ChildSpec<S = any, M = any, E = any, A = any> {
  readonly id: string;
  readonly behaviour: Behaviour<S, M, E, A>;
  /** Called at every start, so that a restart gets fresh arguments. */
  readonly args: () => A;
  /** Default `permanent`. */
  readonly restart?: RestartKind;
  readonly shutdownMs?: number;
  readonly name?: string;
  /** The child itself is a supervisor: its shutdown has no limit by default. */
  readonly type?: "worker" | "supervisor";
  /** Wait before restarts; default none (restart at once). */
  readonly backoff?: Backoff;
  /**
   * RabbitMQ's `supervisor2`: when the intensity is exceeded, do not give up but try again after this long, for as
   * long as it takes. For what hangs on a broker.
   */
  readonly delayedRestartMs?: number;
}

export interface SupervisorOptions {
  readonly strategy: Strategy;
  readonly children: readonly ChildSpec[];
  /** Default 1 in 5,000 ms. */
  readonly intensity?: Intensity;
}

/** One node of the tree as `info.tree()` shows it. */
export interface TreeNode {
  readonly name: string;
  readonly kind: string;
  readonly pid: number;
  readonly state: "starting" | "running" | "stopping" | "restarting" | "waiting";
  /** Messages that wait in the mailbox. */
  readonly mailbox: number;
  readonly handled: number;
  readonly restarts: number;
  readonly detail?: Readonly<Record<string, unknown>>;
  readonly children: readonly TreeNode[];
}

/** Every exit that is not orderly, and every one of a supervised child; nothing ends in silence. */
export interface ExitNotice {
  readonly actor: string;
  readonly kind: string;
  readonly reason: ExitReason;
  /** The supervisor or spawner that was told; none for a root. */
  readonly parent: string | undefined;
}

/** The clock that everything in the tree reads; `spillway/testing` has a virtual one. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls back after `afterMs`; returns what cancels it. Must not keep the process alive by itself. */
  timer(afterMs: number, callback: () => void): () => void;
  /** Runs the callback in a later turn of the event loop (setImmediate). */
  turn(callback: () => void): void;
}

/** The run loop, the registry and the roots. */
export interface KernelApi {
  readonly clock: Clock;
  /** Starts a root actor; rejects with what `init` threw. */
  start<S, M, E, A>(behaviour: Behaviour<S, M, E, A>, args: A, options?: SpawnOptions): Promise<Ref<M>>;
  /** Starts a linked child of `parent` outside a step (a supervisor's own start uses this too). */
  startUnder<S, M, E, A>(
    parent: Ref<never>,
    behaviour: Behaviour<S, M, E, A>,
    args: A,
    options?: SpawnOptions,
  ): Promise<Ref<M>>;
  /** Rejects with `CallTimeout`, `ActorStopped` or `MailboxFull`; default 5,000 ms. */
  call<M, R>(to: Ref<M>, message: (from: From<R>) => M, timeoutMs?: number): Promise<R>;
  /** Ask → wait → kill; resolves with the reason when it and all below it are gone. */
  stop(target: Ref<never>, shutdownMs?: number): Promise<ExitReason>;
  /** Ends it now, without its `terminate`; what is below it is killed too. */
  kill(target: Ref<never>): Promise<ExitReason>;
  isAlive(target: Ref<never>): boolean;
  whereis(name: string): Ref<never> | undefined;
  /** Observes an exit from outside any actor; returns what stops observing. */
  onExit(target: Ref<never>, listener: (reason: ExitReason) => void): () => void;
  /** The tree below the roots, or below one actor. */
  tree(root?: Ref<never>): readonly TreeNode[];
}
