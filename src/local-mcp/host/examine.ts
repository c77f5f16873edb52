import type { ReplaySession } from "../../contract/replay.ts";
import { findOpportunities, type Opportunities } from "../../experiments/opportunities/find-opportunities.ts";
import type { TeamHistory } from "../../experiments/opportunities/history.ts";
import { pastChanges } from "../../experiments/opportunities/find-opportunities.ts";
import { allDecisions } from "../../platform/evolve-decisions.ts";
import type { Host, HostResult } from "./host.ts";
import { machineMetrics } from "../metrics/machine-metrics.ts";
import type { Deciding } from "../experiments/experiments.ts";
import { pastOffers, pastSessions } from "../experiments/corpus.ts";
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

/** Examines what this machine and its team have stored. */
export async function examine(deciding: Deciding, given?: number): Promise<Examination> {
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
  return { ...found, since, until: now, recorded: sessions.map(({ session }) => session), team };
}

/** [EX67] The counts of findings become a metric, until their evidence has left the window. */
export async function storeCounts(call: Host["call"], { since, until, findings }: Examination): Promise<void> {
  const patterns = findings.map(({ pattern }) => pattern);
  await call("opportunities.store", { until: until + (until - since), patterns });
}
