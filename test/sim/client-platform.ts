import { notificationFrame, type RpcRequest, toAnswer } from "#src/contract/protocol.ts";
import { pingText, pongText } from "#src/contract/sockets.ts";
import type { Fetch, FetchResponse, Platform, Socket, SocketEvents } from "#src/coordinator-client/edge/platform.ts";
import { seededRandom, SleepingClocks } from "#harness/clock/fake-time.ts";
import type { Client } from "./client/client.ts";
import { answerOf, readRequest, type Served, servedAs } from "#harness/edge/fake-edge.ts";
import type { Connection, Watched } from "./host/front.ts";
import type { Sim } from "./sim.ts";

export class Machine extends SleepingClocks {
  readonly name: string;
  boot = 1;

  constructor(sim: Sim, name: string, rate: number) {
    super(sim, rate);
    this.name = name;
  }
}

export function platformOf(client: Client): Platform {
  return {
    clock: client.identity.machine.clock,
    setTimer: (work, ms) => setTimer(client, work, ms),
    random: seededRandom(client.world.sim.rng.below(2 ** 31)),
    fetch: fetchOf(client),
    openSocket: (_url, _headers, events) => {
      if (!client.identity.hasSockets) return blockedSocket(client, events);
      const socket = new SimSocket(client, events);
      client.socket = socket;
      return socket;
    },
  };
}

/** Runs by the machine's monotonic clock, which stands still in a suspend. A process that does not run gets its timer late. */
function setTimer(client: Client, work: () => void, ms: number): () => void {
  const { clock, rate } = client.identity.machine;
  const due = clock.monotonic() + ms;
  let isOver = false;
  const fire = (): boolean | void => {
    if (isOver) return false;
    const leftMs = due - clock.monotonic();
    if (leftMs > 0) return wait(leftMs);
    isOver = true;
    work();
  };
  const wait = (leftMs: number): void => {
    // Timers of Node, too, never fire within the same millisecond.
    const trueMs = Math.max(1, Math.ceil(leftMs / rate));
    client.world.sim.later(trueMs, "timer", () => (isOver ? false : client.deliver(fire)));
  };
  wait(ms);
  return () => {
    isOver = true;
  };
}

function fetchOf(client: Client): Fetch {
  const { front, network } = client.world;
  return (url, { method, body, signal }) =>
    new Promise<FetchResponse>((resolve, reject) => {
      const abort = (): void => reject(new DOMException("aborted", "AbortError"));
      if (signal.aborted) return abort();
      signal.addEventListener("abort", abort);
      const request = readRequest(method, url.replace(/^.*\/workspaces\/\w+/, ""), body ?? "{}");
      if (!request) throw new Error(`no operation is at ${method} ${url}`);
      const { name, input } = request;
      const withheld = client.leasing.withhold(name, input);
      if (withheld) return client.later(0, "not sent", () => resolve(answerOf(servedAs(withheld))));
      network.send<Served>(client, {
        serve: () => front.http(name, input, client.actor),
        onReply: (reply) => resolve(answerOf(reply)),
        onReset: () => reject(new TypeError("fetch failed")),
      });
    });
}

function blockedSocket(client: Client, events: SocketEvents): Socket {
  client.later(1, "no socket opens", () => events.onClose(1006, "no socket was opened"));
  return { send: () => undefined, close: () => undefined };
}

/** Part of the HTTP loss that hits sockets: a socket that loses something is dead from then on. */
const lossPart = 0.15;

/** A WebSocket with both of its ends. It keeps its order until it is dead; then nothing arrives, and neither end is notified. */
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
    if (text !== pingText) return this.#request(text);
    this.#pass("up", "ping", () => {
      if (this.#client.world.host.connections.ping(this)) this.#downText("pong", pongText);
    });
  }

  close(): void {
    if (this.#isClosedHere) return;
    this.#isClosedHere = true;
    this.#pass("up", "socket closed", () => this.#client.world.host.closed(this));
  }

  notify(method: string, params: object): void {
    this.#downText("hint", notificationFrame(method, params));
  }

  onClosed(code: number): void {
    const noticeMs = this.#client.world.sim.rng.between(5, 2_000);
    this.#down("notices a closed socket", () => this.#events.onClose(code, ""), noticeMs);
  }

  /** The network ends the connection; both ends notice later. */
  breakOff(): void {
    this.#isDead = true;
    const { sim } = this.#client.world;
    sim.later(sim.rng.between(5, 500), "notices a closed socket", () =>
      this.#client.deliver(() => this.#events.onClose(1006, "")),
    );
    this.endsAtHost();
  }

  endsAtHost(): void {
    const { sim, host } = this.#client.world;
    sim.later(sim.rng.between(5, 500), "socket closed", () => host.closed(this));
  }

  #request(text: string): void {
    const { front } = this.#client.world;
    const frame = JSON.parse(text) as RpcRequest;
    const withheld = this.#client.leasing.withhold(frame.method, frame.params);
    if (withheld) {
      const answer = JSON.stringify(toAnswer(frame.id, withheld));
      return this.#client.later(0, "not sent", () => this.#events.onText(answer));
    }
    const arrived = (): void => {
      if (!this.isOpen) return;
      const answer = front.frame(frame, this.#client.actor, this);
      if (answer !== null) this.#downText("reply", answer);
      if (frame.method === "state.watch") front.follow(this);
    };
    this.#pass("up", "request", arrived);
  }

  #downText(label: string, text: string): void {
    this.#down(label, () => this.#events.onText(text));
  }

  #down(label: string, work: () => void, delayMs?: number): void {
    this.#pass("down", label, () => this.#client.deliver(work), delayMs);
  }

  /** Delivers after everything that was sent before in the same direction. */
  #pass(
    direction: "up" | "down",
    label: string,
    work: () => boolean | void,
    delayMs = this.#client.world.network.delay(),
  ): void {
    const { sim, network } = this.#client.world;
    if (this.#isDead) return;
    if (network.isLost(lossPart)) return this.#dies();
    const at = Math.max(this.#arrivedAt[direction], sim.now + delayMs);
    this.#arrivedAt[direction] = at;
    sim.later(at - sim.now, label, () => {
      if (this.#isDead) return false;
      return this.#client.isCut ? this.#dies() : work();
    });
  }

  #dies(): void {
    this.#isDead = true;
    this.#client.world.sim.count("socket went dead");
  }
}
