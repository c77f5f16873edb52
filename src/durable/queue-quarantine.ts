import { DurableObject } from "cloudflare:workers";
import { migrate, type Migration } from "../shared/migrate.ts";
import type { Env } from "./env.ts";
import { StorageSql } from "./storage-sql.ts";

export interface UnreadableMessage {
  readonly id: string;
  readonly queue: string;
  readonly body: string;
}

export interface QuarantinedMessage extends UnreadableMessage {
  readonly ageMs: number;
}

const migrations: readonly Migration[] = [
  {
    id: 1,
    name: "messages",
    statements: [
      "CREATE TABLE messages (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, at INTEGER NOT NULL, queue TEXT NOT NULL, body TEXT NOT NULL) STRICT",
    ],
  },
];

const maxMessages = 100;
const keepMs = 30 * 86_400_000;

/** One for the whole deployment. Keeps the newest messages, for 30 days. */
export class QueueQuarantine extends DurableObject<Env> {
  readonly #sql = new StorageSql(this.ctx.storage);

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.transactionSync(() => migrate(this.#sql, this.now(), migrations));
  }

  protected now(): number {
    return Date.now();
  }

  /** Deduplicates messages redelivered after a lost acknowledgement. */
  keep(messages: readonly UnreadableMessage[]): void {
    const now = this.now();
    this.ctx.storage.transactionSync(() => {
      for (const { id, queue, body } of messages) {
        this.#sql.run(
          "INSERT INTO messages (id, at, queue, body) SELECT ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM messages WHERE id = ? AND queue = ?)",
          id,
          now,
          queue,
          body,
          id,
          queue,
        );
      }
      this.#sql.run(
        "DELETE FROM messages WHERE at <= ? OR seq <= (SELECT max(seq) FROM messages) - ?",
        now - keepMs,
        maxMessages,
      );
    });
  }

  list(): QuarantinedMessage[] {
    const now = this.now();
    return this.#sql
      .all<UnreadableMessage & { at: number }>(
        "SELECT id, queue, body, at FROM messages WHERE at > ? ORDER BY seq DESC",
        now - keepMs,
      )
      .map(({ id, queue, body, at }) => ({ id, queue, body, ageMs: Math.max(0, now - at) }));
  }
}
