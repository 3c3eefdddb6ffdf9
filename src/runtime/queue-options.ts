/**
 * A partition's queues as the options have them: how many at once, and which exchanges of other systems lead to them.
 *
 * Owns what may be said of a queue, wherever it is said: at start, and for a partition that is started or reconfigured later.
 * Every problem is found at once and added to the list of whoever asks. Nothing is opened.
 */

import type { ForeignMessage } from "../broker/foreign.ts";
import { field, unknownKeys } from "../broker/options.ts";
import type { JobDefinition } from "../jobs/definition.ts";
import { checkName, checkText, shown } from "../jobs/names.ts";

/** Queues of a partition. A number is the concurrency. */
export type QueueOptions = Readonly<Record<string, number | QueueSettings>>;

export interface QueueSettings {
  /** The most bodies of it that run at once on this node, 0 to 10,000; 0 = not consumed here, and shown. */
  readonly concurrency: number;
  /** Exchanges of other systems, on RabbitMQ; default none. */
  readonly bindings?: readonly BindingOptions[];
}

/** An exchange of another system, and how its messages become jobs of the queue. */
export interface BindingOptions {
  readonly exchange: string;
  /** Needed where it is declared. */
  readonly type?: "direct" | "topic" | "fanout" | "headers";
  /** Of the exchange; default true. */
  readonly durable?: boolean;
  /** Whether it is declared where it is not there; default true. */
  readonly declare?: boolean;
  /** Of the binding; default none. */
  readonly routingKey?: string;
  /** Of the binding: what a headers exchange matches; default none. */
  readonly arguments?: Readonly<Record<string, string | number | boolean>>;
  /** Called on the main thread, for each message and again when it comes again; must answer at once. */
  readonly toJob: (message: ForeignMessage) => ForeignJob;
}

/** What `toJob` makes of a message. */
export interface ForeignJob {
  /** A definition, or a name in this node's registry. */
  readonly job: string | JobDefinition;
  readonly args?: unknown;
  /** The job's id; default one that is made of the message's own id. */
  readonly id?: string;
}

export const jobFields: readonly string[] = ["job", "args", "id"];

const SETTINGS = ["concurrency", "bindings"];
const FIELDS = ["exchange", "type", "durable", "declare", "routingKey", "arguments", "toJob"];
const TYPES: readonly unknown[] = ["direct", "topic", "fanout", "headers"];
const CONCURRENCY_MAX = 10_000;

/** `kind`: of the broker that it is for. */
export function checkQueues(partition: string, queues: unknown, kind: string, problems: string[]): void {
  const named = checkName(partition);
  if (named !== undefined) problems.push(`partitions: "${partition}": ${named}`);
  if (typeof queues !== "object" || queues === null || Array.isArray(queues))
    return void problems.push(
      `partitions.${partition}: expected { queue: concurrency }, got ${shown(queues)}`,
    );
  for (const [queue, value] of Object.entries(queues)) {
    const problem = checkName(queue);
    if (problem !== undefined) problems.push(`partitions.${partition}: "${queue}": ${problem}`);
    checkQueue(`partitions.${partition}.${queue}`, value, kind, problems);
  }
}

function checkQueue(name: string, value: unknown, kind: string, problems: string[]): void {
  if (typeof value !== "object" || value === null) return checkConcurrency(name, value, problems);
  problems.push(...unknownKeys(value, SETTINGS, `${name}.`));
  checkConcurrency(`${name}.concurrency`, field(value, "concurrency"), problems);
  const bindings = field(value, "bindings");
  if (bindings === undefined) return;
  if (!Array.isArray(bindings))
    return void problems.push(`${name}.bindings: expected a list, got ${shown(bindings)}`);
  if (bindings.length > 0 && kind !== "rabbitmq")
    problems.push(`${name}.bindings: needs rabbitmq({ … }); the ${kind} broker has no exchanges`);
  for (const [at, binding] of bindings.entries()) checkBinding(`${name}.bindings[${at}]`, binding, problems);
}

function checkConcurrency(name: string, value: unknown, problems: string[]): void {
  if (Number.isInteger(value) && Number(value) >= 0 && Number(value) <= CONCURRENCY_MAX) return;
  problems.push(`${name}: expected an integer between 0 and 10,000, got ${shown(value)}`);
}

function checkBinding(name: string, value: unknown, problems: string[]): void {
  if (typeof value !== "object" || value === null)
    return void problems.push(`${name}: expected { exchange, type, toJob }, got ${shown(value)}`);
  problems.push(...unknownKeys(value, FIELDS, `${name}.`));
  const { exchange, type, durable, declare, routingKey, toJob } = value as Readonly<Record<string, unknown>>;
  const exchangeProblem = exchange === "" ? DEFAULT_EXCHANGE : checkText("an exchange", exchange);
  if (exchangeProblem !== undefined) problems.push(`${name}.exchange: ${exchangeProblem}`);
  if (!TYPES.includes(type) && (type !== undefined || declare !== false))
    problems.push(`${name}.type: expected "direct", "topic", "fanout" or "headers", got ${shown(type)}`);
  for (const [option, given] of Object.entries({ durable, declare }))
    if (given !== undefined && typeof given !== "boolean")
      problems.push(`${name}.${option}: expected true or false, got ${shown(given)}`);
  const keyProblem =
    routingKey === undefined || routingKey === "" ? undefined : checkText("a routing key", routingKey);
  if (keyProblem !== undefined) problems.push(`${name}.routingKey: ${keyProblem}`);
  checkArguments(`${name}.arguments`, field(value, "arguments"), problems);
  if (typeof toJob !== "function") problems.push(`${name}.toJob: expected a function, got ${shown(toJob)}`);
}

const DEFAULT_EXCHANGE =
  "the default exchange leads to every queue by its name, and cannot be bound; give one of the other system's own";
const ARGUMENTS_MAX = 100;

/** What AMQP can write down, and no more than fits into one frame. */
function checkArguments(name: string, value: unknown, problems: string[]): void {
  if (value === undefined) return;
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject) return void problems.push(`${name}: expected an object, got ${shown(value)}`);
  const entries = Object.entries(value);
  if (entries.length > ARGUMENTS_MAX)
    problems.push(`${name}: at most ${ARGUMENTS_MAX}, got ${entries.length}`);
  for (const [key, one] of entries) {
    const isShort =
      checkText("a name", key) === undefined && (one === "" || !isText(one) || isShortText(one));
    if (!isShort || !(isText(one) || typeof one === "boolean" || Number.isFinite(one)))
      problems.push(`${name}.${key}: expected a short text, a number, true or false, got ${shown(one)}`);
  }
}

const isText = (value: unknown): value is string => typeof value === "string";
const isShortText = (text: string) => checkText("a value", text) === undefined;
