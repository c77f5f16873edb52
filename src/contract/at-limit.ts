import * as z from "zod/mini";
import { hookClients } from "./clients.ts";

/** Rules for chats at a usage limit. zod/mini: the hooks load it with the settings. */

/** A usage limit that a client has recorded by a code. Stored: add fields as optional. */
export interface UsageLimit {
  /** Epoch ms of its end; null: not recorded. */
  readonly resetsAtMs: number | null;
}

/** Ways in the order of preference. */
export type LimitRule = z.infer<ReturnType<typeof limitRules>>[number];
export type ActiveLimitRule = Exclude<LimitRule, { readonly order: "off" }>;
/** One way to go on at a usage limit. */
export type LimitStep = ActiveLimitRule["order"][number];

export function limitRules() {
  /** The deepest one that holds a chat's counts. */
  const folder = text(4_096).check(
    z.refine((path) => /^([/\\]|[A-Za-z]:[\\/])/.test(path), { error: "a rule names an absolute folder" }),
  );
  const step = z.union([
    z.literal("wait"),
    /** Another one of Claude Code's. */
    z.strictObject({ model: text(200) }),
    z.strictObject({
      client: z.enum(hookClients),
      /** Absent: the client's own command. */
      program: z.optional(text(4_096)),
      args: z.optional(z.array(z.string().check(z.maxLength(10_000))).check(z.maxLength(1_000))),
    }),
  ]);
  const order = z.array(step).check(
    z.minLength(1),
    z.maxLength(10),
    z.refine((steps) => steps.slice(0, -1).every((one) => one !== "wait"), { error: "nothing comes after `wait`" }),
  );
  /** US dollars that the chats which the rule starts may use for one limit; null: no ceiling. */
  const mostUsd = z.nullable(z.number().check(z.minimum(0), z.maximum(100_000)));
  /** Since the limit was reached. */
  const mostHours = z.number().check(z.minimum(0.1), z.maximum(1_000));
  const off = z.strictObject({ folder, order: z.literal("off") });
  return z.array(z.union([off, z.strictObject({ folder, order, mostUsd, mostHours })])).check(z.maxLength(1_000));
}

function text(max: number) {
  return z.string().check(z.minLength(1), z.maxLength(max));
}
