import type { Budget, BudgetChanges, Budgets } from "../../contract/budgets.ts";
import type { Settings } from "../../contract/workspaces.ts";
import { ok } from "../../shared/result.ts";
import * as audit from "../kernel/audit.ts";
import * as chatRows from "../kernel/chat-rows.ts";
import * as meta from "../kernel/meta.ts";
import * as metrics from "./metrics.ts";
import type { Tx } from "../kernel/tx.ts";
import { repeatable, type Handlers } from "../kernel/handlers.ts";
import * as waiters from "../leases/waiters.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";

/** Merges, so that concurrent changes of different limits do not undo each other. */
function mergeBudgets(current: Budgets, changes: BudgetChanges): Budgets {
  const changed = (scope: keyof Budgets): Budget => {
    const all = Object.entries({ ...current[scope], ...changes[scope] });
    return Object.fromEntries(all.filter(([, limit]) => typeof limit === "number"));
  };
  return { task: changed("task"), chat: changed("chat"), day: changed("day") };
}

export const handlers = {
  "settings.get": (tx) => ok({ settings: tx.settings }),

  "settings.set"(tx, { settings, reason }, actor) {
    const changed = omitUndefined(settings);
    const budgets = mergeBudgets(tx.settings.budgets, settings.budgets ?? {});
    const next: Settings = { ...tx.settings, ...changed, budgets };
    meta.write(tx.sql, "settings", JSON.stringify(next));
    if (next.chatTtlMs < tx.settings.chatTtlMs) chatRows.checkEarlier(tx, tx.settings.chatTtlMs - next.chatTtlMs);
    const subject = Object.keys(changed).join(" ");
    const detail = omitUndefined({ reason });
    audit.append(tx, { kind: "settings.changed", subject, actor: actor.machine, detail });
    tx.requestDispatch();
    return ok({ settings: next });
  },

  "epoch.raise": repeatable("epoch.raise", (tx, input, actor) => ok({ epoch: raiseEpoch(tx, input, actor.machine) })),
} satisfies Partial<Handlers>;

/**
 * A higher epoch puts new tokens above all old ones. It follows the present minute, so a second
 * restore starts another. Nothing is granted until the lost history's leases have expired.
 */
export function raiseEpoch(
  tx: Tx,
  { reason, quietMs }: { readonly reason: string; readonly quietMs: number },
  by: string,
): number {
  const epoch = Math.max(tx.epoch + 1, meta.raisedEpoch(tx.now));
  metrics.keepNumbers(tx);
  meta.write(tx.sql, "epoch", String(epoch));
  if (quietMs > 0) meta.write(tx.sql, meta.quietKey, String(Math.max(tx.quietUntil, tx.now + quietMs)));
  waiters.removeAll(tx);
  audit.append(tx, { kind: "epoch.raised", subject: String(epoch), actor: by, detail: { reason } });
  return epoch;
}
