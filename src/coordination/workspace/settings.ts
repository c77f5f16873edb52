import type { Budget, BudgetChanges, Budgets } from "../../contract/budgets.ts";
import type { RaiseEpoch, SetSettings, Settings } from "../../contract/workspaces.ts";
import * as audit from "../kernel/audit.ts";
import { raisedEpoch } from "../kernel/epochs.ts";
import * as meta from "../kernel/meta.ts";
import { enqueueDispatch } from "../tasks/task-states.ts";
import type { Actor, Tx } from "../kernel/tx.ts";
import * as waiters from "../leases/waiters.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";

/** [BU7] So that two who change different limits do not undo each other. */
function mergeBudgets(current: Budgets, changes: BudgetChanges): Budgets {
  const changed = (scope: keyof Budgets): Budget => {
    const all = Object.entries({ ...current[scope], ...changes[scope] });
    return Object.fromEntries(all.filter(([, limit]) => typeof limit === "number"));
  };
  return { task: changed("task"), chat: changed("chat"), day: changed("day") };
}

export function set(tx: Tx, actor: Actor, { settings }: SetSettings): { settings: Settings } {
  const changed = omitUndefined(settings);
  const budgets = mergeBudgets(tx.settings.budgets, settings.budgets ?? {});
  const next: Settings = { ...tx.settings, ...changed, budgets };
  meta.write(tx.sql, "settings", JSON.stringify(next));
  audit.append(tx, { kind: "settings.changed", subject: Object.keys(changed).join(" "), actor: actor.machine });
  // [BU4] A limit that was raised.
  enqueueDispatch({ ...tx, settings: next });
  return { settings: next };
}

/**
 * [LE12] After a restore the counters stand where they stood before: a higher epoch puts every new token above every old one. [LE17] It is one of
 * the present minute, so a second restore of the same state begins another. [LE19] Nothing is granted before what the lost history has granted has
 * run out, and nobody waits who may not know of it.
 */
export function raiseEpoch(tx: Tx, actor: Actor, { reason, quietMs }: RaiseEpoch): { epoch: number } {
  const epoch = Math.max(tx.epoch + 1, raisedEpoch(tx.now));
  meta.write(tx.sql, "epoch", String(epoch));
  if (quietMs > 0) meta.setQuiet(tx.sql, Math.max(tx.quietUntil, tx.now + quietMs));
  waiters.removeAll(tx);
  audit.append(tx, { kind: "epoch.raised", subject: String(epoch), actor: actor.machine, detail: { reason } });
  return { epoch };
}
