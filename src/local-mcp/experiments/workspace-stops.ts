import type { WorkspaceTrial } from "../../contract/workspace-trials.ts";
import { findWorkspaceParameter } from "../../experiments/queue/workspace-parameters.ts";
import { guardrailWords } from "../../experiments/workspace/guardrails.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as meta from "../../store/meta.ts";
import * as totals from "../../store/metric-totals.ts";
import * as notices from "../../store/notices.ts";

const metaKey = "workspace_stops";
const maxIds = 100;

/**
 * [EX94] Trials of the workspace that this machine's review has taken back: each is counted and
 * shown once, also where the process that did it died before.
 */
export function announceStops(runtime: Runtime, machine: string, trials: readonly WorkspaceTrial[]): void {
  const stopped = trials.filter((one) => one.violation?.machine === machine && reasonOf(one) !== null);
  if (stopped.length === 0) return;
  runtime.store.write((sql) => {
    const known = (meta.read(sql, metaKey) ?? "").split(" ");
    const fresh = stopped.filter(({ id }) => !known.includes(id));
    for (const one of fresh) {
      const { id, key, from, to } = one;
      totals.add(sql, "shim_experiment_stops_total", { labels: ["deployed"] });
      totals.add(sql, "shim_experiment_rollbacks_total");
      const text = `experiment ${id} of the workspace was stopped (${reasonOf(one) ?? ""}): ${key} is ${from} again, not ${to}.`;
      notices.add(sql, runtime.now(), "experiment", text);
    }
    if (fresh.length > 0) meta.write(sql, metaKey, [...known, ...fresh.map(({ id }) => id)].slice(-maxIds).join(" "));
  });
}

/** Chats read it: no text of the state, where other machines write. */
function reasonOf({ key, violation }: WorkspaceTrial): string | null {
  const words = Object.entries(guardrailWords).find(([name]) => name === violation?.guardrail);
  return findWorkspaceParameter(key) && words ? words[1] : null;
}
