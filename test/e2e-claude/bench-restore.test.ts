import { expect, it, onTestFinished } from "vitest";
import { RestoreRig } from "../../bench/restore/restore-rig.ts";
import type { Fact } from "../../bench/restore/facts.ts";
import { judge } from "../../bench/restore/judge.ts";
import { kindNames, makeSession } from "../../bench/restore/kinds.ts";
import { play } from "../../bench/restore/play.ts";
import type { SessionPlan } from "../../bench/restore/plan.ts";

const seed = 5;

function session(kind: string): SessionPlan {
  return makeSession(seed, kindNames.indexOf(kind), "all");
}

function found(brief: string, plan: SessionPlan, kind: Fact["kind"]): number[] {
  return judge(brief, plan.facts)
    .findings.filter((finding) => finding.kind === kind)
    .map(({ share }) => share);
}

it.each(["edited by hand", "dialogs"])(
  "bench:restore runs a session of the kind '%s', and its judge reads the brief of the next chat",
  async (kind) => {
    onTestFinished(() => RestoreRig.removeAll());
    const plan = session(kind);
    const { brief, score } = await play(plan);
    expect(brief).toContain("SHIM");
    expect(score).toBeGreaterThanOrEqual(0);
    // What was planted is found where the brief has it, and only there.
    expect(found(brief, plan, "goal")).toEqual([1]);
    const without = plan.facts.flatMap((fact) => (fact.kind === "goal" ? fact.words : []));
    const cut = without.reduce((text, word) => text.replaceAll(word, "-"), brief);
    expect(found(cut, plan, "goal")).toEqual([0]);
    // Something false that is put into it is noticed.
    const same = plan.facts.find((fact) => fact.kind === "unchanged-file");
    const before = judge(brief, plan.facts).falseStatements;
    const doctored = `${brief}\nfiles changed in the session: ${same?.path}`;
    expect(judge(doctored, plan.facts).falseStatements.length).toBe(before.length + 1);
  },
);

it("bench:restore keeps what another chat of the project wrote out of the facts of the dead one", async () => {
  onTestFinished(() => RestoreRig.removeAll());
  const plan = session("two chats");
  const { brief } = await play(plan);
  expect(found(brief, plan, "goal")).toEqual([1]);
  const foreign = plan.facts.find((fact) => fact.kind === "foreign");
  const doctored = `${brief}\ngoal: ${foreign?.words.join(" ")}`;
  expect(judge(doctored, plan.facts).falseStatements.map(({ why }) => why)).toContain("of the other chat");
});
