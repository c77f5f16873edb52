import { expect, it, onTestFinished } from "vitest";
import { RestoreRig } from "../../bench/restore/restore-rig.ts";
import { judge } from "../../bench/restore/judge.ts";
import { kindNames, makeSession } from "../../bench/restore/kinds.ts";
import { play } from "../../bench/restore/play.ts";
import type { SessionPlan } from "../../bench/restore/plan.ts";

const seed = 5;

function session(kind: string): SessionPlan {
  return makeSession(seed, kindNames.indexOf(kind));
}

it.each(["edited by hand", "dialogs"])(
  "bench:restore runs a session of the kind '%s', and its judge reads the brief of the next chat @night",
  async (kind) => {
    onTestFinished(() => RestoreRig.removeAll());
    const { facts, ...plan } = session(kind);
    const brief = await play({ ...plan, facts });
    const verdict = judge(brief, facts);
    expect(verdict.findings.filter(({ isFound }) => !isFound)).toEqual([]);
    expect(verdict.falseStatements).toEqual([]);
    // What was planted is found where the brief has it, and only there.
    const words = facts.flatMap((fact) => (fact.kind === "prompt" ? fact.words : []));
    const cut = words.reduce((text, word) => text.replaceAll(word, "-"), brief);
    const found = judge(cut, facts).findings.filter(({ kind }) => kind === "prompt");
    expect(found.map(({ isFound }) => isFound)).toEqual(found.map(() => false));
    // Something false that is put into it is noticed.
    const same = facts.find((fact) => fact.kind === "unchanged file");
    expect(judge(`${brief}\n- ${same?.path} (edited): MISSING`, facts).falseStatements).toHaveLength(1);
  },
);

it("bench:restore keeps what another chat of the project wrote out of the facts of the dead one @night", async () => {
  onTestFinished(() => RestoreRig.removeAll());
  const plan = session("two chats");
  const brief = await play(plan);
  expect(judge(brief, plan.facts)).toMatchObject({ recall: 1, falseStatements: [] });
  const foreign = plan.facts.find((fact) => fact.kind === "foreign");
  const doctored = `${brief}\n- 3 s ago: ${foreign?.words.join(" ")}`;
  expect(judge(doctored, plan.facts).falseStatements.map(({ why }) => why)).toContain("of the other chat");
});
