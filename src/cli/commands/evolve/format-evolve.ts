import { describe, methodText, type RunLimits } from "../../../evolution/candidate.ts";
import type { Planned } from "../../../evolution/run-evolve.ts";
import type { EvolveReport, RunFacts, Tried } from "../../../evolution/run.ts";
import { age, pluralize } from "../../../shared/format.ts";

/** [EV2] Every number of a value is shown. */
export function formatPlan({ plan: { candidates, facts }, limits, folder }: Planned): string {
  const head = `Plan for ${folder} at ${facts.base.slice(0, 12)}: ${findingsText(facts)}, ${pluralize(candidates.length, "change")} to try.\n`;
  const lines = candidates.map((one, at) => {
    const value = `${one.value} = severity ${one.severity} × hotspot ${one.hotspot} ÷ effort ${one.effort}`;
    return `${String(at + 1).padStart(3)}. ${describe(one)}\n     by ${methodText(one)}; value ${value}\n`;
  });
  return [head, ...lines, `${limitsText(limits)}\n`, factsText(facts)].join("");
}

function findingsText({ findings, tools }: RunFacts): string {
  return tools.length === 0 ? "no tool of the project ran" : `${pluralize(findings, "finding")} of ${tools.join(", ")}`;
}

function limitsText({ timeMs, tokens, costMicros, maxRejected }: RunLimits): string {
  const limits = [
    `${age(timeMs)} of time`,
    ...(tokens === null ? [] : [`${tokens} tokens`]),
    ...(costMicros === null ? [] : [dollars(costMicros)]),
    `${maxRejected} rejected changes in a row`,
  ];
  return `It ends after at most ${limits.join(", ")}. Mechanical changes cost nothing. Nothing is merged.`;
}

function factsText({ reported, notReported, notes }: RunFacts): string {
  const others = reported.map(
    ({ method, what }) => `  - ${what} (${method === "worker" ? "needs a worker" : "for a person"})\n`,
  );
  const more = notReported > 0 ? `  and ${notReported} more\n` : "";
  const list = others.length === 0 ? "" : `Only reported:\n${others.join("")}${more}`;
  return `${list}${notes.map((note) => `Note: ${note}\n`).join("")}`;
}

/** [EV12] */
export function formatReport(report: EvolveReport): string {
  const { tried, job, stopped, findings, mutants, used, ageMs, facts, isEnded } = report;
  const count = (outcome: Tried["outcome"]): number => tried.filter((one) => one.outcome === outcome).length;
  const kept = count("kept");
  const state = isEnded ? "has ended" : "is not finished; `shim code evolve` continues it";
  const head = `Run ${job} ${state}${stopped === null ? "" : `, since ${stopped}`}: ${pluralize(tried.length, "change")}, ${kept} kept, ${count("rejected")} rejected.\n`;
  const numbers = [
    findings.before === null
      ? null
      : `Findings: ${findings.before}, ${findings.afterAllKept} once all that was kept is merged.`,
    mutants.survivedBefore > 0
      ? `Mutants that no test notices: ${mutants.survivedBefore}, then ${mutants.survivedAfter}.`
      : null,
    `Cost: ${dollars(used.costMicros)}, ${used.tokens} tokens. Work: ${age(used.wallMs)}, in ${age(ageMs)}.`,
    kept > 0 ? "`shim code evolve review` goes through the branches." : null,
  ];
  const lines = numbers.flatMap((line) => (line === null ? [] : [`${line}\n`]));
  return [head, ...tried.map(triedText), ...lines, facts ? factsText(facts) : ""].join("");
}

function triedText({ task, outcome, what, method, branch, why, verdict }: Tried): string {
  const result = outcome === "kept" ? `${branch}${verdict ? `; ${verdictText(verdict)}` : ""}` : (why ?? "");
  return `  ${outcome.padEnd(9)} task ${task}: ${what} (${method})${result === "" ? "" : `\n            ${result.replaceAll(/\s+/g, " ").slice(0, maxWhyChars)}`}\n`;
}

const maxWhyChars = 400;

export function verdictText({ removed, before, after, api, mutants }: NonNullable<Tried["verdict"]>): string {
  const tests =
    after.tests === null ? "tests pass" : `${after.tests.ran} tests pass (${before.tests?.ran ?? "?"} before)`;
  const share = (one: typeof before.coverage): string =>
    one === null ? "not measured" : `${((100 * one.covered) / one.lines).toFixed(1)} %`;
  const killed = mutants === null ? [] : [`${mutants.killed} of ${mutants.survived} mutants are noticed now`];
  const found = removed === 0 ? [] : [`${pluralize(removed, "finding")} less`];
  const coverage = `coverage ${share(before.coverage)} to ${share(after.coverage)}`;
  return [...found, ...killed, tests, coverage, `public API ${api}`].join(", ");
}

function dollars(micros: number): string {
  return `$${(micros / 1_000_000).toFixed(2)}`;
}
