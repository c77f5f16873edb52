import type { Fetch, FetchResponse, Platform, Socket, SocketEvents } from "#src/coordinator-client/edge/platform.ts";
import type { Clock } from "#src/coordinator-client/edge/trust.ts";
import type { Client } from "./client/client.ts";
import { httpReply, type HttpReply, nameAt } from "./host/front.ts";
import { notificationFrame, type RpcRequest, toAnswer } from "#src/contract/frames.ts";
import { Rng } from "./rng.ts";
import { pingText, pongText } from "#src/contract/protocol.ts";
import type { Connection, Watched } from "./host/connections.ts";

/** All that the client that is shipped uses of the world, made of the simulation. */
export function platformOf(client: Client, clock: Clock): Platform {
  const rng = new Rng(client.around.sim.rng.next());
  return {
    clock,
    setTimer: (work, ms) => setTimer(client, work, ms),
    random: () => rng.next() / 2 ** 32,
    fetch: fetchOf(client),
    openSocket: (_url, _headers, events) => {
      if (!client.identity.hasSockets) return blockedSocket(client, events);
      const socket = new SimSocket(client, events);
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
      const instead = client.leasing.instead(name, input);
      if (instead) return client.later(0, "not sent", () => resolve(answerOf(httpReply(instead))));
      network.send<HttpReply>(client, {
        serve: () => front.http({ name, url, input }, client.actor),
        onReply: (reply) => resolve(answerOf(reply)),
        onReset: () => reject(new TypeError("fetch failed")),
      });
    });
}

function answerOf({ status, text }: HttpReply): FetchResponse {
  return { status, headers: { get: () => null }, text: () => Promise.resolve(text) };
}

function blockedSocket(client: Client, events: SocketEvents): Socket {
  client.later(1, "no socket opens", () => events.onClose(1006, "no socket was opened"));
  return { send: () => undefined, close: () => undefined };
}

/** Of the share of requests over HTTP that are lost: a socket on which something is lost is dead from then on. */
const lossPart = 0.15;

/** Ways in and out. */
type Way = "up" | "down";

/** A WebSocket with both of its ends. What goes over it keeps its order, until it is dead: then nothing comes through, and nobody is told. */
export class SimSocket implements Socket, Connection {
  chat = "";
  incarnation = 0;
  lastSeen = 0;
  isOpen = true;
  readonly watches = new Map<string, Watched>();
  readonly #client: Client;
  readonly #events: SocketEvents;
  readonly #arrivedAt = { up: 0, down: 0 };
  #isDead = false;
  #isClosedHere = false;

  constructor(client: Client, events: SocketEvents) {
    this.#client = client;
    this.#events = events;
    this.#pass("up", "socket opens", () => this.#down("socket is open", () => events.onOpen()));
  }

  send(text: string): void {
    if (this.#isClosedHere) return;
    if (text === pingText) this.#pass("up", "ping", () => this.#pinged());
    else this.#request(text);
  }

  close(): void {
    if (this.#isClosedHere) return;
    this.#isClosedHere = true;
    this.#pass("up", "socket closed", () => this.#client.around.host.closed(this));
  }

  notify(method: string, params: object): void {
    this.#downText("hint", notificationFrame(method, params));
  }

  onClosed(code: number): void {
    this.#down("notices a closed socket", () => this.#events.onClose(code, ""), this.#between(5, 2_000));
  }

  /** The network ends it; both ends notice at some time. */
  breakOff(): void {
    this.#isDead = true;
    const { sim } = this.#client.around;
    sim.later(this.#between(5, 500), "notices a closed socket", () =>
      this.#client.deliver(() => this.#events.onClose(1006, "")),
    );
    this.endsAtHost();
  }

  /** The host sees it close. */
  endsAtHost(): void {
    const { sim, host } = this.#client.around;
    sim.later(this.#between(5, 500), "socket closed", () => host.closed(this));
  }

  #request(text: string): void {
    const { front, network } = this.#client.around;
    const frame = JSON.parse(text) as RpcRequest;
    const instead = this.#client.leasing.instead(frame.method, frame.params);
    if (instead) {
      const answer = JSON.stringify(toAnswer(frame.id, instead));
      return this.#client.later(0, "not sent", () => this.#events.onText(answer));
    }
    const plan = network.takePlan();
    if (plan.isLost) this.#isDead = true;
    const arrived = (): void => {
      if (!this.isOpen) return;
      const answer = front.frame(frame, this.#client.actor, this);
      if (plan.isReplyLost) this.#isDead = true;
      if (answer !== null) this.#downText("reply", answer);
      if (frame.method === "state.watch") front.follow(this);
    };
    this.#pass("up", "request", arrived, plan.delayMs);
  }

  #pinged(): void {
    if (this.#client.around.host.connections.ping(this)) this.#downText("pong", pongText);
  }

  #downText(label: string, text: string): void {
    this.#down(label, () => this.#events.onText(text));
  }

  #down(label: string, work: () => void, delayMs?: number): void {
    this.#pass("down", label, () => this.#client.deliver(work), delayMs);
  }

  /** Behind what goes before it. */
  #pass(way: Way, label: string, work: () => boolean | void, delayMs = this.#client.around.network.delay()): void {
    const { sim, network } = this.#client.around;
    if (this.#isDead) return;
    if (network.isLost(lossPart)) return this.#dies();
    const at = Math.max(this.#arrivedAt[way], sim.now + delayMs);
    this.#arrivedAt[way] = at;
    sim.later(at - sim.now, label, () => {
      if (this.#isDead) return false;
      if (this.#client.isCut) return this.#dies();
      return work();
    });
  }

  #dies(): void {
    this.#isDead = true;
    this.#client.around.sim.count("socket went dead");
  }

  #between(from: number, to: number): number {
    return this.#client.around.sim.rng.between(from, to);
  }
}
