/**
 * The commands of `spillway`, one entry each: to add a command is to add an entry.
 *
 * Owns the table. A command's code is loaded when it runs, so that help and mistakes answer without a runtime.
 */
import { BROKER, type Command, DATA, JSON_OPTION, PREFIX } from "./command.ts";

const JOBS = {
  type: "string",
  multiple: true,
  value: "PATH",
  help: "a job module, or a folder of them; may be given several times",
} as const;

const start: Command = {
  name: "start",
  summary: "run a node until Ctrl-C",
  usage: "[options]",
  about: `Runs a node, on an embedded broker of its own or on a RabbitMQ that nodes share: takes jobs from the queues of
its partition and runs them in threads. SIGINT and SIGTERM stop it in order: nothing new starts, running bodies get 15
seconds, the rest are handed back. What the options here do not say, a file of RuntimeOptions says (docs/options.md); options here win.`,
  positionals: 0,
  options: {
    data: DATA,
    broker: BROKER,
    prefix: PREFIX,
    jobs: JOBS,
    partition: { type: "string", value: "P", help: "the partition to run (default)" },
    queue: {
      type: "string",
      multiple: true,
      value: "NAME=N",
      help: "a queue, and how many of its jobs run at once; several times (default=THREADS)",
    },
    threads: { type: "string", value: "N", help: "threads (one a core, at least 2)" },
    nodes: {
      type: "string",
      value: "N",
      help: "so many nodes, each a process that is kept alive; for a RabbitMQ. The cores' threads are shared out",
    },
    config: { type: "string", value: "FILE.mjs", help: "a module whose default export is RuntimeOptions" },
    quiet: { type: "boolean", help: "no lines about jobs that end well" },
    json: { type: "boolean", help: "every event as one JSON line" },
  },
  run: async (call) => (await import("./start.ts")).start(call),
};

const enqueue: Command = {
  name: "enqueue",
  summary: "enqueue a job",
  usage: "JOB [JSON-ARGS | -] [options]",
  about: `Enqueues a job by its name and prints its id once it is durable. "-" reads the args from standard input.
With --jobs the job's definition is looked up there: its schema checks the args, its keys and time limit count.
Without, a job of that name is enqueued unchecked and without keys, which is enough for jobs that have none.`,
  positionals: 2,
  options: {
    partition: { type: "string", value: "P", help: "the partition it goes to (default)" },
    queue: { type: "string", value: "Q", help: "another queue than the definition's" },
    id: { type: "string", value: "ID", help: "its id (a new one)" },
    delay: { type: "string", value: "D", help: 'milliseconds, or "30 seconds"' },
    data: DATA,
    broker: BROKER,
    prefix: PREFIX,
    jobs: JOBS,
    declare: { type: "boolean", help: "make the partition and queue if they are not there" },
    wait: {
      type: "boolean",
      help: "run its queue here until it has ended, and print its result; needs --jobs",
    },
    json: JSON_OPTION,
  },
  run: async (call) => (await import("./enqueue.ts")).enqueue(call),
};

const ps: Command = {
  name: "ps",
  summary: "show partitions, queues and their jobs",
  usage: "[options]",
  about: `Shows each queue with the jobs that are ready, scheduled and buried, and why those lie buried. Opens the folder
for a moment without running anything; one process at a time may have it open. On RabbitMQ it shows the queues that a live
node knows, and those that are named here.`,
  positionals: 0,
  options: {
    data: DATA,
    broker: BROKER,
    prefix: PREFIX,
    partition: {
      type: "string",
      value: "P",
      help: "with --broker: the partition of the queues named (default)",
    },
    queue: {
      type: "string",
      multiple: true,
      value: "Q",
      help: "with --broker: a queue to show, whether a node knows it or not; several times",
    },
    json: JSON_OPTION,
  },
  run: async (call) => (await import("./ps.ts")).ps(call),
};

const gateway: Command = {
  name: "gateway",
  summary: "run a gateway by itself, as a daemon",
  usage: "gloom|powerhose [options]",
  about: `gloom: Gloom's daemon. Masters submit jobs on one port, slaves of any language take them on the other, as
length-prefixed JSON. powerhose: Powerhose's master, which speaks ZeroMQ (npm i zeromq@6). Each line of standard input is a
job's data, each line of output its result, in the same order; it waits for a worker, and ends with its input.
Neither keeps anything: for jobs that must not be lost, give the gateway to a node (the option gateways). docs/gateways.md
has more. Ctrl-C stops it.`,
  positionals: 1,
  options: {
    host: { type: "string", value: "ADDRESS", help: "gloom: where it listens (127.0.0.1)" },
    "master-port": { type: "string", value: "N", help: "for masters (9998; 0 = any that is free)" },
    "slave-port": { type: "string", value: "N", help: "for slaves (9999; 0 = any that is free)" },
    "secret-file": { type: "string", value: "FILE", help: "a file with the word that peers must say first" },
    "tls-cert": { type: "string", value: "FILE", help: "with --tls-key: TLS, with this certificate (PEM)" },
    "tls-key": { type: "string", value: "FILE", help: "its key (PEM)" },
    "tls-ca": {
      type: "string",
      value: "FILE",
      help: "peers must show a certificate that this one signed (PEM)",
    },
    "max-frame": { type: "string", value: "SIZE", help: 'most bytes of one message, or "64 MB" (256 MB)' },
    endpoint: {
      type: "string",
      value: "ADDRESS",
      help: "powerhose: ipc://PATH or tcp://HOST:PORT, where workers register (ipc://master-routing.ipc)",
    },
    heartbeat: {
      type: "string",
      value: "D",
      help: 'how often those who can answer are asked; ended after three without a word ("10 seconds")',
    },
    "max-age": { type: "string", value: "D", help: "age at which an idle slave or worker is let go (none)" },
    "max-age-jitter": { type: "string", value: "D", help: "up to so much later, each at random (0)" },
    timeout: { type: "string", value: "D", help: 'for each worker that a job is tried on ("1 second")' },
    retries: { type: "string", value: "N", help: "how many workers a job is tried on (3)" },
    json: JSON_OPTION,
  },
  run: async (call) => (await import("./gateway.ts")).gateway(call),
};

const workers: Command = {
  name: "workers",
  summary: "keep worker processes of a command alive",
  usage: "[options] -- COMMAND [ARGUMENT ...]",
  about: `Runs so many processes of a command, each with a number from 1 on: $WID in the command, quoted so that the shell leaves it,
and WID in its environment. One that ends is started again. Its lines are shown after its number. Ctrl-C stops all: a signal,
the grace, a kill; none is left behind, even if this process is killed.`,
  positionals: Number.POSITIVE_INFINITY,
  options: {
    count: { type: "string", value: "N", help: "how many (5)" },
    grace: { type: "string", value: "D", help: 'from the signal to the kill: milliseconds, or "5 seconds"' },
    json: { type: "boolean", help: "every line, start and end as one JSON line" },
  },
  run: async (call) => (await import("./workers.ts")).workers(call),
};

/** In the order of help. */
export const commands: readonly Command[] = [start, enqueue, ps, gateway, workers];
