/**
 * The PostgreSQL that a run measures on: found, given schemas of the run's own, and left without them.
 *
 * Owns one connection for what is looked at between runs, and every schema that `schema` named until `leave`.
 */
import { randomBytes } from "node:crypto";
import { loadPeer } from "./packages.ts";

const CONNECT_MS = 2_000;

interface Address {
  readonly host: string;
  readonly port: string;
  readonly user: string;
  readonly database: string;
}

/** As psql reads them; without, the superuser of a fresh installation. */
export function addressOf(env: NodeJS.ProcessEnv = process.env): Address {
  const { PGHOST = "localhost", PGPORT = "5432", PGUSER = "postgres", PGDATABASE = "postgres" } = env;
  return { host: PGHOST, port: PGPORT, user: PGUSER, database: PGDATABASE };
}

/** A password, or anything else that `pg` reads from the environment, it reads itself. */
export function urlOf({ host, port, user, database }: Address): string {
  const [to, socket] = host.startsWith("/") ? ["", `?host=${encodeURIComponent(host)}`] : [host, ""];
  return `postgres://${encodeURIComponent(user)}@${to}:${port}/${encodeURIComponent(database)}${socket}`;
}

/** Where it was looked for, and how to have one. */
export function howToPostgres(): string {
  const { host, port, user } = addressOf();
  return `no PostgreSQL lets ${user} in at ${host}:${port}: start one (Debian: apt install postgresql), or set PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE`;
}

interface Client {
  on(event: "error", listener: () => void): void;
  connect(): Promise<void>;
  query(sql: string): Promise<{ readonly rows: readonly Readonly<Record<string, unknown>>[] }>;
  end(): Promise<void>;
}

interface Pg {
  readonly default: { readonly Client: new (options: object) => Client };
}

export class PostgresPlace {
  readonly url: string;
  /** What becomes of a job when the server is killed. */
  readonly kept: string;
  readonly #client: Client;
  readonly #schemas: string[] = [];

  private constructor(url: string, kept: string, client: Client) {
    this.url = url;
    this.kept = kept;
    this.#client = client;
  }

  /** `undefined` when nobody answers there, or lets us in. */
  static async find(url = urlOf(addressOf())): Promise<PostgresPlace | undefined> {
    const { default: pg } = await loadPeer<Pg>("pg");
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_MS });
    client.on("error", () => {}); // whoever uses it next is told
    try {
      await client.connect();
      return new PostgresPlace(url, await keptBy(client), client);
    } catch {
      return undefined;
    }
  }

  async version(): Promise<string> {
    const { rows } = await this.#client.query("show server_version");
    return String(rows[0]?.server_version).split(" ")[0] ?? "unknown"; // without its distribution's
  }

  /** A name for a schema; whoever asks makes it. */
  schema(): string {
    const name = `spillway_bench_${randomBytes(6).toString("hex")}`;
    this.#schemas.push(name);
    return name;
  }

  async count(from: string): Promise<number> {
    const { rows } = await this.#client.query(`select count(*)::int as count from ${from}`);
    return Number(rows[0]?.count);
  }

  /** Deletes all that this run made. Call it when all others have closed. */
  async leave(): Promise<void> {
    await this.#client.query("set client_min_messages = warning"); // "drop cascades to …"
    for (const schema of this.#schemas) await this.#client.query(`drop schema if exists ${schema} cascade`);
    await this.#client.end();
  }
}

async function keptBy(client: Client): Promise<string> {
  const setting = async (name: string) => (await client.query(`show ${name}`)).rows[0]?.[name];
  const flushed = (await setting("fsync")) === "on" && (await setting("synchronous_commit")) === "on";
  return `in PostgreSQL, ${flushed ? "flushed" : "not flushed"}`;
}
