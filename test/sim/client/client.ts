import type { Refusal } from "../../../src/contract/errors.ts";
import type { CheckedInputOf, OutputOf } from "../../../src/contract/operations.ts";
import type { EngineOperation } from "../../../src/coordination/engine.ts";
import type { Result } from "../../../src/shared/result.ts";
import type { Connection } from "../host/connections.ts";
import type { SimHost } from "../host/sim-host.ts";
import {
  elapsedMs,
  jumpedMs,
  readClock,
  trustedForMs,
  type Instant,
  type Trust,
} from "../../../src/coordinator-client/edge/trust.ts";
import type { Grips } from "../grips.ts";
import type { Machine } from "../machine.ts";
import type { Endpoint, Network } from "../network.ts";
import type { Jobs } from "../jobs.ts";
import type { Sim } from "../sim.ts";
import type { Believer, TrustBook } from "../trust.ts";
import { Inbox } from "./inbox.ts";
import { Leasing } from "./leasing.ts";
import { Link } from "./link.ts";
import type { ClientQuirks } from "./quirks.ts";
import type { Skills } from "./skills.ts";
import { Watch } from "./watch.ts";
import { Working } from "./working.ts";

/** All that a process of the simulation stands on. */
export interface Surroundings {
  readonly sim: Sim;
  readonly host: SimHost;
  readonly network: Network;
  readonly trust: TrustBook;
  readonly grips: Grips;
  readonly jobs: Jobs;
  readonly quirks: ClientQuirks;
  readonly habits: Habits;
  /** It has ended by itself: left, or replaced by another process. */
  readonly onEnd: (client: Client) => void;
}

/** Change from day to day. */
export interface Habits {
  /** Share of the renewals after which no other follows. */
  forgets: number;
  /** Share of the leases that are bound to their chat's life. */
  bound: number;
  /** Share of the steps of work after which a task is forgotten. */
  neglects: number;
  /** Whatever is taken is done at once. */
  isNight: boolean;
}

export interface Identity {
  readonly chat: string;
  readonly machine: Machine;
  /** Boot, pid and start time in one. */
  readonly process: string;
  readonly isInteractive: boolean;
  /** How it tells that it lives. */
  readonly mode: "socket" | "http";
  readonly skills: Skills;
}

export type Answer<Name extends EngineOperation> = Result<OutputOf<Name>, Refusal>;
type Done<Name extends EngineOperation> = (reply: Answer<Name> | null, sent: Instant) => void;

/** One process that works as a chat: its clocks, its requests, whether it runs. What it does stands beside it. */
export class Client implements Believer, Endpoint {
  readonly identity: Identity;
  readonly around: Surroundings;
  readonly link: Link;
  readonly leasing: Leasing;
  readonly watch: Watch;
  readonly inbox: Inbox;
  readonly working: Working;
  isAlive = true;
  isPaused = false;
  isCut = false;
  /** It has said that it leaves, and begins nothing more. */
  isLeaving = false;
  incarnation = 0;
  #seen: Instant;
  #requests = 0;
  #backlog: (() => void)[] = [];

  constructor(identity: Identity, around: Surroundings, before: Watch | null) {
    this.identity = identity;
    this.around = around;
    this.#seen = readClock(identity.machine);
    this.link = new Link(this);
    this.leasing = new Leasing(this);
    this.watch = new Watch(this, before);
    this.inbox = new Inbox(this);
    this.working = new Working(this);
  }

  get name(): string {
    return `${this.identity.chat}/${this.identity.process}`;
  }

  get self(): { chat: string; incarnation: number } {
    return { chat: this.identity.chat, incarnation: this.incarnation };
  }

  get isRunning(): boolean {
    return this.isAlive && !this.isPaused && !this.identity.machine.isSuspended;
  }

  deliver(work: () => void): boolean | void {
    if (!this.isAlive) return false;
    if (this.isRunning) work();
    else this.#backlog.push(work);
  }

  /** Unlike a message, a timer of a process that does not run is late. */
  later(ms: number, label: string, work: () => void): void {
    this.around.sim.later(ms, label, () => this.deliver(work));
  }

  /** Goes on after a pause or a suspend: first of all it looks at its clocks. */
  goOn(): void {
    this.lookAtClocks();
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const work of backlog) this.deliver(work);
  }

  /** The process is gone. Whether the host sees its socket close is another matter. */
  die(): Connection | null {
    this.isAlive = false;
    this.#backlog = [];
    this.leasing.dropAll();
    this.working.dropAll();
    return this.link.cut();
  }

  /** It stops by itself. */
  end(): void {
    const connection = this.die();
    if (connection)
      this.around.sim.later(this.around.network.delay(), "socket closed", () => this.around.host.closed(connection));
    this.around.onEnd(this);
  }

  stamp(): Instant {
    return readClock(this.identity.machine);
  }

  /** By the rules of the client that is shipped, unless one of them is broken on purpose. */
  trustedForMs(proof: Trust): number {
    const now = this.stamp();
    const { clocks, ignoresJumps } = this.around.quirks;
    if (clocks === "both" && !ignoresJumps) return trustedForMs(proof, now);
    const { monotonic, wall } = proof.from;
    const ages = { both: elapsedMs(proof.from, now), monotonic: now.monotonic - monotonic, wall: now.wall - wall };
    return Math.max(0, proof.forMs - ages[clocks]);
  }

  /** After a jump nothing that was known before is trusted: it asks again. */
  lookAtClocks(): void {
    if (!this.isRunning) return;
    const now = this.stamp();
    const byMs = jumpedMs(this.#seen, now);
    this.#seen = now;
    if (byMs === 0 || this.around.quirks.ignoresJumps) return;
    this.around.sim.count("clocks jumped");
    this.leasing.askAgain();
  }

  newRequestId(): string {
    return `${this.identity.process}:${(this.#requests += 1)}`;
  }

  /**
   * Asks, and asks the same again where no reply comes.
   *
   * @param done null: no reply after so many tries
   * @param late another reply to the same request: a copy of it was answered, too
   */
  call<Name extends EngineOperation>(
    name: Name,
    input: CheckedInputOf<Name>,
    done: Done<Name>,
    { tries = Infinity, late }: { tries?: number; late?: Done<Name> } = {},
  ): void {
    const { network } = this.around;
    const actor = { machine: this.identity.machine.name, isAdmin: false };
    let left = tries;
    let isDone = false;
    const attempt = (): void => {
      left -= 1;
      const sent = this.stamp();
      network.send(
        this,
        { name, input, actor },
        (reply) => {
          const when = this.around.quirks.trustsFrom === "request" ? sent : this.stamp();
          if (isDone) return late?.(reply as Answer<Name>, when);
          isDone = true;
          done(this.#looked(reply as Answer<Name>), when);
        },
        () => {
          if (isDone) return;
          if (left > 0) return attempt();
          isDone = true;
          done(null, sent);
        },
      );
    };
    attempt();
  }

  /** What every refusal may say of the chat itself. */
  #looked<Name extends EngineOperation>(reply: Answer<Name>): Answer<Name> {
    if (reply.ok) return reply;
    const { code } = reply.error;
    if (code === "chat_offline" || code === "unknown_chat") this.link.again();
    if (code === "chat_replaced" && this.link.isRegistered) this.end();
    return reply;
  }
}
