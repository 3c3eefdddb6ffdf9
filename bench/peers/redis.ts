/**
 * The Redis that a run measures on: found, given a prefix of the run's own, and left without a key of it.
 *
 * Owns one connection for what is looked at between runs, and every key under the prefix until `leave`.
 */
import { randomBytes } from "node:crypto";
import { loadPeer } from "./packages.ts";

const DEFAULT_URL = "redis://127.0.0.1:6379";
const CONNECT_MS = 2_000;

const redisUrl = (): string => process.env.REDIS_URL ?? DEFAULT_URL;

/** Where it was looked for, without the password, and how to have one. */
export function howToRedis(): string {
  const host = URL.canParse(redisUrl()) ? new URL(redisUrl()).host : "REDIS_URL";
  return `no Redis answers at ${host}: start one (Debian: apt install redis-server), or set REDIS_URL=redis://user:password@host`;
}

interface Client {
  on(event: "error", listener: () => void): void;
  connect(): Promise<void>;
  info(section: "server"): Promise<string>;
  config(get: "GET", name: string): Promise<readonly string[]>;
  scan(cursor: string, ...options: readonly (string | number)[]): Promise<[string, string[]]>;
  unlink(...keys: readonly string[]): Promise<number>;
  quit(): Promise<unknown>;
}

interface Ioredis {
  readonly Redis: new (url: string, options: object) => Client;
}

export class RedisPlace {
  readonly url: string;
  readonly prefix = `spillway-bench-${randomBytes(6).toString("hex")}`;
  /** What becomes of a job when Redis is killed: with AOF off, its default, it is lost. */
  readonly kept: string;
  readonly #client: Client;

  private constructor(url: string, kept: string, client: Client) {
    this.url = url;
    this.kept = kept;
    this.#client = client;
  }

  /** `undefined` when nobody answers there. */
  static async find(url = redisUrl()): Promise<RedisPlace | undefined> {
    const { Redis } = await loadPeer<Ioredis>("ioredis");
    const client = new Redis(url, {
      lazyConnect: true,
      connectTimeout: CONNECT_MS,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
    });
    client.on("error", () => {}); // `connect` rejects
    try {
      await client.connect();
    } catch {
      return undefined;
    }
    return new RedisPlace(url, await keptBy(client), client);
  }

  async version(): Promise<string> {
    return /redis_version:(\S+)/.exec(await this.#client.info("server"))?.[1] ?? "unknown";
  }

  /** Deletes every key of this run. */
  async leave(): Promise<void> {
    let cursor = "0";
    do {
      const [next, keys] = await this.#client.scan(cursor, "MATCH", `${this.prefix}:*`, "COUNT", 1_000);
      if (keys.length > 0) await this.#client.unlink(...keys);
      cursor = next;
    } while (cursor !== "0");
    await this.#client.quit();
  }
}

/** Not every server lets its settings be read. */
async function keptBy(client: Client): Promise<string> {
  try {
    const [, appendonly] = await client.config("GET", "appendonly");
    if (appendonly !== "yes") return "in Redis, AOF off";
    const [, fsync] = await client.config("GET", "appendfsync");
    return `in Redis, AOF ${fsync}`;
  } catch {
    return "in Redis";
  }
}
