/**
 * Messages of other systems: the exchanges that a queue may be bound to, and what is made of what comes by them.
 *
 * Owns no code. A broker that has no exchanges is never given a binding: the options refuse it in words.
 */
import type { Prepared } from "../jobs/create.ts";
import type { BuriedReason, Failure } from "../jobs/failure.ts";
import type { QueueRef } from "./contract.ts";

/** A message as another system has published it. */
export interface ForeignMessage {
  /** By which it was published. */
  readonly exchange: string;
  readonly routingKey: string;
  readonly content: Buffer;
  /** As AMQP has them: bytes are a `Buffer`, a time is `{ "!": "timestamp", value }`. */
  readonly headers: Readonly<Record<string, unknown>>;
  readonly properties: ForeignProperties;
}

/** What the publisher has said of it; nothing here is checked by anybody. */
export interface ForeignProperties {
  readonly messageId?: string;
  readonly correlationId?: string;
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly type?: string;
  readonly appId?: string;
  readonly userId?: string;
  readonly replyTo?: string;
  /** Seconds since the epoch. */
  readonly timestamp?: number;
  readonly priority?: number;
  readonly deliveryMode?: number;
  readonly expiration?: string;
}

/** What a message turned out to be. */
export type Translated =
  /** `id`: the one that `toJob` has given to the message. */
  | { readonly kind: "job"; readonly prepared: Prepared; readonly id: string | undefined }
  /** No node could make a job of it. */
  | { readonly kind: "refused"; readonly reason: BuriedReason; readonly error: Failure }
  /** This node cannot, and others may; `why` is for whoever reads its burial when none could. */
  | { readonly kind: "elsewhere"; readonly why: string };

/** One exchange of another system, with its defaults filled in. */
export interface Binding {
  readonly exchange: string;
  /** `undefined` where it is not declared and nobody has said. */
  readonly type: string | undefined;
  readonly durable: boolean;
  /** Declared by us where it is not there; else its absence is an error. */
  readonly declare: boolean;
  readonly routingKey: string;
  /** Of the binding: what a headers exchange matches. */
  readonly arguments: Readonly<Record<string, unknown>>;
  /** Never throws, never rejects. A promise only where a schema answers with one. */
  readonly translate: (message: ForeignMessage) => Translated | Promise<Translated>;
}

/** A queue that is to be there, with the exchanges that it is to be bound to from now on. */
export interface DeclaredQueue extends QueueRef {
  readonly bindings?: readonly Binding[];
}
