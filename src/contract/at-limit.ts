import * as z from "zod/mini";
import { hookClients, type HookClient } from "./clients.ts";

/** Rules for chats at a usage limit. zod/mini: the hooks load it with the settings. */

/** A usage limit that a client has recorded by a code. Stored: add fields as optional. */
export interface UsageLimit {
  /** Epoch ms of its end; null: not recorded. */
  readonly resetsAtMs: number | null;
}

/** One way to go on at a usage limit. `model`: another one of Claude Code's. */
export type LimitStep =
  | "wait"
  | { readonly model: string }
  | {
      readonly client: HookClient;
      /** Absent: the client's own command. */
      readonly program?: string | undefined;
      readonly args?: readonly string[] | undefined;
    };

/** Ways in the order of preference. */
export interface ActiveLimitRule {
  /** Absolute; the deepest folder that holds a chat's counts. */
  readonly folder: string;
  readonly order: readonly LimitStep[];
  /** US dollars that the chats which the rule starts may use for one limit; null: no ceiling. */
  readonly mostUsd: number | null;
  /** Since the limit was reached. */
  readonly mostHours: number;
}

export type LimitRule = ActiveLimitRule | { readonly folder: string; readonly order: "off" };

export function limitRules() {
  const folder = text(4_096).check(
    z.refine((path) => /^([/\\]|[A-Za-z]:[\\/])/.test(path), { error: "a rule names an absolute folder" }),
  );
  const step: z.ZodMiniType<LimitStep> = z.union([
    z.literal("wait"),
    z.strictObject({ model: text(200) }),
    z.strictObject({
      client: z.enum(hookClients),
      program: z.optional(text(4_096)),
      args: z.optional(z.array(z.string().check(z.maxLength(10_000))).check(z.maxLength(1_000))),
    }),
  ]);
  const order = z.array(step).check(
    z.minLength(1),
    z.maxLength(10),
    z.refine((steps) => steps.slice(0, -1).every((one) => one !== "wait"), { error: "nothing comes after `wait`" }),
  );
  const mostUsd = z.nullable(z.number().check(z.minimum(0), z.maximum(100_000)));
  const mostHours = z.number().check(z.minimum(0.1), z.maximum(1_000));
  const rule: z.ZodMiniType<LimitRule> = z.union([
    z.strictObject({ folder, order: z.literal("off") }),
    z.strictObject({ folder, order, mostUsd, mostHours }),
  ]);
  return z.array(rule).check(z.maxLength(1_000));
}

function text(max: number) {
  return z.string().check(z.minLength(1), z.maxLength(max));
}
