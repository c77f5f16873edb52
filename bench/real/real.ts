import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { mean, median, quantile } from "simple-statistics";
import { CannotMeasureError, scaled, Random } from "../measure.ts";
import { Events } from "./events.ts";
import type { MeasuredCut } from "./judge.ts";
import type { NameCounts } from "./names.ts";
import { playAll, type Job } from "./players.ts";
import { sessionPaths, textAtPath, readSession } from "./read-session.ts";
import { isSessionClient, sessionClients, type SessionClient } from "./session-events.ts";

interface Asked {
  readonly folder: string;
  readonly sessions: number;
  readonly cuts: number;
  readonly seed: number;
  readonly client: SessionClient | null;
  /** Sessions whose hook events are sent as a whole. */
  readonly events: number;
  readonly jobs: number;
}

/** @throws {CannotMeasureError} without a folder, and for other values */
function readArgs(args: readonly string[]): Asked {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      sessions: { type: "string", default: String(scaled(170, 2)) },
      cuts: { type: "string", default: String(scaled(4, 1)) },
      seed: { type: "string", default: "1" },
      client: { type: "string" },
      events: { type: "string", default: String(scaled(200, 1)) },
      jobs: { type: "string", default: "2" },
    },
  });
  const [folder = ""] = positionals;
  const { client = null, sessions, cuts, seed, events, jobs } = values;
  const isNumbers = [sessions, cuts, seed, events, jobs].every((value) => /^\d+$/.test(value));
  if (!existsSync(folder) || !isNumbers || (client !== null && !isSessionClient(client)))
    throw new CannotMeasureError(
      `npm run bench -- real <folder with transcripts> [--sessions N] [--cuts N] [--seed N] [--client ${sessionClients.join("|")}] [--events N] [--jobs N]`,
    );
  const numbers = { sessions: Number(sessions), cuts: Number(cuts), seed: Number(seed) };
  return { folder, client, ...numbers, events: Number(events), jobs: Math.max(1, Number(jobs)) };
}

/** @throws {CannotMeasureError} where there is none */
function jobsOf({ folder, sessions, cuts, seed, client }: Asked): Job[] {
  const paths = sessionPaths(folder, new Random(seed), client);
  const jobs: Job[] = [];
  for (const path of paths) {
    if (jobs.length >= sessions) break;
    const session = readSession(textAtPath(folder, path));
    if (session !== null)
      jobs.push({ folder, path, client: session.client, session: jobs.length + 1, seed, mostCuts: cuts });
  }
  if (jobs.length > 0) return jobs;
  throw new CannotMeasureError(
    `of ${paths.length} transcripts in ${folder} none has a prompt of a user: nothing can be measured.`,
  );
}

/** Recorded sessions die at drawn moments; their briefs beside what followed. Shares are from 0 to 1. See README.md. */
export async function real(args: readonly string[]) {
  const asked = readArgs(args);
  const jobs = jobsOf(asked);
  const cuts: MeasuredCut[] = [];
  const problems: string[] = [];
  await playAll(jobs, asked.jobs, ({ briefs, error }, { path }) => {
    cuts.push(...briefs);
    if (error !== null) problems.push(`could not be played: ${error}`);
    for (const { refusal } of briefs) if (refusal !== null) problems.push(`refused: ${path}: ${refusal}`);
  });
  const events = new Events();
  for (const { path } of jobs.slice(0, asked.events)) {
    const session = readSession(textAtPath(asked.folder, path));
    if (session) await events.play(session, path);
  }
  if (problems.length > 0) throw new CannotMeasureError(problems.join("\n"));
  return { sessions: jobs.length, ...resultOf(cuts), ...events.result };
}

function resultOf(cuts: readonly MeasuredCut[]) {
  const share = (of: (cut: MeasuredCut) => number | null): number => {
    const values = cuts.flatMap((cut) => of(cut) ?? []);
    return values.length === 0 ? NaN : mean(values);
  };
  for (const { falseClaims } of cuts) for (const claim of falseClaims) console.error(`false: ${claim}`);
  return {
    briefs: cuts.length,
    lastRequest: share((cut) => cut.lastRequest),
    filesNext: share((cut) => cut.filesNext),
    lastWords: share((cut) => cut.lastWords),
    olderPrompts: share((cut) => cut.olderPrompts),
    outcomes: share((cut) => cut.outcomes),
    falseBriefs: share((cut) => Number(cut.falseClaims.length > 0)),
    harnessText: share((cut) => Number(cut.hasHarnessText)),
    tokens: median(cuts.flatMap(({ tokens }) => tokens ?? [])),
    tokensP90: quantile(
      cuts.flatMap(({ tokens }) => tokens ?? []),
      0.9,
    ),
    names: namesHeld(cuts),
    namesAfterRecall: namesHeld(cuts, ({ recalledNames }) => recalledNames[0] ?? null),
    namesAfterTwoRecalls: namesHeld(cuts, ({ recalledNames }) => recalledNames[1] ?? null),
    namesCompacted: namesHeld(cuts.filter(({ isCompacted }) => isCompacted)),
    ...comparedWithSummaries(cuts),
  };
}

type Names = Record<keyof NameCounts, number>;

/** Shares of all names that the next calls use, over all cuts. */
function namesHeld(cuts: readonly MeasuredCut[], of = ({ names }: MeasuredCut): NameCounts | null => names): Names {
  const counts = cuts.flatMap((cut) => of(cut) ?? []);
  const share = (kind: keyof NameCounts): number => {
    const [held, used] = [0, 1].map((at) => counts.reduce((sum, one) => sum + (one[kind][at] ?? 0), 0));
    return (held ?? 0) / (used ?? 0);
  };
  return { all: share("all"), known: share("known"), own: share("own"), bound: share("bound") };
}

function isAsGood({ names, summaryNames }: MeasuredCut): boolean {
  return names.all[0] >= (summaryNames?.all[0] ?? 0);
}

/** Where the client has just made a summary that can be read: names in it, and in the brief of the same cut. */
function comparedWithSummaries(cuts: readonly MeasuredCut[]) {
  const compared = cuts.filter(({ summaryNames, names }) => summaryNames !== null && names.all[1] > 0);
  return {
    summaries: compared.length,
    namesInSummary: namesHeld(compared, ({ summaryNames }) => summaryNames),
    namesBesideSummary: namesHeld(compared),
    briefAsGoodAsSummary: compared.length === 0 ? NaN : compared.filter(isAsGood).length / compared.length,
  };
}
