import { isTransient } from "../../contract/errors.ts";
import { leaderScheme, type Leader } from "../../contract/leases.ts";
import type { OutputOf } from "../../contract/operations.ts";
import { heartbeatIntervalMs } from "../../coordinator-client/edge/renewal.ts";
import { type Platform, newId } from "../../coordinator-client/edge/platform.ts";
import { elapsedMs, readClock, type Instant } from "../../coordinator-client/edge/trust.ts";
import { attempt } from "../../platform/log-file.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import { exceptStoreErrors } from "../../store/store-error.ts";
import { teamHoldings, type HeldBodies } from "../../store/team-tables.ts";
import * as news from "../sessions/news.ts";
import type { ChatDirectory } from "./chat-directory.ts";
import type { CoordinatorClient } from "../../coordinator-client/client.ts";

/** A chat in a team, as its parts see it. */
export interface ChatParts {
  readonly runtime: Runtime;
  readonly platform: Pick<Platform, "clock" | "setTimer" | "random">;
  readonly link: CoordinatorClient;
  readonly directory: ChatDirectory;
  readonly holdings: Holdings;
  readonly sessionId: string;
  readonly workspace: string;
  /** False: an edge's operator could read what is sent in clear. */
  readonly isLocal: boolean;
  /** Whether heartbeats for its tasks are honest. */
  readonly isActive: () => boolean;
  /** Aborted: the chat is no longer served by this process. */
  readonly signal: AbortSignal;
}

type Kind = keyof HeldBodies;
type Row = RowOf<typeof teamHoldings>;

export type Holding<K extends Kind = Kind> = K extends Kind
  ? Omit<Row, "kind" | "body"> & { readonly kind: K; readonly body: HeldBodies[K] }
  : never;

/** A chat of this process. */
export interface Holder {
  readonly sessionId: string;
  /** Asks the coordinator; drops what is lost. */
  renew(held: Holding): Promise<void>;
}

interface HoldingsDeps {
  readonly runtime: Runtime;
  readonly platform: Pick<Platform, "clock" | "setTimer">;
  readonly workspace: string;
  /** By session; changes as chats come and leave. */
  readonly holders: ReadonlyMap<string, Holder>;
}

/** Interval of renewals while the store cannot be read. */
const blindIntervalMs = 30_000;
/** Four renewals may fail in it. */
const leadershipTtlMs = 60_000;

function intervalMs({ kind, body }: Holding): number {
  switch (kind) {
    case "claim":
      return heartbeatIntervalMs(body.heartbeatMs);
    case "leadership":
      return heartbeatIntervalMs(leadershipTtlMs);
    case "session":
      return Infinity;
  }
}

/**
 * Holdings of a process's chats in a workspace: one table, and one timer that renews it. Each
 * chat has its own interval, and none waits for the answers that another one gets.
 */
export class Holdings {
  readonly #deps: HoldingsDeps;
  readonly #renewedAt = new WeakMap<Holder, Instant>();
  readonly #renewing = new WeakSet<Holder>();
  #cancelTimer: () => void = () => undefined;

  constructor(deps: HoldingsDeps) {
    this.#deps = deps;
  }

  /** @param alsoWrite runs in the same transaction */
  put<K extends Kind>(
    { link, sessionId: session }: Pick<ChatParts, "link" | "sessionId">,
    held: Pick<Row, "resource" | "token"> & { readonly kind: K; readonly body: HeldBodies[K] },
    alsoWrite?: (sql: Sql) => void,
  ): Holding<K> {
    const { runtime, platform, workspace, holders } = this.#deps;
    const holding = { ...held, session, workspace, incarnation: link.self?.incarnation ?? 0, at: runtime.now() };
    const isFirst = runtime.store.write((sql) => {
      const heldBefore = teamHoldings.count(sql, { session, workspace });
      teamHoldings.put(sql, holding);
      alsoWrite?.(sql);
      return heldBefore === 0;
    });
    const holder = holders.get(session);
    if (isFirst && holder) this.#renewedAt.set(holder, readClock(platform.clock));
    this.check();
    return holding as Holding<K>;
  }

  /** Renews at once all that the chat holds, unless that is under way. */
  async renew(holder: Holder): Promise<void> {
    if (this.#renewing.has(holder)) return;
    const { runtime, platform } = this.#deps;
    this.#renewedAt.set(holder, readClock(platform.clock));
    this.#renewing.add(holder);
    await attempt(runtime.log, "what the chat holds", async () => {
      for (const held of this.#listOf([holder.sessionId])) await holder.renew(held);
    });
    this.#renewing.delete(holder);
  }

  /** Renews what is due, and sets the timer for what is due next. */
  check(): void {
    this.#cancelTimer();
    const nextInMs = exceptStoreErrors(
      () => this.#renewDue(),
      () => blindIntervalMs,
    );
    if (nextInMs === Infinity) return;
    this.#cancelTimer = this.#deps.platform.setTimer(() => this.check(), Math.max(1, Math.ceil(nextInMs)));
  }

  /** @returns time until the next renewal in ms; Infinity: nothing has to be renewed */
  #renewDue(): number {
    const { platform, holders } = this.#deps;
    const now = readClock(platform.clock);
    const all = Map.groupBy(this.#listOf([...holders.keys()]), ({ session }) => session);
    const waits = [...all].map(([session, held]) => {
      const holder = holders.get(session);
      const everyMs = Math.min(...held.map(intervalMs));
      if (!holder || everyMs === Infinity) return Infinity;
      const renewedAt = this.#renewedAt.get(holder);
      const dueInMs = renewedAt ? everyMs - elapsedMs(renewedAt, now) : 0;
      if (dueInMs > 0) return dueInMs;
      void this.renew(holder);
      return everyMs;
    });
    return Math.min(Infinity, ...waits);
  }

  #listOf(sessions: readonly string[]): Holding[] {
    const { runtime, workspace } = this.#deps;
    const rest = "WHERE workspace = ? AND session IN (SELECT value FROM json_each(?)) ORDER BY at, token";
    const rows = runtime.store.read((sql) => teamHoldings.select(sql, rest, workspace, JSON.stringify(sessions)), []);
    return rows as Holding[];
  }
}

/** Oldest first. */
export function listHeld<K extends Kind>({ runtime, sessionId, workspace }: ChatParts, kind: K): Holding<K>[] {
  const own = "WHERE session = ? AND workspace = ? AND kind = ? ORDER BY at, token";
  const rows = runtime.store.read((sql) => teamHoldings.select(sql, own, sessionId, workspace, kind), []);
  return rows as Holding<K>[];
}

/** @returns whether the chat had it */
export function dropHeld(sql: Sql, { session, kind, resource, token }: Holding): boolean {
  return teamHoldings.delete(sql, { session, kind, resource, token }) > 0;
}

/** The coordinator frees what a chat holds that leaves; its claims tell what it was at. */
export function forgetHeld(sql: Sql, session: string): void {
  for (const kind of ["leadership", "session"] as const) teamHoldings.delete(sql, { session, kind });
}

type CampaignAnswer = OutputOf<"elections.campaign">;

const timeoutMs = 8_000;
const waitMs = 3_600_000;

/** Terms of a chat, and its places in line: their token is 0. */
export class Leadership {
  readonly #parts: ChatParts;

  constructor(parts: ChatParts) {
    this.#parts = parts;
  }

  async campaign(name: string): Promise<Result<CampaignAnswer>> {
    const held = this.#find(name);
    const requestId = held?.body.requestId ?? newId(this.#parts.platform);
    const { link, holdings } = this.#parts;
    const answer = await link.call(
      "elections.campaign",
      { name, requestId, ttlMs: leadershipTtlMs, waitMs },
      timeoutMs,
    );
    if (answer.ok) {
      const token = answer.value.state === "leading" ? answer.value.leader.term : 0;
      const holding = { kind: "leadership", resource: name, token, body: { requestId } } as const;
      if (held?.token !== token) holdings.put(this.#parts, holding);
    }
    return answer;
  }

  async resign(name: string): Promise<Result<boolean>> {
    const held = this.#find(name);
    const answer = await this.#parts.link.call("elections.resign", { name, term: held?.token ?? 0 }, timeoutMs);
    if (!answer.ok) return answer;
    if (held) this.#parts.runtime.store.write((sql) => dropHeld(sql, held));
    return ok(answer.value.hasResigned);
  }

  /** @returns whether all is given back */
  async resignAll(): Promise<boolean> {
    let isDone = true;
    for (const { resource } of listHeld(this.#parts, "leadership")) isDone = (await this.resign(resource)).ok && isDone;
    return isDone;
  }

  async leaderOf(name: string): Promise<Result<Leader | null>> {
    const answer = await this.#parts.link.call("elections.observe", { name }, timeoutMs);
    return answer.ok ? ok(answer.value.leader) : answer;
  }

  #find(name: string): Holding<"leadership"> | undefined {
    return listHeld(this.#parts, "leadership").find(({ resource }) => resource === name);
  }

  async renew(held: Holding<"leadership">): Promise<void> {
    const { resource: name, token: term } = held;
    if (term === 0) return void (await this.campaign(name));
    const renewal = { resource: leaderScheme + name, token: term };
    const answer = await this.#parts.link.call("leases.renew", renewal, timeoutMs);
    if (answer.ok || isTransient(answer.error)) return;
    const { runtime, sessionId } = this.#parts;
    const text = `This chat no longer leads ${name} (term ${term}): stop the work that depends on it.`;
    runtime.store.write((sql) => {
      if (!dropHeld(sql, held)) return;
      news.add(sql, runtime.now(), sessionId, `leadership:${name}:${term}`, { kind: "notice", text });
    });
  }
}
