/**
 * One line for people about one event of a node.
 *
 * Owns which events are worth a line: how jobs end and what happens to the node; not each start and enqueue. With
 * `--json` all of them are written as they are, so nothing is lost by what is left out here.
 */
import type { EventType, JobFields, SpillwayEvent } from "../actors/events.ts";
import type { KillReport } from "../jobs/failure.ts";
import type { Style } from "./terminal.ts";

/** Left out with `--quiet`: jobs that do what they should. */
const ORDINARY: ReadonlySet<EventType> = new Set<EventType>(["job.completed", "job.retried", "job.snoozed"]);
/** Too many, or told otherwise: by another event, `job.log` by the logger. */
const UNTOLD: ReadonlySet<EventType> = new Set<EventType>([
  "job.enqueued",
  "job.started",
  "job.waiting",
  "job.progress",
  "job.log",
]);

export interface EventLine {
  readonly style: Style | undefined;
  readonly text: string;
}

/** `undefined`: no line. */
export function eventLine(event: SpillwayEvent, quiet: boolean): EventLine | undefined {
  if (UNTOLD.has(event.type) || (quiet && ORDINARY.has(event.type))) return undefined;
  // An actor that ends because it was told to is no news.
  if (event.type === "actor.exited" && event.reason.kind !== "crash") return undefined;
  const about = "job" in event ? `${jobText(event)} ` : "";
  return {
    style: styleOf(event),
    text: `${timeText(event.at)} ${event.type} ${about}${details(event)}`.trimEnd(),
  };
}

/** Local time, as a watch shows it. */
function timeText(at: number): string {
  return new Date(at).toTimeString().slice(0, 8);
}

function jobText({ job, id, partition, queue, attempt }: JobFields): string {
  const which = attempt === 0 ? "" : ` attempt ${attempt}`;
  return `${job === "" ? "?" : job} ${id} ${partition}.${queue}${which}`;
}

function styleOf(event: SpillwayEvent): Style | undefined {
  switch (event.type) {
    case "job.completed":
      return "dim";
    case "job.failed":
    case "job.killed":
    case "partition.waiting":
    case "concurrency.unreachable":
    case "node.late":
    case "node.differs":
    case "broker.blocked":
      return "yellow";
    case "job.buried":
    case "job.wedged":
    case "broker.lost":
    case "actor.exited":
    case "callback.failed":
      return "red";
    default:
      return undefined;
  }
}

/** What differs from type to type. */
function details(event: SpillwayEvent): string {
  switch (event.type) {
    case "job.completed":
      return `in ${Math.round(event.durationMs)} ms`;
    case "job.failed":
      return `${event.willRetry ? "" : "(last) "}${event.error.message}`;
    case "job.retried":
    case "job.snoozed":
      return `again in ${event.delayMs} ms`;
    case "job.buried":
      return `${event.reason}: ${event.error.message}`;
    case "job.cancelled":
      return `was ${event.was}`;
    case "job.killed":
      return `${event.reason}${hungIn(event.report)}`;
    case "job.wedged":
      return `its thread does not end${hungIn(event.report)}`;
    case "job.rescued":
      return event.reason;
    default:
      return nodeDetails(event);
  }
}

function nodeDetails(event: SpillwayEvent): string {
  switch (event.type) {
    case "queue.paused":
    case "queue.resumed":
      return `${event.partition}.${event.queue}`;
    case "partition.running":
    case "partition.stopped":
      return event.partition;
    case "partition.waiting":
      return `${event.partition}: ${event.error.message}`;
    case "concurrency.unreachable":
      return `${event.concurrency} jobs may run at once, the watermark lets ${event.watermark}`;
    case "callback.failed":
      return `${event.callback}: ${event.error.message}`;
    case "broker.lost":
      return event.error.message;
    case "broker.connected":
    case "broker.unblocked":
      return event.broker;
    case "broker.blocked":
      return `${event.broker}: ${event.reason}`;
    case "node.up":
    case "node.late":
    case "node.gone":
      return event.name;
    case "node.differs":
      return `${event.name}: ${event.difference}`;
    case "actor.exited":
      return `${event.actor}${event.reason.kind === "crash" ? `: ${event.reason.error.message}` : ""}`;
    default:
      return "";
  }
}

function hungIn({ frames: [frame] }: KillReport): string {
  return frame === undefined ? "" : ` in ${frame.function || "(anonymous)"} ${frame.file}:${frame.line}`;
}
