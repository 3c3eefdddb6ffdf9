/**
 * What a suite is: a sentence about it, what it needs, what it does.
 *
 * Owns nothing. A need is looked for once a run; a suite without what it needs is left out with a line that says how to
 * have it, and fails when it was asked for by name.
 */
import type { Bench } from "./bench.ts";

/** Something that is on a machine or not. */
export interface Need {
  /** As people call it: `RabbitMQ`. */
  readonly name: string;
  /** Its version, or `undefined` when it is not there. */
  find(): Promise<string | undefined>;
  /** Where it was looked for, without a password, and how to have it. */
  howTo(): string;
}

export interface Suite {
  /** One or two sentences: what is measured, against what. They open its part of the report. */
  readonly about: string;
  /** Without one of these there is nothing to measure. */
  readonly needs?: readonly Need[];
  /** Without one of these rows are left out, or have no baseline. */
  readonly uses?: readonly Need[];
  readonly run: (bench: Bench) => Promise<void>;
}

export type Suites = Readonly<Record<string, Suite>>;

/** What a run did without. */
export interface LeftOut {
  /** A suite, or some of its rows. */
  readonly what: string;
  readonly how: string;
}
