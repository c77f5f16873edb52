import type { Fetch, FetchResponse, Platform } from "#src/coordinator-client/edge/platform.ts";
import type { Clock } from "#src/coordinator-client/edge/trust.ts";
import type { Client } from "./client/client.ts";
import { httpReply, nameAt, type HttpReply } from "./host/front.ts";
import { Rng } from "./rng.ts";
import { SimSocket } from "./sim-socket.ts";

/** All that the client that is shipped uses of the world, made of the simulation. */
export function outsideOf(client: Client, clock: Clock): Platform {
  const rng = new Rng(client.around.sim.rng.next());
  return {
    clock,
    setTimer: (work, ms) => setTimer(client, work, ms),
    random: () => rng.next() / 2 ** 32,
    fetch: fetchOf(client),
    openSocket: (url, _headers, events) => {
      const socket = new SimSocket(client, new URL(url).searchParams.get("chat") ?? "", events);
      client.socket = socket;
      return socket;
    },
  };
}

/** By the monotonic clock of the machine, which stands still while it sleeps. Of a process that does not run it is late. */
function setTimer(client: Client, work: () => void, ms: number): () => void {
  const { machine } = client.identity;
  const { sim } = client.around;
  const due = machine.monotonic() + ms;
  let isOver = false;
  const wait = (leftMs: number): void => {
    // As Node's timers: not within the same millisecond.
    sim.later(Math.max(1, Math.ceil(machine.trueMs(leftMs))), "timer", () => (isOver ? false : client.deliver(fire)));
  };
  const fire = (): boolean | void => {
    if (isOver) return false;
    const leftMs = due - machine.monotonic();
    if (leftMs > 0) return wait(leftMs);
    isOver = true;
    work();
  };
  wait(ms);
  return () => {
    isOver = true;
  };
}

function fetchOf(client: Client): Fetch {
  const { front, network } = client.around;
  return (url, { method, body, signal }) =>
    new Promise<FetchResponse>((resolve, reject) => {
      const abort = (): void => reject(new DOMException("aborted", "AbortError"));
      if (signal.aborted) return abort();
      signal.addEventListener("abort", abort);
      const name = nameAt(method, url);
      const input: unknown = body === undefined ? {} : JSON.parse(body);
      const instead = client.reading.instead(name, input);
      if (instead) return client.later(0, "not sent", () => resolve(answerOf(httpReply(instead))));
      const read = client.reading.sent(name, input as object);
      network.send<HttpReply>(client, {
        serve: () => front.http({ name, url, input }, client.actor),
        onReply: ({ status, text }) => resolve(answerOf({ status, text: read ? read(text) : text })),
        onReset: () => reject(new TypeError("fetch failed")),
      });
    });
}

function answerOf({ status, text }: HttpReply): FetchResponse {
  return { status, headers: { get: () => null }, text: () => Promise.resolve(text) };
}
