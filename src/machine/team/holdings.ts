import { heartbeatIntervalMs, Renewal } from "../../coordinator-client/edge/renewal.ts";
import { elapsedMs, readClock, type Instant } from "../../coordinator-client/edge/trust.ts";
import { attempt } from "../../platform/log-file.ts";
import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import { exceptStoreErrors } from "../../store/store-error.ts";
import { teamHoldings, type HeldBodies } from "../../store/team-tables.ts";
import type { ChatParts } from "./chat-parts.ts";

type Kind = keyof HeldBodies;
type Row = RowOf<typeof teamHoldings>;

/** A claim of a task, a leadership, or a place in the line for one. */
export type Holding<K extends Kind = Kind> = Omit<Row, "kind" | "body"> & {
  readonly kind: K;
  readonly body: HeldBodies[K];
};

export interface HoldingKind<K extends Kind> {
  /** How long the coordinator bears silence, in ms. */
  readonly silenceMs: (held: Holding<K>) => number;
  /** Asks the coordinator; drops what is lost. */
  readonly renew: (held: Holding<K>) => Promise<void>;
}

/** Interval of renewals while the store cannot be read. */
const blindIntervalMs = 30_000;

/**
 * Claims and terms of a chat, which must be renewed. They are stored, since the next process of its
 * client has them too. Leases that last as long as their chat need no renewal, and are not here.
 */
export class Holdings {
  readonly #parts: ChatParts;
  readonly #kinds = new Map<Kind, HoldingKind<Kind>>();
  readonly #renewal: Renewal<void>;
  #renewedAt: Instant;

  constructor(parts: ChatParts) {
    this.#parts = parts;
    this.#renewedAt = readClock(parts.platform.clock);
    this.#renewal = new Renewal(parts.platform, {
      check: (now) => this.#nextRenewal(now),
      renew: () => attempt(parts.runtime.log, "what the chat holds", () => this.#renewAll()),
    });
  }

  addKind<K extends Kind>(kind: K, ways: HoldingKind<K>): void {
    this.#kinds.set(kind, ways as HoldingKind<Kind>);
  }

  /** Oldest first. */
  list<K extends Kind>(kind?: K): Holding<K>[] {
    const { runtime, sessionId, workspace } = this.#parts;
    const own = "WHERE session = ? AND workspace = ? ORDER BY at, token";
    const all = runtime.store.read((sql) => teamHoldings.select(sql, own, sessionId, workspace), []);
    return all.filter((one) => kind === undefined || one.kind === kind) as Holding<K>[];
  }

  /** @param alsoWrite runs in the same transaction */
  put<K extends Kind>(
    held: Pick<Holding<K>, "kind" | "resource" | "token" | "body">,
    alsoWrite?: (sql: Sql) => void,
  ): Holding<K> {
    const { runtime, platform, link, sessionId: session, workspace } = this.#parts;
    const holding = { ...held, session, workspace, incarnation: link.self?.incarnation ?? 0, at: runtime.now() };
    if (this.list().length === 0) this.#renewedAt = readClock(platform.clock);
    runtime.store.write((sql) => {
      teamHoldings.put(sql, holding);
      alsoWrite?.(sql);
    });
    this.#renewal.check();
    return holding;
  }

  /** @returns whether the chat had it */
  drop(sql: Sql, { session, kind, resource, token }: Holding): boolean {
    return teamHoldings.delete(sql, { session, kind, resource, token }) > 0;
  }

  /** Renews all at once, unless that is under way. */
  check(): void {
    if (!this.isClosed) void this.#renewal.renew();
  }

  async #renewAll(): Promise<void> {
    this.#renewedAt = readClock(this.#parts.platform.clock);
    if (this.#parts.link.self) for (const one of this.list()) await this.#kinds.get(one.kind)?.renew(one);
  }

  get isClosed(): boolean {
    return this.#renewal.isStopped;
  }

  close(): void {
    void this.#renewal.stop();
  }

  #nextRenewal(now: Instant): { readonly isDue: boolean; readonly nextInMs: number } | null {
    const everyMs = exceptStoreErrors(
      () => this.#everyMs(),
      () => blindIntervalMs,
    );
    if (everyMs === null) return null;
    const dueInMs = everyMs - elapsedMs(this.#renewedAt, now);
    return { isDue: dueInMs <= 0, nextInMs: dueInMs > 0 ? dueInMs : everyMs };
  }

  /** @returns null if nothing is held */
  #everyMs(): number | null {
    const intervals = this.list().map((one) =>
      heartbeatIntervalMs(this.#kinds.get(one.kind)?.silenceMs(one) ?? Infinity),
    );
    return intervals.length === 0 ? null : Math.min(...intervals);
  }
}
