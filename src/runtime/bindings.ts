/**
 * From what another system has published to a job of ours: what `toJob` answers, checked like any enqueue.
 *
 * Owns no message. Total: whatever `toJob` does, and whatever stands in a message, ends as a job, or as the reason why there
 * is none; the broker buries the message with that.
 */

import type { Catalogue } from "../actors/catalogue.ts";
import type { Queues, WantedQueue } from "../actors/open-queue.ts";
import type { Binding, ForeignMessage, Translated } from "../broker/foreign.ts";
import { unknownKeys } from "../broker/options.ts";
import { type Prepared, prepare } from "../jobs/create.ts";
import { isJobDefinition, type JobDefinition } from "../jobs/definition.ts";
import { checkId, shown } from "../jobs/names.ts";
import { toError } from "../kernel/exit.ts";
import { type BindingOptions, jobFields, type QueueOptions } from "./queue-options.ts";

export interface Translator {
  readonly catalogue: Catalogue;
  readonly payloadLimitBytes: number;
  /** Whether another live node can run jobs of this name. */
  readonly isKnownElsewhere: (job: string) => boolean;
}

/** Options that have been checked, as the actors take them. */
export function wantedQueues(queues: QueueOptions, translator: Translator): Queues {
  return Object.fromEntries(
    Object.entries(queues).map(([queue, value]): [string, WantedQueue] => {
      if (typeof value === "number") return [queue, { concurrency: value }];
      const bindings = (value.bindings ?? []).map((one) => bindingOf(one, translator));
      return [queue, { concurrency: value.concurrency, bindings }];
    }),
  );
}

function bindingOf(options: BindingOptions, translator: Translator): Binding {
  const { exchange, type, durable = true, declare = true, routingKey = "", toJob } = options;
  return {
    exchange,
    type,
    durable,
    declare,
    routingKey,
    arguments: { ...options.arguments },
    translate: (message) => translated(message, toJob, translator),
  };
}

/** What is wrong with a message, thrown within this file only. */
class Rubbish extends Error {
  override readonly name = "Rubbish";
}

function translated(
  message: ForeignMessage,
  toJob: BindingOptions["toJob"],
  translator: Translator,
): Translated | Promise<Translated> {
  const where = `toJob of exchange "${message.exchange}"`;
  let answer: unknown;
  try {
    answer = toJob(message);
  } catch (thrown) {
    const error = toError(thrown);
    return refused(`${where} threw: ${error.message}`, error);
  }
  try {
    return prepared(answer, where, translator);
  } catch (thrown) {
    return refused(toError(thrown).message, toError(thrown));
  }
}

function prepared(answer: unknown, where: string, translator: Translator): Translated | Promise<Translated> {
  const { job, args, id } = fieldsOf(answer, where);
  const definition = definitionOf(job, where, translator);
  if ("kind" in definition) return definition;
  const made = prepare(definition, args, { payloadLimitBytes: translator.payloadLimitBytes });
  if (!(made instanceof Promise)) return { kind: "job", prepared: made, id };
  return made.then(
    (late: Prepared): Translated => ({ kind: "job", prepared: late, id }),
    (thrown: unknown) => refused(toError(thrown).message, toError(thrown)),
  );
}

function fieldsOf(answer: unknown, where: string) {
  if (typeof answer !== "object" || answer === null)
    throw new Rubbish(`${where} answered with ${shown(answer)}; expected { job, args }`);
  if ("then" in answer && typeof answer.then === "function") {
    // whatever becomes of it, nobody waits
    Promise.resolve(answer).catch(() => {});
    throw new Rubbish(`${where} answered with a promise; it must answer at once`);
  }
  const [unknown] = unknownKeys(answer, jobFields, "");
  if (unknown !== undefined) throw new Rubbish(`${where}: ${unknown.replace("option", "field")}`);
  const { job, args, id } = answer as { job?: unknown; args?: unknown; id?: unknown };
  const problem = id === undefined ? undefined : checkId(id);
  if (problem !== undefined) throw new Rubbish(`${where}: id: ${problem}`);
  return { job, args, id: id as string | undefined };
}

function definitionOf(job: unknown, where: string, translator: Translator): JobDefinition | Translated {
  if (isJobDefinition(job)) return job;
  if (typeof job !== "string")
    throw new Rubbish(`${where}: job is ${shown(job)}; expected a name or a definition`);
  const known = translator.catalogue.get(job);
  if (known !== undefined) return known.definition;
  const why = `${where}: no job named ${shown(job)} is known on this node`;
  if (translator.isKnownElsewhere(job)) return { kind: "elsewhere", why };
  const near = translator.catalogue.near(job);
  const hint = near === undefined ? "" : `; did you mean "${near}"?`;
  return refused(`${why}, nor on any other${hint}`, new Rubbish("unknown"), "unknown-job");
}

function refused(
  message: string,
  error: Error,
  reason: "undecodable" | "unknown-job" = "undecodable",
): Translated {
  const isOurs = error instanceof Rubbish;
  const name = reason === "unknown-job" ? "UnknownJob" : isOurs ? "InvalidJob" : error.name;
  const code = (error as { code?: unknown }).code;
  const failure = {
    kind: "error",
    name,
    message,
    stack: isOurs ? undefined : error.stack,
    final: true,
  } as const;
  return { kind: "refused", reason, error: typeof code === "string" ? { ...failure, code } : failure };
}
