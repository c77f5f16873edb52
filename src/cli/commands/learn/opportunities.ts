import type { Command } from "commander";
import type { ReplaySession } from "../../../contract/replay.ts";
import { describeFinding } from "../../../experiments/opportunities/describe.ts";
import {
  findOpportunities,
  type Opportunities,
  type Unjudged,
} from "../../../experiments/opportunities/find-opportunities.ts";
import type { TeamHistory } from "../../../experiments/opportunities/history.ts";
import { storeRun } from "../../../local-mcp/experiments/last-opportunities.ts";
import { pastOffers, pastSessions } from "../../../local-mcp/experiments/machine-history.ts";
import { machineMetrics } from "../../../local-mcp/metrics/machine-metrics.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { age, pluralize } from "../../../shared/format.ts";
import { ok } from "../../../shared/result.ts";
import type { CliResult } from "../../answer.ts";
import { pastChanges } from "../../../evolution/past-decisions.ts";
import { momentOption, type Cli, type CommandResult, type CommonOptions } from "../../cli.ts";
import { readTeam } from "./team-history.ts";

interface OpportunityOptions extends CommonOptions {
  readonly since?: number;
}

const defaultWindowMs = 30 * 86_400_000;
const maxSessions = 1_000;

export function addOpportunities(program: Command, cli: Cli): void {
  const command = program
    .command("opportunities")
    .description("what the records of this machine and its team say should change")
    .option("--since <time>", "not older: 7d, 2026-11-20 (default: 30d)", momentOption(cli.io, "first"));
  cli.define(command, (options: OpportunityOptions) => showOpportunities(cli, options));
}

export interface Examination {
  readonly since: number;
  readonly sessions: number;
  /** Oldest first. */
  readonly recorded: readonly ReplaySession[];
  readonly team: CliResult<TeamHistory>;
  readonly found: Opportunities;
}

/** [EX66] */
async function showOpportunities(cli: Cli, { since: given }: OpportunityOptions): Promise<CommandResult> {
  const runtime = await cli.runtime();
  const { since, sessions, team, found } = await examine(cli, runtime, { isStored: true, since: given });
  const teamProblem = team.ok ? null : team.error.message;
  const data = { since, sessions, ...found, teamProblem };
  const scope = `${pluralize(sessions, "session")} of the last ${age(runtime.now() - since)}`;
  return ok({ data, text: format(cli, found, scope, notesOn(team)) });
}

/** @param isStored the counts of findings become a metric */
export async function examine(
  cli: Cli,
  runtime: Runtime,
  { isStored, since: given }: { readonly isStored: boolean; readonly since?: number | undefined },
): Promise<Examination> {
  const now = runtime.now();
  const since = Math.min(given ?? now - defaultWindowMs, now - 1);
  cli.progress("Examining the records ...");
  const team = await findTeam(cli, now);
  const { sessions, offers } = runtime.store.read(
    (sql) => ({ sessions: pastSessions(sql, { since, limit: maxSessions }), offers: pastOffers(sql, since) }),
    { sessions: [], offers: [] },
  );
  const found = findOpportunities({
    now,
    windowMs: now - since,
    config: runtime.config,
    sessions,
    offers,
    machine: machineMetrics(runtime),
    team: team.ok ? team.value : null,
    changes: pastChanges(cli.paths.home),
  });
  const patterns = found.findings.map(({ pattern }) => pattern);
  if (isStored) runtime.store.write((sql) => storeRun(sql, now + (now - since), patterns));
  return { since, sessions: sessions.length, recorded: sessions.map(({ session }) => session), team, found };
}

async function findTeam(cli: Cli, now: number): Promise<CliResult<TeamHistory>> {
  const link = await cli.workspace();
  if (!link.ok) return link;
  try {
    return await readTeam(link.value, now);
  } finally {
    link.value.close();
  }
}

function notesOn(team: CliResult<TeamHistory>): string {
  if (!team.ok) return `\nThe team was not examined: ${team.error.message}\n`;
  return team.value.departures === null
    ? "\nChats that came back were not examined: the audit log needs an admin token.\n"
    : "";
}

function format(cli: Cli, { findings, unjudged }: Opportunities, scope: string, notes: string): string {
  const paragraphs = findings.map((one) => {
    const { title, text, advice } = describeFinding(one);
    return `${cli.paint("bold", title)}\n${text} ${advice}\n\n`;
  });
  const heading = findings.length === 0 ? `Nothing found in ${scope}.\n` : `Found in ${scope}:\n\n`;
  return `${heading}${paragraphs.join("").replace(/\n\n$/, "\n")}${unjudgedText(cli, unjudged)}${notes}`;
}

const maxUnjudged = 25;

function unjudgedText(cli: Cli, unjudged: readonly Unjudged[]): string {
  if (unjudged.length === 0) return "";
  const table = cli.table(unjudged.slice(0, maxUnjudged), {
    PATTERN: ({ pattern }) => pattern,
    SUBJECT: ({ subject }) => subject,
    CASES: ({ n }) => String(n),
    NEEDED: ({ minimum }) => String(minimum),
  });
  const rest = unjudged.length - maxUnjudged;
  return `\nNot judged, for want of cases:\n${table}${rest > 0 ? `and ${rest} more (--json has all)\n` : ""}`;
}
