/**
 * The contract of `src/broker/contract.ts` as a test: one suite that every broker must pass.
 *
 * Owns the list of sections. A broker is given unopened and is closed by the suite; its abilities say which sections
 * apply to it, and where it must refuse in words instead.
 */
import { describe } from "vitest";
import { burial } from "./burial.ts";
import { closing, durability } from "./durability.ts";
import { handing } from "./handing.ts";
import type { Abilities, Make } from "./harness.ts";
import { limits } from "./limits.ts";
import { publishing } from "./publishing.ts";
import { settling } from "./settling.ts";

export function conformance(name: string, make: Make, can: Abilities): void {
  describe(`${name}: publishing`, () => publishing(make, can));
  describe(`${name}: handing out`, () => handing(make));
  describe(`${name}: settling`, () => settling(make, can));
  describe(`${name}: burial, marks, cluster`, () => burial(make, can));
  describe(`${name}: closing`, () => closing(make));
  if (can.durable) describe(`${name}: what survives`, () => durability(make, can));
  if (!can.index) describe(`${name}: what it cannot do`, () => limits(make));
}
