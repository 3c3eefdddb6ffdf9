/**
 * Every message that leaves for a queue of jobs: enqueues, retries, delays, hand-backs, burials.
 *
 * Owns the choice of the way and the letter; the publisher owns the sending. What replaces a message that we hold is sent
 * until it arrives, and is relied on only when its queue is old enough. Headers start clean each time: a dead-letter
 * history that was forwarded would make the broker drop what it takes for a cycle.
 */
import type { ConsumeMessage } from "amqplib";
import type { QueueRef } from "../broker/contract.ts";
import { encodeEnvelope } from "../jobs/codec.ts";
import type { Envelope } from "../jobs/envelope.ts";
import { PayloadTooLarge } from "../jobs/errors.ts";
import type { BuriedRecord } from "../jobs/failure.ts";
import type { Clock } from "../kernel/types.ts";
import { delayKey, secondsOf, topRung } from "./delay.ts";
import type { EnqueueGroup } from "./enqueue-group.ts";
import { headersOf, messageIdOf } from "./epitaph.ts";
import { COPY, Letter, PUT_OFF_AT, type Route, type Sent } from "./letter.ts";
import type { Names } from "./names.ts";
import { headerOf, type Parcel } from "./parcel.ts";
import type { Publisher } from "./publisher.ts";
import type { Topology } from "./topology.ts";

export interface OutgoingParts {
  readonly publisher: Publisher;
  readonly topology: Topology;
  readonly names: Names;
  readonly clock: Clock;
  /** Seconds that have a retry queue of their own. */
  readonly retryLevels: readonly number[];
}

/** RabbitMQ from 4.0 on closes the channel above 16 MiB; a retry adds history to what was enqueued. */
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024 - 256 * 1024;
const GONE_TRIES = 3;
const LEVEL_SLACK_MS = 50;

export class Outgoing {
  readonly #parts: OutgoingParts;
  readonly #levels: ReadonlySet<number>;
  /** What has been stored and waits for its queue to be old enough. */
  readonly #ageing = new Set<Promise<void>>();

  constructor(parts: OutgoingParts) {
    this.#parts = parts;
    this.#levels = new Set(parts.retryLevels);
  }

  /** Sends one job of a group; the group is told what became of it. */
  enqueue(envelope: Envelope, group: EnqueueGroup): void {
    const body = Buffer.from(encodeEnvelope(envelope));
    if (body.length > MESSAGE_BYTES_MAX)
      return group.refuse(envelope, new PayloadTooLarge(envelope.job, body.length, MESSAGE_BYTES_MAX));
    const route = this.#routeOf(envelope);
    const { topology, publisher } = this.#parts;
    const graceMs = topology.graceLeft(route.key);
    const settle = (sent: Sent) => {
      if (graceMs === 0 || sent.kind !== "confirmed") group.settled(envelope, sent);
      else void this.#age(graceMs).then(() => group.settled(envelope, sent));
    };
    publisher.send(new Letter(route, body, envelope.id, envelope.job, undefined, false, settle));
  }

  /** As `enqueue`, by itself. `mayBeCopy`: nobody knows whether it stands on the broker already. */
  async enqueueOne(envelope: Envelope, mayBeCopy: boolean): Promise<Sent> {
    const body = Buffer.from(encodeEnvelope(envelope));
    const { id, job } = envelope;
    if (body.length > MESSAGE_BYTES_MAX)
      return { kind: "unsent", error: new PayloadTooLarge(job, body.length, MESSAGE_BYTES_MAX) };
    const route = this.#routeOf(envelope);
    const sent = await this.#letter(route, body, id, job, mayBeCopy ? { [COPY]: true } : undefined, false);
    if (sent.kind === "confirmed") await this.#aged([route.key]);
    return sent;
  }

  /** Jobs mostly go where the one before went. */
  #routeOf(envelope: Envelope): Route {
    const { partition, queue } = envelope;
    if (this.#last.partition !== partition || this.#last.queue !== queue) {
      const { names } = this.#parts;
      const route = { exchange: names.enqueue, key: names.queue(envelope) };
      this.#last = { partition, queue, route };
    }
    return this.#last.route;
  }

  #last = { partition: "", queue: "", route: { exchange: "", key: "" } };

  /** A job that is not due yet. Its queue must be known to exist: nobody is told later. */
  async enqueueLater(envelope: Envelope, dueAt: number): Promise<Sent> {
    const body = Buffer.from(encodeEnvelope(envelope));
    if (body.length > MESSAGE_BYTES_MAX)
      return { kind: "unsent", error: new PayloadTooLarge(envelope.job, body.length, MESSAGE_BYTES_MAX) };
    const now = this.#parts.clock.now();
    const { route, queues } = await this.#delayed(envelope, dueAt - now);
    const sent = await this.#send(route, body, envelope, false, { [PUT_OFF_AT]: now });
    if (sent.kind === "confirmed") await this.#aged(queues);
    return sent;
  }

  /** Resolves when what takes the job's place is stored; rejects when it cannot be. */
  async replace(next: Envelope, dueAt: number): Promise<void> {
    const now = this.#parts.clock.now();
    const ms = dueAt - now;
    const body = Buffer.from(encodeEnvelope(next));
    const headers = ms <= 0 ? undefined : { [PUT_OFF_AT]: now };
    for (let tries = 1; ; tries++) {
      const { route, queues } = ms <= 0 ? this.#atOnce(next) : await this.#waiting(next, ms);
      const sent = await this.#send(route, body, next, true, headers);
      if (sent.kind === "confirmed") return this.#aged(queues);
      if (sent.kind !== "returned" || tries === GONE_TRIES) throw failureOf(sent, route);
      this.#parts.topology.renew(); // what waits was deleted under us: declared again
    }
  }

  /** A job, with its end in the headers. */
  bury(envelope: Envelope, record: BuriedRecord): Promise<void> {
    const body = Buffer.from(encodeEnvelope(envelope));
    return this.#bury(envelope, body, envelope.id, envelope.job, headersOf(record, envelope));
  }

  /** Bytes that are no job, as they came. */
  buryRaw(queue: QueueRef, message: ConsumeMessage, record: BuriedRecord): Promise<void> {
    return this.#bury(queue, message.content, messageIdOf(message), "", headersOf(record, undefined));
  }

  /** A message of another system that no job could be made of: its bytes, and what came with them. */
  buryForeign(queue: QueueRef, parcel: Parcel, id: string, record: BuriedRecord): Promise<void> {
    const headers = { ...headersOf(record, undefined), ...headerOf(parcel) };
    return this.#bury(queue, parcel.message.content, id, "", headers);
  }

  /** To its queue again, now or after a while, as what it is. */
  async passOn(queue: QueueRef, parcel: Parcel, id: string, ms: number): Promise<void> {
    const { route, queues } = ms <= 0 ? this.#atOnce(queue) : await this.#delayed(queue, ms);
    const sent = await this.#letter(route, parcel.message.content, id, "", headerOf(parcel), true);
    if (sent.kind !== "confirmed") throw failureOf(sent, route);
    await this.#aged(queues);
  }

  /** A message of a buried queue goes behind the others, as it is. */
  async republish(queue: string, message: ConsumeMessage): Promise<void> {
    const { headers, messageId, type } = message.properties as {
      readonly headers?: Record<string, unknown>;
      readonly messageId?: string;
      readonly type?: string;
    };
    const clean = Object.fromEntries(
      Object.entries(headers ?? {}).filter(([name]) => !name.startsWith("x-")),
    );
    const route = { exchange: "", key: queue };
    const sent = await this.#letter(route, message.content, messageId ?? "", type ?? "", clean, true);
    if (sent.kind !== "confirmed") throw failureOf(sent, route);
  }

  async #bury(
    queue: QueueRef,
    body: Buffer,
    id: string,
    type: string,
    headers: Record<string, unknown>,
  ): Promise<void> {
    const { topology, names } = this.#parts;
    const name = names.buried(queue);
    const route = { exchange: "", key: name };
    for (let tries = 1; ; tries++) {
      await topology.buried(queue);
      const sent = await this.#letter(route, body, id, type, headers, true);
      if (sent.kind === "confirmed") return this.#aged([name]);
      if (sent.kind !== "returned" || tries === GONE_TRIES) throw failureOf(sent, route);
      topology.forgetBuried(queue);
    }
  }

  #atOnce(next: QueueRef): { route: Route; queues: readonly string[] } {
    const { names } = this.#parts;
    const key = names.queue(next);
    return { route: { exchange: names.work, key }, queues: [key] };
  }

  /** A level of the runtime's own has a queue; whatever else waits takes the ladder. */
  async #waiting(next: Envelope, ms: number): Promise<{ route: Route; queues: readonly string[] }> {
    const { topology, names } = this.#parts;
    // the delay was made of whole seconds a moment ago
    const seconds = Math.round(ms / 1_000);
    if (Math.abs(ms - seconds * 1_000) > LEVEL_SLACK_MS || !this.#levels.has(seconds))
      return this.#delayed(next, ms);
    const name = names.retry(seconds);
    if (!topology.has(name)) await topology.retry(seconds);
    return { route: { exchange: name, key: names.queue(next) }, queues: [name] };
  }

  async #delayed(queue: QueueRef, ms: number): Promise<{ route: Route; queues: readonly string[] }> {
    const { topology, names } = this.#parts;
    const seconds = secondsOf(ms);
    if (seconds === 0) return this.#atOnce(queue);
    await topology.delay(seconds);
    const exchange = names.delay(topRung(seconds));
    const key = delayKey(seconds, names.queue(queue));
    return { route: { exchange, key }, queues: [names.delay(topRung(seconds))] };
  }

  #send(
    route: Route,
    body: Buffer,
    { id, job }: Envelope,
    must: boolean,
    headers: Record<string, unknown> | undefined,
  ): Promise<Sent> {
    return this.#letter(route, body, id, job, headers, must);
  }

  #letter(
    route: Route,
    body: Buffer,
    id: string,
    type: string,
    headers: Record<string, unknown> | undefined,
    must: boolean,
  ): Promise<Sent> {
    return new Promise((resolve) => {
      this.#parts.publisher.send(new Letter(route, body, id, type, headers, must, resolve));
    });
  }

  /** Until none of these queues is so young that a killed broker could lose what it confirmed. */
  async #aged(queues: readonly string[]): Promise<void> {
    const ms = Math.max(0, ...queues.map((name) => this.#parts.topology.graceLeft(name)));
    if (ms > 0) await this.#age(ms);
  }

  #age(ms: number): Promise<void> {
    const over = new Promise<void>((resolve) => this.#parts.clock.timer(ms, resolve));
    this.#ageing.add(over);
    return over.finally(() => this.#ageing.delete(over));
  }

  /** Resolves when nobody waits for the age of a queue any more: a process that ends before that would tell nobody. */
  async aged(): Promise<void> {
    while (this.#ageing.size > 0) await Promise.all(this.#ageing);
  }
}

function failureOf(sent: Sent, { exchange, key }: Route): Error {
  if (sent.kind === "unsent" || sent.kind === "unknown") return sent.error;
  return new Error(`nothing takes what is published to "${exchange}" under "${key}"`);
}
