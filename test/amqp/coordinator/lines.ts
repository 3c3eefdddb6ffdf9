/**
 * The order of first arrival at each execution key, as a simple model: for as long as nothing has failed over.
 *
 * A place belongs to an id while its job is on a round. The key is the turn of whoever came first, of those who wait and
 * those who left for a round a moment ago; a grant to anybody else throws.
 */
import { AWAY_KEPT_MS, ROUND_MS } from "../../../src/amqp/coordinator/leases.ts";
import type { Request } from "../../../src/amqp/coordinator/requests.ts";
import type { Pending } from "./world.ts";

interface Place {
  readonly id: string;
  readonly arrival: number;
  /** Who waits or holds; nobody while it is on a round. */
  asker: string | undefined;
  token: number;
  /** Of one on a round. */
  leftAt: number;
}

class Key {
  waiting: Place[] = [];
  holder: Place | undefined;

  constructor(readonly key: string) {}

  of(id: string, asker: string): Place | undefined {
    return this.waiting.find((one) => one.id === id && one.asker === asker);
  }

  away(id: string): Place | undefined {
    return this.waiting.find((one) => one.id === id && one.asker === undefined);
  }

  drop(place: Place): void {
    this.waiting = this.waiting.filter((one) => one !== place);
  }

  /** Whose turn it is before one of this arrival. */
  before(arrival: number, now: number): Place | undefined {
    const turns = (one: Place) => one.asker !== undefined || now < one.leftAt + ROUND_MS;
    return this.waiting.find((one) => one.arrival < arrival && turns(one));
  }
}

export class Lines {
  readonly #keys = new Map<string, Key>();
  #arrivals = 0;

  stepped({ call, answers, notices }: Pending, now: number): void {
    for (const key of this.#keys.values())
      key.waiting = key.waiting.filter((one) => one.asker !== undefined || now < one.leftAt + AWAY_KEPT_MS);
    const [answer] = answers;
    if (call !== undefined && answer !== undefined)
      this.#asked(call.request, call.from.boot, "granted" in answer ? answer.granted : undefined, now);
    for (const notice of notices) {
      if (notice.t !== "granted") continue;
      const key = this.#key(notice.executionKey);
      const place = key.of(notice.id, notice.to.boot);
      this.#grants(key, place ?? this.#place(notice.id, notice.to.boot, notice.token), now);
    }
  }

  #asked(request: Request, asker: string, granted: boolean | undefined, now: number): void {
    if (!("executionKey" in request) || request.executionKey === undefined) return;
    const { id, token = Number.POSITIVE_INFINITY } = request;
    const key = this.#key(request.executionKey);
    const known = key.of(id, asker);
    if (request.t === "begin" && granted !== undefined)
      return this.#begins(key, id, asker, token, granted, now);
    if (request.t === "end" && request.round === true) return this.#leaves(key, id, asker, token, now);
    if (known !== undefined && token >= known.token) key.drop(known);
    const { holder } = key;
    if (holder?.id === id && holder.asker === asker && token >= holder.token) key.holder = undefined;
    const away = key.away(id);
    if (request.t === "end" && request.ended && away !== undefined) key.drop(away);
  }

  #begins(key: Key, id: string, asker: string, token: number, granted: boolean, now: number): void {
    const { holder } = key;
    if (granted && holder?.id === id && holder.asker === asker) {
      holder.token = Math.max(token, holder.token);
      return;
    }
    const place = key.of(id, asker) ?? key.away(id) ?? this.#place(id, asker, token);
    place.asker = asker;
    place.token = token;
    if (!key.waiting.includes(place)) key.waiting.push(place);
    if (granted) this.#grants(key, place, now);
  }

  #leaves(key: Key, id: string, asker: string, token: number, now: number): void {
    const { holder } = key;
    const isHolder = holder?.id === id && holder.asker === asker;
    const place = isHolder ? holder : key.of(id, asker);
    if (place === undefined || token < place.token) return;
    const before = key.away(id);
    if (before !== undefined) key.drop(before);
    if (isHolder) {
      key.holder = undefined;
      key.waiting.push(place);
    }
    place.asker = undefined;
    place.leftAt = now;
  }

  #grants(key: Key, place: Place, now: number): void {
    const first = key.before(place.arrival, now);
    if (first !== undefined)
      throw new Error(
        `${place.id} of ${place.asker} is granted ${key.key}, and it is the turn of ${first.id}`,
      );
    key.drop(place);
    key.holder = place;
  }

  #place(id: string, asker: string, token: number): Place {
    return { id, arrival: ++this.#arrivals, asker, token, leftAt: 0 };
  }

  #key(name: string): Key {
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const key = new Key(name);
    this.#keys.set(name, key);
    return key;
  }
}
