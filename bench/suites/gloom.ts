/**
 * Echo jobs through Gloom's daemon, against a bare TCP relay of the same frames between the same peers.
 *
 * Owns the daemon or the relay, one master and four slaves, all in this process, for the time of one run. The relay looks at
 * lengths alone: no ids, no types, no priorities, no answer to a submit or a response. A slave has one frame at a time there,
 * too: that is the protocol's, and not what is measured.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { type Bench, type Sample, timed } from "../runner/bench.ts";
import { loadGateways } from "../runner/package.ts";

const SLAVES = 4;
const CASES = [
  { inFlight: 64, jobs: 40_000, goal: 0.5 },
  // Shown: with one in flight it is the count of frames, four against two.
  { inFlight: 1, jobs: 5_000 },
];

export async function gloomSuite(bench: Bench): Promise<void> {
  const { startGloom } = await loadGateways();
  const ours = async (jobs: number, inFlight: number): Promise<Sample> => {
    const daemon = await startGloom({ masterPort: 0, slavePort: 0 });
    try {
      const { masterPort, slavePort } = daemon.address;
      return await echo(bench, { masterPort, slavePort }, jobs, inFlight);
    } finally {
      await daemon.stop();
    }
  };
  const bare = async (jobs: number, inFlight: number): Promise<Sample> => {
    const relay = await Relay.start();
    try {
      return await echo(bench, relay, jobs, inFlight);
    } finally {
      await relay.stop();
    }
  };
  for (const { inFlight, jobs: full, ...goals } of CASES) {
    const jobs = bench.settings.count(full);
    await bench.duel({
      case: `${inFlight} in flight, ${SLAVES} slaves`,
      metric: "echo jobs",
      unit: "jobs/s",
      ours: () => ours(jobs, inFlight),
      baseline: { name: "bare TCP relay", run: () => bare(jobs, inFlight) },
      ...goals,
    });
  }
}

interface Ports {
  readonly masterPort: number;
  readonly slavePort: number;
}

/** Peers join, then the master keeps so many in flight until all have come back. */
async function echo(bench: Bench, ports: Ports, jobs: number, inFlight: number): Promise<Sample> {
  const slaves = await Promise.all(Array.from({ length: SLAVES }, () => echoSlave(ports.slavePort)));
  const master = await dial(ports.masterPort);
  const back = new Set<number>();
  const work = () =>
    new Promise<void>((resolve) => {
      let sent = 0;
      const submit = () => {
        if (sent < jobs)
          send(master, `{"action":"submit","id":${sent},"type":"echo","body":{"n":${sent++}}}`);
      };
      frames(master, (payload) => {
        const body = /"body":\{"n":(\d+)\}/.exec(payload.toString("latin1"))?.[1];
        if (body === undefined) return; // it was taken
        back.add(Number(body));
        if (back.size === jobs) resolve();
        else submit();
      });
      for (let n = 0; n < inFlight; n += 1) submit();
    });
  const measured = await timed(jobs, work);
  bench.check("jobs that came back", jobs, back.size);
  for (const socket of [...slaves, master]) socket.destroy();
  return { ...measured, checked: jobs };
}

/** Says `join`, and resolves when that was answered; then it answers whatever has a body with it. */
async function echoSlave(port: number): Promise<Socket> {
  const socket = await dial(port);
  const joined = new Promise<void>((resolve) => {
    frames(socket, (payload) => {
      const text = payload.toString("latin1");
      const at = text.indexOf('"body":');
      if (at >= 0) send(socket, `{"action":"respond",${text.slice(at)}`);
      else resolve();
    });
  });
  send(socket, '{"action":"join","type":"echo"}');
  await joined;
  return socket;
}

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.setNoDelay(true);
  await once(socket, "connect");
  return socket;
}

function send(socket: Socket, text: string): void {
  forward(socket, Buffer.from(text));
}

function forward(socket: Socket, payload: Buffer): void {
  const header = Buffer.allocUnsafe(4);
  header.writeUInt32BE(payload.length);
  socket.write(Buffer.concat([header, payload]));
}

function frames(socket: Socket, found: (payload: Buffer) => void): void {
  let bytes: Buffer = Buffer.alloc(0);
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    let at = 0;
    while (bytes.length >= at + 4 && bytes.length >= at + 4 + bytes.readUInt32BE(at)) {
      const end = at + 4 + bytes.readUInt32BE(at);
      found(bytes.subarray(at + 4, end));
      at = end;
    }
    bytes = bytes.subarray(at);
  });
}

/** A frame of the master goes to a slave that is free, one of a slave to the master; a slave's first is answered. */
class Relay implements Ports {
  readonly masterPort: number;
  readonly slavePort: number;
  readonly #servers: readonly Server[];
  readonly #sockets: Socket[];

  private constructor(servers: readonly Server[], sockets: Socket[]) {
    const [masters, slaves] = servers.map((server) => (server.address() as AddressInfo).port);
    this.masterPort = masters ?? 0;
    this.slavePort = slaves ?? 0;
    this.#servers = servers;
    this.#sockets = sockets;
  }

  static async start(): Promise<Relay> {
    const sockets: Socket[] = [];
    const free: Socket[] = [];
    const waiting: Buffer[] = [];
    let master: Socket | undefined;
    const forMasters = createServer((socket) => {
      master = socket.setNoDelay(true);
      sockets.push(socket);
      frames(socket, (payload) => {
        const slave = free.shift();
        if (slave === undefined) waiting.push(payload);
        else forward(slave, payload);
      });
    });
    const forSlaves = createServer((socket) => {
      sockets.push(socket.setNoDelay(true));
      let joined = false;
      frames(socket, (payload) => {
        if (!joined) send(socket, '{"ok":true}');
        else if (master !== undefined) forward(master, payload);
        joined = true;
        const next = waiting.shift();
        if (next === undefined) free.push(socket);
        else forward(socket, next);
      });
    });
    for (const server of [forMasters, forSlaves]) await once(server.listen(0, "127.0.0.1"), "listening");
    return new Relay([forMasters, forSlaves], sockets);
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}
