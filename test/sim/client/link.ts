import type { RegisterChat } from "../../../src/contract/chats.ts";
import type { Refusal } from "../../../src/contract/errors.ts";
import type { OutputOf } from "../../../src/contract/operations.ts";
import type { Connection } from "../host/connections.ts";
import type { Client } from "./client.ts";

const pingMs = 10_000;
/** Pings without an answer, before the socket counts as broken. */
const mostUnanswered = 2;
/** In a row: another process works as this chat, and goes on. */
const mostRefusals = 12;

/** How a process is known to the host: its registration, its socket, its pings or heartbeats. */
export class Link {
  isRegistered = false;
  readonly #client: Client;
  #connection: Connection | null = null;
  #isConnecting = false;
  /** Another number after each registration. */
  life = 0;
  #unanswered = 0;
  #refusals = 0;
  /** Timers of an older registration do nothing. */
  #turn = 0;

  constructor(client: Client) {
    this.#client = client;
  }

  get isConnected(): boolean {
    return this.#connection !== null;
  }

  /** Registers, over a new socket where it uses one; as often as it takes. */
  start(): void {
    if (this.#isConnecting || !this.#client.isAlive || this.#client.isLeaving) return;
    this.#isConnecting = true;
    const { around, identity } = this.#client;
    const connection = identity.mode === "socket" ? this.#open() : null;
    let isOver = false;
    const finish = (work: () => void): void => {
      if (isOver) return;
      isOver = true;
      this.#isConnecting = false;
      work();
    };
    around.network.send(
      this.#client,
      {
        name: "chats.register",
        input: this.input(),
        actor: { machine: identity.machine.name, isAdmin: false },
        ...(connection ? { connection } : {}),
      },
      (reply) =>
        finish(() =>
          reply.ok
            ? this.#registered(reply.value as OutputOf<"chats.register">, connection)
            : this.#refused(reply.error, connection),
        ),
      () => finish(() => this.#failed(connection)),
    );
  }

  input(): RegisterChat {
    const { chat, process, machine, isInteractive, skills } = this.#client.identity;
    return {
      chat,
      session: `s-${chat}`,
      process,
      machine: machine.name,
      client: "sim",
      role: "worker",
      isInteractive,
      capabilities: [...skills.capabilities],
      capacity: skills.capacity,
      ...(skills.taskTypes ? { taskTypes: [...skills.taskTypes] } : {}),
      metadata: {},
    };
  }

  /** Over HTTP, beside the socket that it may have: to tell what it is now. */
  registerBeside(): void {
    this.#client.call(
      "chats.register",
      this.input(),
      (reply) => {
        if (reply?.ok && reply.value.incarnation === this.#client.incarnation && this.isRegistered) {
          this.life += 1;
          this.#client.leasing.registered();
        }
      },
      { tries: 2 },
    );
  }

  /** The host does not count it among the living any more. */
  again(): void {
    if (!this.isRegistered) return;
    this.isRegistered = false;
    this.#drop();
    this.#client.later(this.#client.around.sim.rng.between(10, 500), "registers again", () => this.start());
  }

  /** The socket goes. @returns what the host may see close */
  cut(): Connection | null {
    const connection = this.#connection;
    this.#connection = null;
    this.isRegistered = false;
    this.#turn += 1;
    return connection;
  }

  /** The network closes the socket; both ends notice at some time. */
  breakOff(): void {
    this.#drop();
    this.isRegistered = false;
    this.#reconnect();
  }

  #open(): Connection {
    const connection: Connection = {
      chat: this.#client.identity.chat,
      incarnation: 0,
      lastSeen: 0,
      isOpen: true,
      onClosed: () =>
        this.#client.later(this.#client.around.sim.rng.between(5, 2_000), "notices a closed socket", () =>
          this.#lost(connection),
        ),
    };
    return connection;
  }

  #registered({ incarnation }: OutputOf<"chats.register">, connection: Connection | null): void {
    const client = this.#client;
    if (client.incarnation !== 0 && client.incarnation !== incarnation) {
      client.leasing.dropAll();
      client.working.dropAll();
    }
    client.incarnation = incarnation;
    this.isRegistered = true;
    this.#connection = connection;
    this.#unanswered = 0;
    this.#refusals = 0;
    this.#turn += 1;
    this.life += 1;
    const turn = this.#turn;
    client.leasing.registered();
    client.working.registered();
    this.#beatLater(turn);
  }

  #refused({ retryAfterMs }: Refusal, connection: Connection | null): void {
    if (connection) this.#close(connection);
    if ((this.#refusals += 1) > mostRefusals) return this.#client.end();
    this.#client.later(Math.min(retryAfterMs ?? 5_000, 10_000), "registers again", () => this.start());
  }

  #failed(connection: Connection | null): void {
    if (connection) this.#close(connection);
    this.#reconnect();
  }

  #reconnect(): void {
    this.#client.later(this.#client.around.sim.rng.between(100, 3_000), "registers again", () => this.start());
  }

  #lost(connection: Connection): void {
    if (this.#connection !== connection) return;
    this.#connection = null;
    this.isRegistered = false;
    this.#turn += 1;
    this.#reconnect();
  }

  #drop(): void {
    const connection = this.cut();
    if (connection) this.#close(connection);
  }

  #close(connection: Connection): void {
    const { sim, host, network } = this.#client.around;
    sim.later(network.delay(), "socket closed", () => host.closed(connection));
  }

  #beatLater(turn: number): void {
    this.#client.later(pingMs - this.#client.around.sim.rng.below(500), "beat", () => {
      if (turn !== this.#turn) return;
      if (this.#connection) this.#ping(this.#connection);
      else this.#heartbeat();
      this.#beatLater(turn);
    });
  }

  #ping(connection: Connection): void {
    const { sim, host, network, quirks } = this.#client.around;
    if (this.#unanswered >= mostUnanswered) return this.breakOff();
    this.#unanswered += 1;
    const sent = this.#client.stamp();
    if (network.isLost()) return;
    sim.later(network.delay(), "ping", () => {
      if (this.#client.isCut || !host.connections.ping(connection) || network.isLost()) return;
      sim.later(network.delay(), "pong", () => {
        if (this.#client.isCut) return false;
        return this.#client.deliver(() => {
          if (this.#connection !== connection) return;
          this.#unanswered = 0;
          this.#client.leasing.heard(quirks.trustsFrom === "request" ? sent : this.#client.stamp());
        });
      });
    });
  }

  /** Nothing is believed by it: its answer promises less than a ping. */
  #heartbeat(): void {
    this.#client.call("chats.heartbeat", { self: this.#client.self }, () => undefined, { tries: 1 });
  }
}
