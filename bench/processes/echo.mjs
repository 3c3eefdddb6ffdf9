/**
 * The far end of a bare call, with amqplib alone: it takes a request from a durable queue, stores a record where that is
 * asked for, answers over a direct exchange, and acknowledges the request when the answer has left.
 *
 * A record is stored as the coordinator's is (`src/amqp/coordinator/tape.ts`, `term.ts`): published with a confirm to
 * a quorum queue whose single active consumer is this channel, and there when it is confirmed *and* has come back. As
 * there, records are held, not acknowledged: the coordinator lets go of them at the next snapshot, after 10,000.
 * All of it travels on one channel, as the coordinator's does. It serves one caller, one call at a time.
 */
import { connect } from "amqplib";
import { serve } from "./serve.mjs";

const { url, calls, journal, answers, caller, recordBytes, answerBytes } = JSON.parse(process.argv[2]);
const JOURNAL_PREFETCH = 60_000;
const CALLS_PREFETCH = 1_000;

const connection = await connect(url, { noDelay: true });
const channel = await connection.createConfirmChannel();
await channel.assertExchange(answers, "direct", { durable: true });
await channel.assertQueue(calls, { durable: true, arguments: { "x-queue-type": "classic" } });
await channel.assertQueue(journal, {
  durable: true,
  arguments: { "x-queue-type": "quorum", "x-single-active-consumer": true },
});

/** A record that is on its way. */
let isBack = () => {};
await channel.prefetch(JOURNAL_PREFETCH);
await channel.consume(journal, () => isBack());

function stored() {
  const back = new Promise((resolve) => {
    isBack = resolve;
  });
  const confirmed = new Promise((resolve, reject) => {
    channel.publish("", journal, Buffer.alloc(recordBytes), { persistent: true }, (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  return Promise.all([back, confirmed]);
}

await channel.prefetch(CALLS_PREFETCH);
await channel.consume(calls, async (message) => {
  if (message === null) throw new Error("the broker has taken the queue of calls away");
  if (message.properties.type === "store") await stored();
  const { messageId } = message.properties;
  channel.publish(answers, caller, Buffer.alloc(answerBytes), { messageId });
  channel.ack(message);
});

serve({ stop: () => connection.close() });
