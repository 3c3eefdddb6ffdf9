/**
 * Every suite, in the order in which they run and are reported.
 *
 * Owns nothing. A new one is a file of this folder and an entry here; the entry's sentence opens its part of the report.
 */
import { erlang, ownRabbitMq, peerPackages, postgres, rabbitMq, redis, zeroMq } from "../runner/needs.ts";
import type { Suites } from "../runner/suite.ts";
import { backlogSuite } from "./backlog.ts";
import { embeddedSuite } from "./embedded.ts";
import { failoverSuite } from "./failover.ts";
import { fairnessSuite } from "./fairness.ts";
import { gloomSuite } from "./gloom.ts";
import { ioSuite } from "./io.ts";
import { kernelSuite } from "./kernel.ts";
import { keysSuite } from "./keys.ts";
import { killSuite } from "./kill.ts";
import { latencySuite } from "./latency.ts";
import { memorySuite } from "./memory.ts";
import { nodesSuite } from "./nodes.ts";
import { partitionsSuite } from "./partitions.ts";
import { peersSuite } from "./peers.ts";
import { powerhoseSuite } from "./powerhose.ts";
import { rabbitmqSuite } from "./rabbitmq.ts";
import { startSuite } from "./start.ts";
import { threadsSuite } from "./threads.ts";

export const SUITES = {
  kernel: {
    about:
      "Actors alone: messages, calls, children that come and go or crash, and a crowd of them. The baseline is Erlang/OTP's gen_server on the same machine; beside it stand plain Effect, nact and xstate.",
    uses: [erlang, peerPackages],
    run: kernelSuite,
  },
  start: {
    about:
      "From the start of a process to the end of its first job, and what it holds at rest; each in a fresh process. The baseline is Piscina alone, which has no queue, no supervision and no broker.",
    run: startSuite,
  },
  memory: {
    about:
      "Jobs that do nothing, through the whole runtime on the memory broker, each result awaited: the price of supervision. The baseline is raw Piscina, with as many threads and as many in flight.",
    run: memorySuite,
  },
  embedded: {
    about:
      "The same, durable: every enqueue is flushed to disk before it resolves. The baseline is raw Piscina again, which keeps nothing.",
    run: embeddedSuite,
  },
  peers: {
    about:
      "The same work through other job systems and pools: what one would have to choose between. Systems that keep jobs are compared with the embedded broker, pools with memory; ours run in threads in every row, and the baseline says where its bodies run and what it keeps.",
    needs: [peerPackages],
    uses: [redis, postgres],
    run: peersSuite,
  },
  latency: {
    about:
      "How soon a body begins, from the call that enqueues it: on an idle node, and under half of the load that it can take.",
    uses: [peerPackages, redis, postgres, rabbitMq],
    run: latencySuite,
  },
  backlog: {
    about:
      "What jobs that wait cost on the embedded broker: the heap, the disk, a new start, and the throughput while they stand there. The baseline is a backlog of 1,000.",
    run: backlogSuite,
  },
  partitions: {
    about:
      "One node with more and more partitions of one queue each: until all run, what they hold, and the jobs that go through all of them in turn. The baseline is one partition.",
    run: partitionsSuite,
  },
  fairness: {
    about:
      "How slots are shared between partitions that all have more than they can run, and how long a lone job of another one waits.",
    run: fairnessSuite,
  },
  threads: {
    about: "What a process costs beside a thread, each with the same host in it. No broker stands between.",
    run: threadsSuite,
  },
  kill: {
    about:
      "Bodies that overrun: from the end of the grace until their thread is gone, and until the next body begins.",
    run: killSuite,
  },
  io: {
    about: "Jobs that wait for HTTP, many a thread, beside one a thread.",
    run: ioSuite,
  },
  rabbitmq: {
    about:
      "The RabbitMQ broker. The baseline is a bare loop of amqplib, Piscina and ack, with the same prefetch and queue type, or bare confirmed publishes.",
    needs: [rabbitMq],
    run: rabbitmqSuite,
  },
  nodes: {
    about:
      "One filled quorum queue, run down by more and more nodes, each a process with one thread: jobs that do nothing, and jobs that wait, whose wall is the nodes' slots. The baseline is one node. Then a cluster of three brokers; the baseline is a single one. Brokers and nodes share the machine's cores.",
    needs: [rabbitMq],
    uses: [ownRabbitMq],
    run: nodesSuite,
  },
  keys: {
    about: "What queue keys and execution keys add: to embedded jobs, and on RabbitMQ in bare round trips.",
    uses: [rabbitMq],
    run: keysSuite,
  },
  failover: {
    about: "How soon a partition's coordinator is followed after it was killed, or frozen.",
    needs: [rabbitMq],
    run: failoverSuite,
  },
  gloom: {
    about:
      "Echo jobs through Gloom's daemon and four slaves. The baseline is a bare TCP relay of the same frames between the same peers.",
    run: gloomSuite,
  },
  powerhose: {
    about:
      "Echo jobs through Powerhose's JobRunner and four workers, each a process. The baseline is a bare loop over ZeroMQ, REQ and REP, to the same workers.",
    needs: [zeroMq],
    run: powerhoseSuite,
  },
} as const satisfies Suites;
