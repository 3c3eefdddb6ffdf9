/**
 * A small HTTP service that embeds Spillway.
 *
 *   POST /resize?width=320   a PPM as its body → 202 { id }, once the job is durable
 *   GET /jobs/ID             waits for the result → 200 { width, height }
 *   GET /pictures/ID         the small picture
 *
 * On SIGTERM: no new requests, then the runtime stops in order. What has not run is on the disk, and runs at the next
 * start. DATA and PORT are taken from the environment.
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createReadStream, createWriteStream, mkdirSync } from "node:fs";
import { createServer } from "node:http";
import { join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { ExecuteTimeout, embedded, JobBuried, ResultUnknown, Runtime, StorageFull } from "spillway";
import resize from "./jobs/resize.mjs";

const folder = resolve(process.env.DATA ?? "./data");
const pictures = join(folder, "pictures");
mkdirSync(pictures, { recursive: true });

const runtime = await Runtime.start({
  broker: embedded({ path: join(folder, "jobs") }),
  jobs: new URL("./jobs/", import.meta.url),
  partitions: { web: { default: 16 } },
});

/** Results are remembered for a minute, and so are handles. */
const KEEP_MS = 60_000;
const handles = new Map();
const LARGEST_BYTES = 16 * 1024 * 1024;

const routes = [
  ["POST", /^\/resize$/, enqueueResize],
  ["GET", /^\/jobs\/([\w-]+)$/, awaitJob],
  ["GET", /^\/pictures\/([\w-]+)$/, sendPicture],
];

async function enqueueResize(request, response, url) {
  const width = Number(url.searchParams.get("width"));
  if (!Number.isInteger(width) || width < 1)
    return answer(response, 400, { error: "width: a whole number, 1 or more" });
  const length = Number(request.headers["content-length"] ?? Number.NaN);
  if (!(length <= LARGEST_BYTES))
    return answer(response, 413, { error: `a content-length of at most ${LARGEST_BYTES}` });
  // Ids that sort by age are cheaper to store.
  const id = `${Date.now().toString(36)}-${randomUUID()}`;
  const from = join(pictures, `${id}.original`);
  await pipeline(request, createWriteStream(from));
  const handle = await runtime.enqueue(
    resize,
    { from, to: join(pictures, id), width },
    { partition: "web", id },
  );
  handles.set(id, handle);
  const forget = () => setTimeout(() => handles.delete(id), KEEP_MS).unref();
  handle.result().then(forget, forget);
  answer(response, 202, { id });
}

async function awaitJob(_request, response, _url, id) {
  const handle = handles.get(id);
  if (handle === undefined) return answer(response, 404, { error: "no such job, or it ended a while ago" });
  answer(response, 200, await handle.result({ timeout: "25 seconds" }));
}

async function sendPicture(_request, response, _url, id) {
  const file = createReadStream(join(pictures, id));
  await once(file, "open");
  response.writeHead(200, { "content-type": "image/x-portable-pixmap" });
  await pipeline(file, response);
}

function answer(response, status, body) {
  response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(body)}\n`);
}

/** What each error means to whoever asked. */
function statusOf(error) {
  if (error instanceof ExecuteTimeout) return 202;
  if (error instanceof JobBuried) return 422;
  if (error instanceof StorageFull) return 507;
  if (error instanceof ResultUnknown) return 503;
  return error.code === "ENOENT" ? 404 : error.code === "RuntimeStopped" ? 503 : 500;
}

const server = createServer((request, response) => {
  const url = new URL(request.url, "http://localhost");
  const [, pattern, handler] =
    routes.find(([method, path]) => method === request.method && path.test(url.pathname)) ?? [];
  if (handler === undefined)
    return answer(response, 404, { error: "there is POST /resize and GET /jobs/ID" });
  const [, id] = pattern.exec(url.pathname);
  handler(request, response, url, id).catch((error) => {
    if (response.headersSent) return response.destroy();
    const cause = error instanceof JobBuried ? error.cause : error;
    answer(response, statusOf(error), { error: error.code ?? error.name, message: cause.message });
  });
});

async function stop() {
  const closed = once(server, "close");
  server.close();
  server.closeIdleConnections();
  await runtime.stop();
  await closed;
  console.log("stopped");
}

process.once("SIGTERM", stop);
process.once("SIGINT", stop);
server.listen(Number(process.env.PORT ?? 8080), () =>
  console.log(`listening on port ${server.address().port}`),
);
