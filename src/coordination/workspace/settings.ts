import type { Budget, BudgetChanges, Budgets } from "../../contract/budgets.ts";
import type { Settings } from "../../contract/workspaces.ts";
import { ok } from "../../shared/result.ts";
import * as audit from "../kernel/audit.ts";
import * as meta from "../kernel/meta.ts";
import * as metrics from "./metrics.ts";
import type { Tx } from "../kernel/tx.ts";
import { repeatable, type Handlers } from "../kernel/handlers.ts";
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
    const earlierMs = tx.settings.chatTtlMs - next.chatTtlMs;
    if (earlierMs > 0) tx.sql.run("UPDATE chats SET dueAt = dueAt - ? WHERE dueAt IS NOT NULL", earlierMs);
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
  // Some waiters of before the restore no longer wait; the others ask again.
  tx.sql.run("DELETE FROM waiters");
  audit.append(tx, { kind: "epoch.raised", subject: String(epoch), actor: by, detail: { reason } });
  return epoch;
}
