/**
 * A run as its report tells it: what was measured, on what, with which settings.
 *
 * Owns nothing. Machines are told by their size alone: no name, no path, no model.
 */
import type { LeftOut } from "../runner/suite.ts";
import type { Row } from "./rows.ts";

export interface Facts {
  /** `2026-11-28`. */
  readonly date: string;
  /** `2 cores, 24 GiB, linux x64`. */
  readonly machine: string;
  /** By name: Node, Spillway, its dependencies, what was found of what suites need. */
  readonly versions: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly quick: boolean;
  /** Runnable processes a core, before. */
  readonly load: number;
  readonly seconds: number;
}

export interface SuiteReport {
  readonly name: string;
  readonly about: string;
  readonly rows: readonly Row[];
  readonly seconds: number;
}

export interface Report {
  readonly facts: Facts;
  readonly suites: readonly SuiteReport[];
  readonly leftOut: readonly LeftOut[];
  /** What was not as it must be; a report with one is no report of a good run. */
  readonly failed: readonly string[];
}

/** How many jobs, calls or spawns were shown to have run exactly once. */
export const checkedIn = ({ suites }: Report): number =>
  suites.flatMap(({ rows }) => rows).reduce((sum, { checked }) => sum + checked, 0);
