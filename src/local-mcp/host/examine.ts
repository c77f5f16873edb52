import type { ReplaySession } from "../../contract/replay.ts";
import { findOpportunities, type Opportunities } from "../../experiments/opportunities/find-opportunities.ts";
import type { TeamHistory } from "../../experiments/opportunities/history.ts";
import { pastChanges } from "../../experiments/opportunities/rejected-changes.ts";
import { allDecisions } from "../../platform/evolve-decisions.ts";
import type { HostResult } from "./host.ts";
import { machineMetrics } from "../metrics/machine-metrics.ts";
import type { Deciding } from "../experiments/all-experiments.ts";
import { storeRun } from "../experiments/last-opportunities.ts";
import { pastOffers, pastSessions } from "../experiments/machine-history.ts";
import { readTeam } from "../experiments/workspace-history.ts";

const defaultWindowMs = 30 * 86_400_000;
const maxSessions = 1_000;

export interface Examination extends Opportunities {
  /** Epoch ms. */
  readonly since: number;
  readonly until: number;
  /** Oldest first. */
  readonly recorded: readonly ReplaySession[];
  readonly team: HostResult<TeamHistory>;
}

interface ExamineOptions {
  /** True: the counts of findings become a metric. */
  readonly isStored: boolean;
  readonly since?: number | undefined;
}

/** Examines what this machine and its team have stored. */
export async function examine(deciding: Deciding, { isStored, since: given }: ExamineOptions): Promise<Examination> {
  const { runtime } = deciding;
  const now = runtime.now();
  const since = Math.min(given ?? now - defaultWindowMs, now - 1);
  const windowMs = now - since;
  const team = await deciding.inWorkspace((link) => readTeam(link, now));
  const { sessions, offers } = runtime.store.read(
    (sql) => ({ sessions: pastSessions(sql, { since, limit: maxSessions }), offers: pastOffers(sql, since) }),
    { sessions: [], offers: [] },
  );
  const found = findOpportunities({
    now,
    windowMs,
    config: runtime.config,
    sessions,
    offers,
    machine: machineMetrics(runtime),
    team: team.ok ? team.value : null,
    changes: pastChanges(allDecisions(runtime.paths.home)),
  });
  const patterns = found.findings.map(({ pattern }) => pattern);
  if (isStored) runtime.store.write((sql) => storeRun(sql, now + windowMs, patterns));
  return { ...found, since, until: now, recorded: sessions.map(({ session }) => session), team };
}
