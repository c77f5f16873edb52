import type { HookClient } from "../contract/clients.ts";
import { isVersionBefore } from "../platform/version.ts";

/** Damages of a row that its client may not read: by bytes, by a line that it shares, by its id. */
export type RowDamage = "not_utf8" | "half_character" | "fused" | "other_session" | "byte_order_mark";

/**
 * Damages of a session's file. row: one of the conversation is missing, or no row any more; end:
 * the last line is cut; head: the first is lost; half_character: of a surrogate pair; fused: two
 * rows are in one line; other_session: rows name another session than the file's name; doubled: a
 * row stands twice; unknown_row: there is one of an unknown type; huge_row: one of 8 MB;
 * two_writers: two processes went on with the session at once. In a database a row is a part.
 */
export type FileDamage = RowDamage | "row" | "end" | "head" | Harmless | "empty" | "huge_row" | "two_writers";
type Harmless = "crlf" | "doubled" | "unknown_row" | "zeros_at_end";

/**
 * read: nothing is lost by it; left_out: the row is not sent; cut_off: what stands before it is not
 * sent either; refused: the client does not open the session.
 */
export type DamageEffect = "read" | "left_out" | "cut_off" | "refused";

export type DamageEffects = Readonly<Record<FileDamage, DamageEffect>>;

export const damageNames: Readonly<Record<RowDamage, string>> = {
  not_utf8: "bytes that are no UTF-8",
  half_character: "half of a character",
  fused: "more than one row",
  other_session: "the id of another session",
  byte_order_mark: "a byte order mark",
};

const inRows: DamageEffects = {
  crlf: "read",
  doubled: "read",
  unknown_row: "read",
  zeros_at_end: "read",
  huge_row: "read",
  two_writers: "read",
  empty: "refused",
  row: "left_out",
  end: "left_out",
  head: "refused",
  not_utf8: "left_out",
  half_character: "left_out",
  fused: "left_out",
  other_session: "read",
  byte_order_mark: "read",
};
const inLinkedRows: DamageEffects = {
  ...inRows,
  two_writers: "left_out",
  row: "cut_off",
  head: "left_out",
  not_utf8: "read",
  half_character: "read",
  fused: "read",
};

/**
 * Effects by the version of the client with which each was tried, the newest first. Those of the
 * newest are tried again by `test/e2e-clients/damages.test.ts`.
 */
export const damageEffects: Readonly<Record<HookClient, readonly (readonly [version: string, DamageEffects])[]>> = {
  "claude-code": [["2.1.332", { ...inLinkedRows, fused: "cut_off", head: "read" }]],
  codex: [
    ["0.171.0", { ...inRows, other_session: "refused", byte_order_mark: "refused" }],
    ["0.169.0", { ...inRows, not_utf8: "refused", other_session: "refused", byte_order_mark: "refused" }],
  ],
  opencode: [
    [
      "1.18.33",
      {
        ...inRows,
        end: "refused",
        not_utf8: "refused",
        half_character: "read",
        fused: "refused",
        byte_order_mark: "refused",
      },
    ],
  ],
  copilot: [["1.0.102", { ...inRows, half_character: "read" }]],
  qwen: [["0.24.4", { ...inLinkedRows, end: "cut_off", other_session: "refused" }]],
  gemini: [
    [
      "0.61.0",
      {
        ...inRows,
        // Gemini CLI makes room for the row by leaving out what stands before it.
        huge_row: "cut_off",
        not_utf8: "read",
        half_character: "read",
        other_session: "refused",
        byte_order_mark: "refused",
      },
    ],
  ],
};

/** @param version of the client; null: the newest that was tried */
export function effectsOf(client: string, version: string | null): readonly [version: string, DamageEffects] | null {
  const tried = Object.hasOwn(damageEffects, client) ? damageEffects[client as keyof typeof damageEffects] : [];
  const known = tried.find(([one]) => version === null || !isVersionBefore(version, one));
  return known ?? tried.at(-1) ?? null;
}
