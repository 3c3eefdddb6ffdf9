/**
 * One address for a cluster, as a load balancer gives it: passes each connection on to the first node that takes it.
 *
 * Owns its sockets. A node that goes away takes its connections with it; whoever connects again gets the next node.
 */
import { connect, createServer } from "node:net";

export class Balancer {
  #server;
  #sockets = new Set();

  /** `ports`: of the nodes, on the loopback address. */
  static async start(ports) {
    const balancer = new Balancer();
    balancer.#server = createServer((client) => {
      client.on("error", () => {});
      balancer.#pass(client, ports);
    });
    await new Promise((resolve) => balancer.#server.listen(0, "127.0.0.1", resolve));
    return balancer;
  }

  get port() {
    return this.#server.address().port;
  }

  #pass(client, [port, ...others]) {
    if (port === undefined) return client.destroy();
    const node = connect(port, "127.0.0.1");
    node.once("connect", () => this.#join(client, node));
    node.once("error", () => {
      if (!this.#sockets.has(node)) this.#pass(client, others);
    });
  }

  /** Whichever ends takes the other with it. */
  #join(client, node) {
    for (const [one, other] of [
      [client, node],
      [node, client],
    ]) {
      this.#sockets.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  }

  close() {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
