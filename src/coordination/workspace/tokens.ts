import type { OutputOf } from "../../contract/operations.ts";
import type { Scope } from "../../contract/operation.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import * as audit from "../kernel/audit.ts";
import { once } from "../kernel/idempotency.ts";
import type { Actor, Tx } from "../kernel/tx.ts";
import { integer, table, text, type RowOf } from "../../shared/table.ts";

/** Machine tokens: only hashes are stored. The host makes, signs and hashes tokens. */

export const tokens = table("tokens", {
  id: text().primary(),
  machine: text(),
  scope: text<Scope>(),
  hash: text(),
  at: integer(),
  expiresAt: integer().nullable(),
  revokedAt: integer().nullable(),
  /** The hash under another signature, also valid; null: it was not renewed. */
  renewedHash: text().nullable(),
  /** Time of its newest signature, epoch ms. */
  signedAt: integer(),
});

export type TokenRow = RowOf<typeof tokens>;

export interface NewToken extends Bearer {
  readonly hash: string;
}

const maxTokens = 1_000;

export function add(tx: Tx, actor: string, token: NewToken): Result<{ id: string }> {
  if (tokens.count(tx.sql, { revokedAt: null }) >= maxTokens) {
    return fail("quota_exceeded", `a workspace has at most ${maxTokens} tokens; revoke some`);
  }
  tokens.insert(tx.sql, { ...token, at: tx.now, signedAt: tx.now });
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

/** A repeat gets the id, from which the host makes the same token; none is stored. */
export function addOnce(tx: Tx, by: string, token: NewToken, { requestId, ttlMs }: TokenRequest): Result<AddedToken> {
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

/** @param presented hash that the caller has, valid as before, whatever becomes of the answer */
export function renew(
  { sql, now }: Tx,
  { id, hash: presented }: Pick<NewToken, "id" | "hash">,
  hash: string,
): Result<null, never> {
  const renewedHash = hash === presented ? undefined : hash;
  tokens.update(sql, { id }, { hash: renewedHash && presented, renewedHash, signedAt: now });
  return ok(null);
}

export function find({ sql }: Pick<Tx, "sql">, id: string): TokenRow | null {
  return tokens.find(sql, { id });
}

/** Bearer of a stored token; null: unknown, revoked or expired. */
export function toBearer(row: TokenRow | null, hash: string, now: number): Bearer | null {
  if (!row || (row.hash !== hash && row.renewedHash !== hash) || row.revokedAt !== null) return null;
  if (row.expiresAt !== null && row.expiresAt <= now) return null;
  return { id: row.id, machine: row.machine, scope: row.scope, expiresAt: row.expiresAt };
}

export function findValid({ sql, now }: Pick<Tx, "sql" | "now">, ids: readonly string[]): Map<string, number | null> {
  const rows = sql.all<Pick<TokenRow, "id" | "expiresAt">>(
    `SELECT id, expiresAt FROM tokens
     WHERE id IN (SELECT value FROM json_each(?)) AND revokedAt IS NULL AND (expiresAt IS NULL OR expiresAt > ?)`,
    JSON.stringify(ids),
    now,
  );
  return new Map(rows.map((row) => [row.id, row.expiresAt]));
}

/** Answers whether another machine has a valid work token; false without tokens. */
export function hasOtherMachine({ sql, now }: Tx, machine: string): boolean {
  const query =
    "SELECT 1 FROM tokens WHERE scope = 'work' AND machine <> ? AND revokedAt IS NULL AND (expiresAt IS NULL OR expiresAt > ?) LIMIT 1";
  return sql.all(query, machine, now).length > 0;
}

export function list({ sql, now }: Tx): OutputOf<"tokens.list"> {
  const rows = tokens.select(sql, "ORDER BY id");
  return {
    tokens: rows.map((row) => ({
      id: row.id,
      machine: row.machine,
      scope: row.scope,
      ageMs: Math.max(0, now - row.at),
      signedAgoMs: Math.max(0, now - row.signedAt),
      expiresInMs: row.expiresAt === null ? null : Math.max(0, row.expiresAt - now),
      isRevoked: row.revokedAt !== null,
    })),
  };
}

export function revoke(tx: Tx, actor: Actor, id: string): Result<OutputOf<"tokens.revoke">> {
  const row = find(tx, id);
  if (!row) return fail("unknown_token", `there is no token ${id}`);
  if (row.revokedAt === null) {
    tokens.update(tx.sql, { id }, { revokedAt: tx.now });
    audit.append(tx, { kind: "token.revoked", subject: id, actor: actor.machine });
  }
  return ok({ isRevoked: true });
}
