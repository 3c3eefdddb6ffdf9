/**
 * What suites need and a machine may lack, each looked for once.
 *
 * Owns no connection longer than the question. Who wants another adds it here and names it in `suites/all.ts`.
 */
import { spawnSync } from "node:child_process";
import { HOW_TO_HAVE_OWN, newestVersion } from "../../test/amqp/support/private-broker.ts";
import { HOW_TO } from "../baselines/erlang.ts";
import { howTo, RabbitPlace } from "../nodes/rabbit-place.ts";
import { HOW_TO as HOW_TO_PEERS, installed, installedVersions } from "../peers/packages.ts";
import { howToPostgres, PostgresPlace } from "../peers/postgres.ts";
import { howToRedis, RedisPlace } from "../peers/redis.ts";
import { loadZeromq } from "./package.ts";
import type { Need } from "./suite.ts";

export const rabbitMq: Need = {
  name: "RabbitMQ",
  find: () => RabbitPlace.version(),
  howTo,
};

/** Brokers that the bench starts and stops itself. */
export const ownRabbitMq: Need = {
  name: "RabbitMQ of its own",
  find: newestVersion,
  howTo: () => HOW_TO_HAVE_OWN,
};

export const erlang: Need = {
  name: "Erlang/OTP",
  async find() {
    if (spawnSync("erlc", ["-help"]).error !== undefined) return undefined;
    const release = "io:put_chars(erlang:system_info(otp_release)),halt().";
    const { stdout, error } = spawnSync("erl", ["-noshell", "-eval", release], { encoding: "utf8" });
    return error === undefined && stdout !== "" ? stdout : undefined;
  },
  howTo: () => HOW_TO,
};

export const peerPackages: Need = {
  name: "peers",
  find: async () => (installed() ? installedVersions() : undefined),
  howTo: () => HOW_TO_PEERS,
};

/** A peer of the package: not there where its binary does not load. */
export const zeroMq: Need = {
  name: "ZeroMQ",
  find: () =>
    loadZeromq().then(
      ({ version }) => version,
      () => undefined,
    ),
  howTo: () => "it needs the package zeromq, with a binary for this machine: npm ci",
};

/** A server is asked through a package of `bench/peers`. */
const server = (
  name: string,
  Place: { find(): Promise<{ version(): Promise<string>; leave(): Promise<void> } | undefined> },
  howTo: () => string,
): Need => ({
  name,
  async find() {
    const place = installed() ? await Place.find() : undefined;
    const version = await place?.version();
    await place?.leave();
    return version;
  },
  howTo,
});

export const redis = server("Redis", RedisPlace, howToRedis);
export const postgres = server("PostgreSQL", PostgresPlace, howToPostgres);
