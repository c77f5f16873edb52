import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { mean, median } from "simple-statistics";
import { estimateTokenCount } from "tokenx";
import { claudeBinary } from "../../scripts/install-claude.ts";
import { CannotMeasureError, needed, range, scaled } from "../measure.ts";
import { judge, type Verdict } from "./judge.ts";
import { kindNames, makeSession } from "./kinds.ts";
import { describe, type SessionPlan } from "./plan.ts";
import { play } from "./play.ts";

/** One session as it was measured. */
interface Measured extends Verdict {
  readonly tokens: number;
}

/** How much of generated sessions the next chat is given, with the real client. See README.md. */
export async function restore(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: "string", default: "7" },
      sessions: { type: "string", default: String(scaled(kindNames.length)) },
      only: { type: "string", multiple: true, default: [] },
      keep: { type: "string" },
      jobs: { type: "string", default: "2" },
    },
  });
  const [seed, count, jobs] = [values.seed, values.sessions, values.jobs].map(Number) as [number, number, number];
  if (![seed, count, jobs].every((value) => Number.isInteger(value) && value >= 0))
    throw new CannotMeasureError("--seed, --sessions and --jobs are numbers.");
  needed(claudeBinary);
  const plans = range(count, (index) => makeSession(seed, index)).filter(
    ({ name }) => values.only.length === 0 || values.only.some((part) => name.includes(part)),
  );
  if (plans.length === 0) throw new CannotMeasureError(`There is no such kind, only ${kindNames.join(", ")}.`);
  const measured: Measured[] = [];
  const work = async (): Promise<void> => {
    for (let plan = plans.shift(); plan; plan = plans.shift()) measured.push(await measure(plan, values.keep ?? null));
  };
  await Promise.all(range(Math.max(1, jobs), work));
  const recalls = measured.map(({ recall }) => recall);
  return {
    sessions: measured.length,
    recall: mean(recalls),
    leastRecall: Math.min(...recalls),
    falseStatements: measured.reduce((sum, { falseStatements }) => sum + falseStatements.length, 0),
    tokens: median(measured.map(({ tokens }) => tokens)),
  };
}

/** Runs a session and judges what the next chat was given. @param keep a folder for the brief, or null */
async function measure(plan: SessionPlan, keep: string | null): Promise<Measured> {
  const brief = await play(plan);
  const verdict = judge(brief, plan.facts);
  if (keep !== null) keepBrief(keep, plan, brief, verdict);
  const ended = `${plan.name} (${plan.endsBy}, ${plan.endsIn})`;
  console.error(`${ended}: recall ${Math.round(100 * verdict.recall)} %`);
  for (const { fact, isFound } of verdict.findings) if (!isFound) console.error(`  missing: ${fact}`);
  for (const { fact, why, line } of verdict.falseStatements) console.error(`  FALSE: ${why}: ${fact}\n    ${line}`);
  return { ...verdict, tokens: estimateTokenCount(brief) };
}

function keepBrief(folder: string, plan: SessionPlan, brief: string, verdict: Verdict): void {
  mkdirSync(folder, { recursive: true });
  const at = (ending: string): string => join(folder, `${plan.name.replaceAll(/\W+/g, "-")}${ending}`);
  writeFileSync(at(".brief.txt"), brief);
  const known = { facts: plan.facts.map(describe), main: plan.main, verdict };
  writeFileSync(at(".json"), `${JSON.stringify(known, null, 2)}\n`);
}
