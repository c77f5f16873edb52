import type { HookClient } from "../contract/clients.ts";
import { isVersionBefore } from "../platform/version.ts";

/**
 * What a session's file has that its client did not write so. row: a row of the conversation is
 * cut, zeroed or missing; end: the last one is cut; head: the first line is lost; not_utf8: a row
 * holds bytes that are no UTF-8; half_character: half of a surrogate pair; fused: its line holds
 * another one; other_session: it names another session than the file's name.
 */
export type FileDamage =
  | "row"
  | "end"
  | "head"
  | "not_utf8"
  | "half_character"
  | "fused"
  | "other_session"
  | "byte_order_mark";

/**
 * read: nothing is lost by it; left_out: the row is not sent; cut_off: what stands before it is not
 * sent either; refused: the client does not open the session.
 */
export type DamageEffect = "read" | "left_out" | "cut_off" | "refused";

export type DamageEffects = Readonly<Record<FileDamage, DamageEffect>>;

/** Names of what such a row holds. */
export const damageNames: Readonly<Record<FileDamage, string>> = {
  row: "a part of a row",
  end: "a part of a row",
  head: "no id of the session",
  not_utf8: "bytes that are no UTF-8",
  half_character: "half of a character",
  fused: "more than one row",
  other_session: "the id of another session",
  byte_order_mark: "a byte order mark",
};

const inRows: DamageEffects = {
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
  row: "cut_off",
  head: "left_out",
  not_utf8: "read",
  half_character: "read",
  fused: "read",
};

/**
 * Effects by the version of the client with which each was tried, the newest first. Those of the
 * newest are tried again by `test/e2e-clients/damages.test.ts`. OpenCode keeps no files.
 */
export const damageEffects: Readonly<
  Record<Exclude<HookClient, "opencode">, readonly (readonly [version: string, DamageEffects])[]>
> = {
  "claude-code": [["2.1.332", { ...inLinkedRows, fused: "cut_off", head: "read" }]],
  codex: [
    ["0.171.0", { ...inRows, other_session: "refused", byte_order_mark: "refused" }],
    ["0.169.0", { ...inRows, not_utf8: "refused", other_session: "refused", byte_order_mark: "refused" }],
  ],
  copilot: [["1.0.102", { ...inRows, half_character: "read" }]],
  qwen: [["0.24.4", { ...inLinkedRows, end: "cut_off", other_session: "refused" }]],
  gemini: [
    [
      "0.61.0",
      {
        ...inRows,
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
