/**
 * A connection that goes in the worst moment: it is noticed, told once, and made again.
 */
import { afterEach, beforeEach, expect, test } from "vitest";
import { Addresses } from "../../src/amqp/address.ts";
import { Link } from "../../src/amqp/link.ts";
import { checkRabbit } from "../../src/amqp/options.ts";
import { closed } from "../../src/amqp/patience.ts";
import { VirtualClock } from "../../src/testing/index.ts";
import { ScriptedBroker } from "./support/scripted-broker.ts";

let clock: VirtualClock;
let told: string[];
let waiting: { readonly what: string; readonly resolve: () => void }[];
let link: Link | undefined;

beforeEach(() => {
  clock = new VirtualClock();
  told = [];
  waiting = [];
});
afterEach(async () => {
  const closed = link?.close();
  await clock.advance(2_000); // nobody may be there to answer
  await closed;
});

function tell(what: string): void {
  told.push(what);
  for (const one of waiting.splice(0)) {
    if (one.what === what) one.resolve();
    else waiting.push(one);
  }
}

/** Resolves when that is told the next time. */
const next = (what: string) => new Promise<void>((resolve) => waiting.push({ what, resolve }));

function linkTo(broker: ScriptedBroker): Link {
  const settings = checkRabbit({ url: broker.url });
  const listener = {
    up: () => tell("up"),
    down: () => tell("down"),
    notYet: () => tell("not yet"),
    blocked: () => tell("blocked"),
    unblocked: () => tell("unblocked"),
  };
  link = new Link({ settings, clock, name: "test", listener, addresses: new Addresses(clock) });
  return link;
}

/** Past the longest backoff. */
const again = () => clock.advance(2_000);

test("a first connection that is closed as it is opened is refused in words", async () => {
  await using broker = await ScriptedBroker.start({ closesAtOpen: true });
  await expect(linkTo(broker).open()).rejects.toThrow(/closed it as it was opened/);
});

test("a later connection that is closed as it is opened is no connection, and is tried again", async () => {
  await using broker = await ScriptedBroker.start({}, { closesAtOpen: true });
  const made = linkTo(broker);
  await made.open();
  const down = next("down");
  broker.cut();
  await down;
  const notYet = next("not yet");
  await again();
  await notYet;
  expect(made.isUp).toBe(false);
  const up = next("up");
  await again();
  await up;
  expect(made.isUp).toBe(true);
  expect(told).toEqual(["up", "down", "not yet", "up"]);
  expect(broker.opened).toBe(3);
});

test("a channel whose connection is closed as it is opened is not handed out", async () => {
  await using broker = await ScriptedBroker.start({ channel: "closes the connection with it" });
  const made = linkTo(broker);
  await made.open();
  await expect(made.channel()).rejects.toThrow(/connection is not there/);
  expect(told).toEqual(["up", "down"]);
  const up = next("up");
  await again();
  await up;
  await expect(made.channel()).resolves.toBeDefined();
});

test("a broker that does not answer has lost us after a minute, with all that hung on the connection", async () => {
  await using broker = await ScriptedBroker.start({ channel: "says nothing" });
  const made = linkTo(broker);
  await made.open();
  const refused = expect(made.channel()).rejects.toThrow(/not answered within 60 s/);
  await clock.advance(59_000);
  expect(told).toEqual(["up"]);
  const down = next("down");
  await clock.advance(1_000);
  await refused;
  await down;
  const up = next("up");
  await again();
  await up;
  await expect(made.channel()).resolves.toBeDefined();
});

test("a channel's close that is not answered ends with its connection", async () => {
  await using broker = await ScriptedBroker.start();
  const made = linkTo(broker);
  await made.open();
  const channel = await made.channel();
  let isClosed = false;
  const closing = closed(channel).then(() => {
    isClosed = true;
  });
  const down = next("down");
  expect(isClosed).toBe(false);
  broker.cut();
  await down;
  await closing;
  await closed(channel); // once more is no error
});
