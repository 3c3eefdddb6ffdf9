/**
 * One peer of a Gloom daemon: length-prefixed JSON on a socket. This is all that a client needs.
 */
import { once } from "node:events";
import { connect } from "node:net";

/** Calls `heard` with each message; resolves with a function that sends one, and the socket. */
export async function peer(port, heard) {
  const socket = connect(port, "127.0.0.1");
  let bytes = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE(0)) {
      const end = 4 + bytes.readUInt32BE(0);
      const message = JSON.parse(bytes.subarray(4, end).toString("utf8"));
      bytes = bytes.subarray(end);
      heard(message);
    }
  });
  await once(socket, "connect");
  const say = (message) => {
    const body = Buffer.from(JSON.stringify(message));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(body.length);
    socket.write(Buffer.concat([length, body]));
  };
  return { say, socket };
}
