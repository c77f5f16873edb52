import type { Refusal } from "../../contract/errors.ts";
import type { OutputOf } from "../../contract/operations.ts";
import type { Scope } from "../../contract/workspaces.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import * as audit from "../kernel/audit.ts";
import { once } from "../kernel/idempotency.ts";
import type { Actor, Tx } from "../kernel/tx.ts";

/** Machine tokens: only hashes are stored. The host makes, signs and hashes tokens. */

export interface TokenRow {
  readonly id: string;
  readonly machine: string;
  readonly scope: Scope;
  readonly hash: string;
  readonly at: number;
  readonly expires_at: number | null;
  readonly revoked_at: number | null;
}

export interface NewToken extends Bearer {
  readonly hash: string;
}

const maxTokens = 1_000;

export function add(tx: Tx, actor: string, token: NewToken): Result<{ id: string }, Refusal> {
  const [row] = tx.sql.all<{ n: number }>("SELECT count(*) AS n FROM tokens WHERE revoked_at IS NULL");
  if ((row?.n ?? 0) >= maxTokens) {
    return err({ code: "quota_exceeded", message: `a workspace has at most ${maxTokens} tokens; revoke some` });
  }
  tx.sql.run(
    "INSERT INTO tokens (id, machine, scope, hash, at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
    token.id,
    token.machine,
    token.scope,
    token.hash,
    tx.now,
    token.expiresAt,
  );
  audit.append(tx, {
    kind: "token.created",
    subject: token.id,
    actor,
    detail: { machine: token.machine, scope: token.scope },
  });
  return ok({ id: token.id });
}

export interface TokenRequest {
  readonly requestId: string | undefined;
  readonly ttlMs: number | undefined;
}

export type AddedToken = Pick<NewToken, "id" | "expiresAt">;

/** [RQ6] A repeat gets the id, from which the host makes the same token; none is stored. */
export function addOnce(
  tx: Tx,
  by: string,
  token: NewToken,
  { requestId, ttlMs }: TokenRequest,
): Result<AddedToken, Refusal> {
  const { machine, scope, expiresAt } = token;
  const request = { operation: "tokens.create", requestId, input: { machine, scope, ttlMs } };
  return once({ ...tx, actor: { machine: by, isAdmin: true } }, request, () => {
    const added = add(tx, by, token);
    return added.ok ? ok({ id: added.value.id, expiresAt }) : added;
  }).result;
}

export interface Bearer {
  readonly id: string;
  readonly machine: string;
  readonly scope: Scope;
  /** Epoch ms; null: no expiry. */
  readonly expiresAt: number | null;
}

export function find({ sql }: Pick<Tx, "sql">, id: string): TokenRow | null {
  return sql.all<TokenRow>("SELECT * FROM tokens WHERE id = ?", id)[0] ?? null;
}

/** [WI5] Bearer of a stored token; null: unknown, revoked or expired. */
export function toBearer(row: TokenRow | null, hash: string, now: number): Bearer | null {
  if (!row || row.hash !== hash || row.revoked_at !== null) return null;
  if (row.expires_at !== null && row.expires_at <= now) return null;
  return { id: row.id, machine: row.machine, scope: row.scope, expiresAt: row.expires_at };
}

export function findValid({ sql, now }: Pick<Tx, "sql" | "now">, ids: readonly string[]): Map<string, number | null> {
  const rows = sql.all<Pick<TokenRow, "id" | "expires_at">>(
    `SELECT id, expires_at FROM tokens
     WHERE id IN (SELECT value FROM json_each(?)) AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)`,
    JSON.stringify(ids),
    now,
  );
  return new Map(rows.map((row) => [row.id, row.expires_at]));
}

/** Answers whether another machine has a valid work token; false without tokens. */
export function hasOtherMachine({ sql, now }: Tx, machine: string): boolean {
  const query =
    "SELECT 1 FROM tokens WHERE scope = 'work' AND machine <> ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?) LIMIT 1";
  return sql.all(query, machine, now).length > 0;
}

export function list({ sql, now }: Tx): OutputOf<"tokens.list"> {
  const rows = sql.all<TokenRow>("SELECT * FROM tokens ORDER BY id");
  return {
    tokens: rows.map((row) => ({
      id: row.id,
      machine: row.machine,
      scope: row.scope,
      ageMs: Math.max(0, now - row.at),
      expiresInMs: row.expires_at === null ? null : Math.max(0, row.expires_at - now),
      isRevoked: row.revoked_at !== null,
    })),
  };
}

export function revoke(tx: Tx, actor: Actor, id: string): Result<OutputOf<"tokens.revoke">, Refusal> {
  const row = find(tx, id);
  if (!row) return err({ code: "unknown_token", message: `there is no token ${id}` });
  if (row.revoked_at === null) {
    tx.sql.run("UPDATE tokens SET revoked_at = ? WHERE id = ?", tx.now, id);
    audit.append(tx, { kind: "token.revoked", subject: id, actor: actor.machine });
  }
  return ok({ isRevoked: true });
}
