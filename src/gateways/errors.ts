/**
 * Errors of gateways.
 *
 * Owns the classes only; `docs/errors.md` has a row for each.
 */
import { SpillwayError } from "../kernel/errors.ts";

/** A gateway could not listen: its port is taken, its address is not this machine's, or it may not. */
export class GatewayUnavailable extends SpillwayError {
  readonly code = "GatewayUnavailable";
  constructor(
    readonly gateway: string,
    readonly host: string,
    readonly port: number,
    options: { readonly cause: Error & { readonly code?: string } },
  ) {
    super(
      `the ${gateway} gateway cannot listen on ${host} port ${port} (${options.cause.code ?? options.cause.message}); give another port, or end who has it.`,
      options,
    );
  }
}

/** A process of `Workers` ended by itself; another one takes its number. */
export class WorkerExited extends SpillwayError {
  readonly code = "WorkerExited";
  constructor(
    readonly wid: number,
    readonly pid: number,
    readonly exitCode: number | null,
    readonly signal: string | null,
  ) {
    const how = signal === null ? `code ${exitCode}` : signal;
    super(`worker ${wid} (process ${pid}) ended with ${how}; it is started again. Its last lines say why.`);
  }
}

/** `zeromq` is not installed, or its binary does not load here. Powerhose needs it; nothing else does. */
export class ZeromqMissing extends SpillwayError {
  readonly code = "ZeromqMissing";
  constructor(options: { readonly cause: unknown }) {
    super(
      "Powerhose speaks ZeroMQ, and the package zeromq does not load here: run `npm i zeromq@6`.",
      options,
    );
  }
}

/** A ZeroMQ endpoint could not be bound: somebody listens there, or it is no address of this machine. */
export class EndpointUnavailable extends SpillwayError {
  readonly code = "EndpointUnavailable";
  constructor(
    readonly endpoint: string,
    options: { readonly cause: Error },
  ) {
    super(
      `cannot listen on ${endpoint} (${options.cause.message}); give another endpoint, or end who has it.`,
      options,
    );
  }
}

/** `JobRunner.execute`: no worker was free in time. */
export class NoWorker extends SpillwayError {
  readonly code = "NoWorker";
  constructor(
    readonly endpoint: string,
    readonly waitedMs: number,
  ) {
    super(
      `no worker at ${endpoint} was free within ${waitedMs} ms; start more of them, or wait longer for one.`,
    );
  }
}

/** `JobRunner.execute`: no worker gave a result. */
export class ExecutionFailed extends SpillwayError {
  readonly code = "ExecutionFailed";
  constructor(
    readonly id: string,
    readonly tries: number,
    readonly why: string,
    options?: { readonly cause: unknown },
  ) {
    super(`job ${id} has no result after ${tries} ${tries === 1 ? "try" : "tries"}: ${why}.`, options);
  }
}

/** A `PowerhoseWorker` has ended because its master does not answer, or does not take it. */
export class MasterLost extends SpillwayError {
  readonly code = "MasterLost";
  constructor(
    readonly endpoint: string,
    readonly why: string,
  ) {
    super(`the master at ${endpoint} ${why}; start the worker again when that is mended.`);
  }
}
