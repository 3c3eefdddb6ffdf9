/**
 * The AMQP options on a real broker: what each of them does there, TLS included; and what is warned of at a start.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:tls";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { rabbitmq } from "../../src/amqp/index.ts";
import { BrokerUnreachable } from "../../src/broker/errors.ts";
import { Runtime } from "../../src/runtime/runtime.ts";
import { quiet } from "../runtime/support.ts";
import { describeAmqp, describePrivate, freshPrefix, PrivateBroker } from "./support/broker.ts";
import { cleanUpPrefix } from "./support/made.ts";
import { P, TestCluster } from "./support/nodes.ts";

/** A certificate for localhost that nobody but its owner trusts. */
async function certificate(): Promise<{ key: Buffer; cert: Buffer }> {
  const folder = await mkdtemp(join(tmpdir(), "spillway-tls-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-keyout", key, "-out", cert];
  await promisify(execFile)("openssl", [...made, ...subject]);
  return { key: await readFile(key), cert: await readFile(cert) };
}

/** TLS in front of a broker that has none. */
async function tlsBefore(url: string, secrets: { key: Buffer; cert: Buffer }): Promise<number> {
  const { hostname, port } = new URL(url);
  const server = createServer(secrets, (secure) => {
    const plain = connect(Number(port || 5672), hostname);
    secure.on("error", () => plain.destroy());
    plain.on("error", () => secure.destroy());
    secure.pipe(plain).pipe(secure);
  });
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  onTestFinished(() => void server.close());
  return (server.address() as { port: number }).port;
}

describeAmqp("TLS", (url) => {
  test("a broker behind TLS is used when its certificate is trusted, and refused in words when it is not", async () => {
    const secrets = await certificate();
    const port = await tlsBefore(url, secrets);
    const prefix = freshPrefix();
    const { username, password } = new URL(url);
    const base = {
      host: "localhost",
      port,
      prefix,
      username: username || "guest",
      password: password || "guest",
    };
    const untrusted = Runtime.start({ broker: rabbitmq({ ...base, tls: true }), logger: quiet });
    await expect(untrusted).rejects.toBeInstanceOf(BrokerUnreachable);
    await expect(untrusted).rejects.toThrow(/self-signed certificate/);
    const runtime = await Runtime.start({
      broker: rabbitmq({ ...base, tls: { ca: secrets.cert } }),
      logger: quiet,
    });
    expect(await runtime.queues.list()).toEqual([]);
    await runtime.stop();
    await cleanUpPrefix(url, prefix, []);
  });
});

describePrivate("options on a broker", () => {
  test("virtual host, user, limits, heartbeat, names and properties arrive", {
    timeout: 120_000,
  }, async () => {
    const private_ = await PrivateBroker.start();
    onTestFinished(() => private_.dispose());
    await private_.ctl("add_vhost", "two words/slash");
    await private_.ctl("add_user", "jobs", "p@ss:w/rd");
    await private_.ctl("set_permissions", "-p", "two words/slash", "jobs", ".*", ".*", ".*");
    const runtime = await Runtime.start({
      node: "the-node",
      broker: rabbitmq({
        host: "127.0.0.1",
        port: private_.port,
        virtualHost: "two words/slash",
        username: "jobs",
        password: "p@ss:w/rd",
        channelMax: 77,
        frameMax: 8_192,
        heartbeat: 3,
        clientProperties: { service: "billing" },
      }),
      partitions: { [P]: { default: 0 } },
      nodeTimeout: 13_000,
      logger: quiet,
    });
    const columns = ["user", "vhost", "channel_max", "frame_max", "timeout", "client_properties"];
    const seen = (await private_.ctl("list_connections", ...columns))
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("user\t"));
    expect(seen).toHaveLength(2);
    for (const line of seen) {
      expect(line.split("\t").slice(0, 5)).toEqual(["jobs", "two words/slash", "77", "8192", "3"]);
      expect(line).toMatch(/billing/);
      expect(line).toMatch(/the-node (publishes|consumes)/);
    }
    expect(JSON.stringify(runtime.node.tree())).not.toContain("p@ss");
    await runtime.stop();
  });
});

describeAmqp("what a start warns of", (url) => {
  test("a job that may run for longer than the broker's consumer timeout is named, with what to do", async () => {
    const warned: string[] = [];
    const cluster = new TestCluster(url);
    const long = new URL("../fixtures/amqp/long.mjs", import.meta.url);
    await cluster.node({ jobs: long, logger: { ...quiet, warn: (text) => void warned.push(text) } });
    expect(warned.join("\n")).toMatch(
      /job "long" may run for 60 min; RabbitMQ takes a delivery back after consumer_timeout/,
    );
  });
});
