import { commonErrors, type Operation } from "#src/contract/operation.ts";
import { operations } from "#src/contract/operations.ts";
import type { Settings } from "#src/contract/workspaces.ts";
import type { Commit, Request } from "../host/sim-host.ts";
import type { Sim } from "../sim.ts";
import { keepMap, type PutBack } from "./keep.ts";

interface Signs {
  /** When it was last heard in the way that counts: over its connection, or by what it does where it has none. */
  heardAt: number;
  /** When it last did anything: while its open connection is silent this may count, too. */
  actedAt: number;
  /** After its socket was lost: not before this it is gone. */
  graceUntil: number | null;
  isInteractive: boolean;
}

/** What the simulation sets at the most. */
const longestTtlMs = 40_000;

const answers = new Map<string, ReadonlySet<string>>();

/** When each chat gave its last sign of life, as the network saw it: nobody may be declared dead too early. */
export class Life {
  readonly #sim: Sim;
  readonly #settings: () => Settings;
  readonly #isConnected: (chat: string) => boolean;
  readonly #signs = new Map<string, Signs>();

  constructor(sim: Sim, settings: () => Settings, isConnected: (chat: string) => boolean) {
    this.#sim = sim;
    this.#isConnected = isConnected;
    this.#settings = settings;
  }

  keep(): PutBack {
    return keepMap(this.#signs, (signs) => ({ ...signs }));
  }

  heard(chat: string): void {
    const signs = this.#signs.get(chat);
    if (signs) signs.heardAt = this.#sim.hostNow;
  }

  /** An act ends a grace. */
  #acted(chat: string): void {
    const signs = this.#signs.get(chat);
    if (!signs) return;
    signs.actedAt = this.#sim.hostNow;
    if (this.#isConnected(chat)) return;
    this.heard(chat);
    signs.graceUntil = null;
  }

  /** Its socket was seen to close, or was lost with all others. */
  lost(chat: string, isDeploy: boolean): void {
    const signs = this.#signs.get(chat);
    if (!signs) return;
    const { workerGraceMs, interactiveGraceMs, lostSocketGraceMs } = this.#settings();
    const graceMs = signs.isInteractive ? interactiveGraceMs : workerGraceMs;
    signs.graceUntil = this.#sim.hostNow + (isDeploy ? lostSocketGraceMs : graceMs);
  }

  /** The last instant at which what a chat held until then may still be its own. */
  lastOf(chat: string, ttlMs: number): number {
    const { chatTtlMs, interactiveGraceMs, lostSocketGraceMs } = this.#settings();
    const { heardAt = 0, actedAt = 0, graceUntil = 0 } = this.#signs.get(chat) ?? {};
    const silentUntil = Math.max(heardAt, actedAt) + Math.max(chatTtlMs, interactiveGraceMs, lostSocketGraceMs);
    // After a restore a grace begins long after the last sign that is known.
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
    const isInteractive = input.isInteractive === true;
    const { hostNow: now } = this.#sim;
    this.#signs.set(input.chat, { heardAt: now, actedAt: now, graceUntil: null, isInteractive });
  }

  #gone(chat: string, reason: string): void {
    this.#sim.count(`offline: ${reason}`);
    const signs = this.#signs.get(chat);
    if (!signs || reason === "left" || reason === "attested") return;
    const silentMs = this.#sim.hostNow - signs.heardAt;
    // Without a socket signs are stored only a few times in each ttl, which may have been another one then.
    const isSilent = silentMs >= this.#settings().chatTtlMs - longestTtlMs / 3;
    const isOver = signs.graceUntil !== null && signs.graceUntil <= this.#sim.hostNow;
    if (!(reason === "closed" ? isOver : isSilent))
      this.#sim.fail("life", `${chat} is offline (${reason}) ${silentMs} ms after its last sign of life`);
  }

  /** The contract says what an operation may answer. */
  #refused({ name }: Request, code: string): void {
    this.#sim.count(`refused: ${code}`);
    let known = answers.get(name);
    if (!known) {
      const { errors }: Operation = operations[name];
      answers.set(name, (known = new Set<string>([...commonErrors, ...errors])));
    }
    if (!known.has(code)) this.#sim.fail("requests", `${name} answered ${code}, which the contract does not know`);
  }
}
