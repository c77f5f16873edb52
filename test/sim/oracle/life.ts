import { commonErrors, type Operation } from "#src/contract/operation.ts";
import { operations } from "#src/contract/operations.ts";
import type { Settings } from "#src/contract/workspaces.ts";
import type { Commit, Request } from "../host/sim-host.ts";
import type { Sim } from "../sim.ts";
import { keepMap, type PutBack } from "./keep.ts";

interface Signs {
  /** The last sign of life that counts: over the connection, or by a request where it has none. */
  heardAt: number;
  /** The last request, which may count while the connection is silent. */
  actedAt: number;
  /** The earliest end of a chat whose socket was lost; null: it has its socket, or acted since. */
  graceUntil: number | null;
  isInteractive: boolean;
}

/** The longest ttl that the simulation sets. */
const longestTtlMs = 40_000;

/** The last signs of life of each chat: none may count as gone too early. */
export class Life {
  readonly #sim: Sim;
  readonly #settings: () => Settings;
  readonly #isConnected: (chat: string) => boolean;
  readonly #signs = new Map<string, Signs>();

  constructor(sim: Sim, settings: () => Settings, isConnected: (chat: string) => boolean) {
    this.#sim = sim;
    this.#settings = settings;
    this.#isConnected = isConnected;
  }

  keep(): PutBack {
    return keepMap(this.#signs, (signs) => ({ ...signs }));
  }

  heard(chat: string): void {
    const signs = this.#signs.get(chat);
    if (signs) signs.heardAt = this.#sim.hostNow;
  }

  /** The host knows that the socket was closed, or went with a deploy. */
  lost(chat: string, isDeploy: boolean): void {
    const signs = this.#signs.get(chat);
    if (!signs) return;
    const { workerGraceMs, interactiveGraceMs, lostSocketGraceMs } = this.#settings();
    const graceMs = signs.isInteractive ? interactiveGraceMs : workerGraceMs;
    signs.graceUntil = this.#sim.hostNow + (isDeploy ? lostSocketGraceMs : graceMs);
  }

  /** The last instant at which a chat may still hold what it held until now. */
  lastOf(chat: string, ttlMs: number): number {
    const { chatTtlMs, interactiveGraceMs, lostSocketGraceMs } = this.#settings();
    const { heardAt = 0, actedAt = 0, graceUntil = 0 } = this.#signs.get(chat) ?? {};
    const silentUntil = Math.max(heardAt, actedAt) + Math.max(chatTtlMs, interactiveGraceMs, lostSocketGraceMs);
    // After a restore a grace begins long after the last known sign.
    return Math.max(silentUntil, graceUntil ?? 0) + ttlMs;
  }

  committed({ request, result, facts }: Commit): void {
    for (const fact of facts) {
      if (fact.kind === "forgotten") this.#signs.delete(fact.chat);
      if (fact.kind === "offline") this.#gone(fact.chat, fact.reason);
    }
    if (!request) return;
    if (!result.ok) return this.#refused(request, result.error.code);
    const input = request.input as { self?: { chat: string }; chat?: string; isInteractive?: boolean };
    if (input.self) this.#acted(input.self.chat);
    if (request.name !== "chats.register" || input.chat === undefined) return;
    const { hostNow: now } = this.#sim;
    const isInteractive = input.isInteractive === true;
    this.#signs.set(input.chat, { heardAt: now, actedAt: now, graceUntil: null, isInteractive });
  }

  #acted(chat: string): void {
    const signs = this.#signs.get(chat);
    if (!signs) return;
    signs.actedAt = this.#sim.hostNow;
    if (this.#isConnected(chat)) return;
    signs.heardAt = this.#sim.hostNow;
    signs.graceUntil = null;
  }

  #gone(chat: string, reason: string): void {
    this.#sim.count(`offline: ${reason}`);
    const signs = this.#signs.get(chat);
    if (!signs || reason === "left" || reason === "attested") return;
    const silentMs = this.#sim.hostNow - signs.heardAt;
    // Without a socket signs are stored a few times per ttl only, and the ttl may have been another one then.
    const isSilent = silentMs >= this.#settings().chatTtlMs - longestTtlMs / 3;
    const isOver = signs.graceUntil !== null && signs.graceUntil <= this.#sim.hostNow;
    if (!(reason === "closed" ? isOver : isSilent))
      this.#sim.fail("life", `${chat} is offline (${reason}) ${silentMs} ms after its last sign of life`);
  }

  /** The contract lists the errors of an operation. */
  #refused({ name }: Request, code: string): void {
    this.#sim.count(`refused: ${code}`);
    const { errors }: Operation = operations[name];
    const isListed = [...commonErrors, ...errors].some((one) => one === code);
    if (!isListed) this.#sim.fail("requests", `${name} answered ${code}, which its contract does not list`);
  }
}
