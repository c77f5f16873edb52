import type { CoordinatorClient } from "../../coordinator-client/coordinator-client.ts";
import type { OutputOf } from "../../contract/operations.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { currentDayBudget, judgeDay, storeDayBudget, tasklessUsage } from "../usage/day-budget.ts";

interface Deps {
  readonly runtime: Runtime;
  readonly link: CoordinatorClient;
  readonly workspace: string;
  readonly isLocal: boolean;
  /** A chat that does nothing uses nothing. */
  readonly isActive: () => boolean;
}

const timeoutMs = 5_000;
const localEveryMs = 60_000;
const edgeEveryMs = 300_000;

/** [BU17] Only the coordinator knows the limit, and only this machine what needed no task. */
export class DayBudgetWatch {
  readonly #deps: Deps;
  #checkedAt: number;

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#checkedAt = deps.runtime.now();
  }

  async check(): Promise<void> {
    const { runtime, link, isLocal, isActive } = this.#deps;
    const now = runtime.now();
    if (Math.abs(now - this.#checkedAt) < (isLocal ? localEveryMs : edgeEveryMs) || !isActive()) return;
    this.#checkedAt = now;
    const found = await link.call("budgets.get", {}, timeoutMs);
    if (found.ok) this.#judge(found.value, now);
  }

  /** Most days are far from any limit and need no write. */
  #judge({ limits: { day }, today }: OutputOf<"budgets.get">, now: number): void {
    const { runtime, workspace } = this.#deps;
    const { store, config } = runtime;
    const isKnown = store.read((sql) => currentDayBudget(sql, workspace, now) !== null, false);
    const hasLimit = day.tokens !== undefined || day.costMicros !== undefined;
    if (!hasLimit && !isKnown) return;
    const taskless = store.read((sql) => tasklessUsage(sql, config.usage, now), { tokens: 0, costMicros: 0 });
    const judged = judgeDay(day, today, taskless, now);
    if (judged !== null || isKnown) store.write((sql) => storeDayBudget(sql, workspace, judged, now));
  }
}
