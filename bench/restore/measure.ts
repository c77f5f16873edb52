import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { estimateTokenCount } from "tokenx";
import { describe } from "./facts.ts";
import { judge, type Verdict } from "./judge.ts";
import { playInDesktop } from "./desktop-chat.ts";
import type { SessionPlan } from "./plan.ts";
import { play } from "./play.ts";

/** One session as it was measured. */
export interface Measured extends Verdict {
  readonly name: string;
  readonly kind: string;
  readonly ended: string;
  readonly tokens: number;
  readonly tookMs: number;
}

export interface Failed {
  readonly name: string;
  readonly error: string;
}

/** Runs a session and judges what the next chat was given. @param keep a folder for the brief, or null */
async function measure(plan: SessionPlan, keep: string | null): Promise<Measured> {
  const startedAt = performance.now();
  const brief = await (plan.habit === null ? play(plan) : playInDesktop(plan, plan.habit));
  const verdict = judge(brief, plan.facts);
  if (keep !== null) keepBrief(keep, plan, brief, verdict);
  return {
    name: plan.name,
    kind: plan.kind,
    ended: `${plan.endsBy}, ${plan.endsIn}`,
    tokens: estimateTokenCount(brief),
    tookMs: performance.now() - startedAt,
    ...verdict,
  };
}

function keepBrief(folder: string, plan: SessionPlan, brief: string, verdict: Verdict): void {
  mkdirSync(folder, { recursive: true });
  const at = (ending: string): string => join(folder, `${plan.name.replaceAll(/\W+/g, "-")}${ending}`);
  const prompts = plan.main.parts.map((part) => (part.do === "turn" ? part.turn.prompt : `(${part.do})`));
  writeFileSync(at(".brief.txt"), brief);
  const known = { facts: plan.facts.map(describe), prompts, main: plan.main, verdict };
  writeFileSync(at(".json"), `${JSON.stringify(known, null, 2)}\n`);
}

export interface Outcome {
  readonly measured: readonly Measured[];
  readonly failed: readonly Failed[];
}

/** Measures the sessions, some of them at a time; one that cannot be run does not stop the others. */
export async function measureAll(plans: readonly SessionPlan[], keep: string | null, jobs: number): Promise<Outcome> {
  const [waiting, measured, failed]: [SessionPlan[], Measured[], Failed[]] = [[...plans], [], []];
  const work = async (): Promise<void> => {
    for (let plan = waiting.shift(); plan; plan = waiting.shift()) {
      try {
        const one = await measure(plan, keep);
        measured.push(one);
        console.error(`${one.name}: recall ${Math.round(100 * one.recall)} %, ${one.falseStatements.length} false`);
      } catch (error) {
        failed.push({ name: plan.name, error: String(error) });
        console.error(`${plan.name}: could not be run: ${String(error)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return { measured: measured.toSorted((a, b) => a.name.localeCompare(b.name)), failed };
}
