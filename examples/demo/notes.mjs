/**
 * What happens beside the files, in words: a refusal, a failed attempt, a kill and where its body hung.
 */
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { ROOT } from "./options.mjs";

const INDENT = " ".repeat(24);

/** A note for an event, or nothing for one that needs none. */
export function noteOf(screen, event) {
  switch (event.type) {
    case "refused":
      return line(
        screen,
        "yellow",
        "refused",
        event.job,
        `a second one of its queue key: ${event.error.code}`,
      );
    case "job.failed":
      if (event.error.kind === "timeout") return undefined;
      return line(
        screen,
        "yellow",
        "failed",
        event.job,
        `attempt ${event.attempt}: ${event.error.failure.message}${event.willRetry ? "; once more" : ""}`,
      );
    case "job.killed":
      return event.reason === "timeout"
        ? killReport(screen, event.job, { report: event.report }, "now")
        : undefined;
    case "broker.lost":
      return line(screen, "red", "lost", "broker", lostText(event.error));
    case "broker.connected":
      return line(screen, "green", "back", "broker", "it is there again; what was under way goes on");
    case "broker.blocked":
      return line(screen, "yellow", "blocked", "broker", `it takes no jobs (${event.reason})`);
    case "broker.unblocked":
      return line(screen, "green", "open", "broker", "it takes jobs again");
  }
}

/** One that is tried again says why in a few words; one that is not, what to do. */
function lostText(error) {
  if (error.code !== "BrokerUnreachable") return error.message;
  return `${error.cause?.message ?? "it does not answer"}; it is tried again, what runs goes on`;
}

function line(screen, colour, word, job, text) {
  return `  ${screen.paint(colour, word.padEnd(8))} ${job.padEnd(12)} ${text}`;
}

/** The body's own frames: what lies below them is the host that called it. */
export function killReport(screen, job, { report }, when) {
  const text = when === "now" ? "did not return; it hung here:" : "in the run before; it hung here:";
  const frames = ownFrames(report);
  if (frames.length === 0)
    return `${line(screen, "red", "killed", job, "did not return")}\n${INDENT}no stack: ${captureOf(report)}`;
  const width = Math.max(0, ...frames.map((frame) => frame.function.length));
  const lines = frames.map((frame, index) => {
    const where = `${frame.function.padEnd(width)}  ${placeOf(frame)}`;
    return `${INDENT}${index === 0 ? screen.paint("bold", where) : where}`;
  });
  return [line(screen, "red", "killed", job, text), ...lines].join("\n");
}

/** `countLines (examples/demo/jobs/count-lines.mjs:24)`. */
export function hungIn(report) {
  const [frame] = ownFrames(report);
  return frame === undefined ? undefined : `${frame.function} (${placeOf(frame)})`;
}

function ownFrames(report) {
  return (report?.frames ?? []).filter((frame) => !/^node:|[\\/]threads[\\/]host[\\/]/.test(frame.file));
}

function captureOf(report) {
  return report?.steps.find(({ step }) => step === "capture")?.outcome ?? "none was asked for";
}

function placeOf({ file, line }) {
  const path = file.startsWith("file:") ? fileURLToPath(file) : file;
  return `${relative(ROOT, path)}:${line}`;
}
