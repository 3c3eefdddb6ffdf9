/**
 * The contract of `src/broker/contract.ts` as a test: one suite that every broker must pass.
 *
 * Owns the list of sections. A broker is given unopened and is closed by the suite; `durable` says that
 * `reopen` finds everything again.
 */
import { describe } from "vitest";
import { burial } from "./burial.ts";
import { closing, durability } from "./durability.ts";
import { handing } from "./handing.ts";
import type { Make } from "./harness.ts";
import { publishing } from "./publishing.ts";
import { settling } from "./settling.ts";

export function conformance(name: string, make: Make, options: { readonly durable: boolean }): void {
  describe(`${name}: publishing`, () => publishing(make));
  describe(`${name}: handing out`, () => handing(make));
  describe(`${name}: settling`, () => settling(make));
  describe(`${name}: burial, marks, cluster`, () => burial(make));
  describe(`${name}: closing`, () => closing(make));
  if (options.durable) describe(`${name}: what survives`, () => durability(make));
}
