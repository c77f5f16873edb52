import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import {
  type RunLimits,
  EvolveInput,
  EvolveSettings,
  RulesInput,
  TestsInput,
  describe,
  methodText,
  sourceExtension,
} from "../../code/evolution/candidate.ts";
import type { EvolveReport, Tried, RunFacts } from "../../code/evolution/run.ts";
import { readRules } from "../../code/evolution/fixers.ts";
import type { Evolved, Goal, Planned } from "../../code/evolution/run-evolve.ts";
import { age, oneLine, pluralize } from "../../shared/format.ts";
import { ok } from "../../shared/result.ts";
import { exitCodes } from "../../contract/exit-codes.ts";
import { textOf, wrongUsage, type Lines } from "../answer.ts";
import type { Cli, CommandResult } from "../cli.ts";
import { define } from "../operation-command.ts";
import { readSettings } from "../plan-file.ts";

export function addEvolve(code: Command, cli: Cli): void {
  define(cli, code, "evolve", {
    input: EvolveInput,
    summary: "Improve code on branches: finds what is worth a change, tries it, keeps what the tests approve.",
    args: ["folder"],
    run: (input) => evolveProject(cli, input, { kind: "findings" }),
  });
  define(cli, code, "tests", {
    input: TestsInput,
    summary: "Write tests of a file on branches: each fails with a defect that no test found, and passes without.",
    example: { file: "src/parser.ts", config: "evolve.yaml" },
    args: ["file"],
    run: async ({ file, ...input }) => {
      const path = resolve(cli.io.cwd, file);
      if (!sourceExtension.test(path) || !existsSync(path))
        return wrongUsage(`${file} is no file of JavaScript or TypeScript.`);
      const folder = packageAbove(dirname(path));
      if (folder === null) return wrongUsage(`there is no package.json above ${file}.`);
      return evolveProject(cli, { ...input, folder, allowApi: false }, { kind: "tests", file: path });
    },
  });
  define(cli, code, "transform", {
    input: RulesInput,
    summary: "Change code by rules of ast-grep: shows the diff, or leaves a branch once the tests pass.",
    example: { rules: "rules/no-var.yml" },
    args: ["rules", "folder"],
    run: async ({ rules: path, branch, ...input }) => {
      const rules = readRules(resolve(cli.io.cwd, path));
      if (!rules.ok) return wrongUsage(`${rules.error}.`);
      const given = EvolveInput.parse({ ...input, dryRun: !branch });
      return evolveProject(cli, given, { kind: "rules", rules: rules.value });
    },
  });
}

/** The nearest folder with a package.json. */
function packageAbove(folder: string): string | null {
  if (existsSync(join(folder, "package.json"))) return folder;
  return dirname(folder) === folder ? null : packageAbove(dirname(folder));
}

async function evolveProject(cli: Cli, input: EvolveInput, goal: Goal): Promise<CommandResult> {
  const { config } = input;
  const settings =
    config === undefined
      ? ok(EvolveSettings.parse({}))
      : readSettings(cli, config, EvolveSettings, "settings of evolve");
  if (!settings.ok) return settings;
  const { evolve } = await import("../../code/evolution/run-evolve.ts");
  const done = await evolve(cli.context, input, {
    settings: settings.value,
    cwd: cli.io.cwd,
    signal: cli.io.interrupted(),
    goal,
    onPlan: (planned) => cli.io.stderr(cli.verbatim(textOf(planLines(planned)))),
  });
  return done.ok ? answer(done.value) : done;
}

function answer(done: Evolved): CommandResult {
  if (done.kind === "reported") {
    const exit = done.isInterrupted ? exitCodes.interrupted : exitCodes.ok;
    return ok({ data: done.report, text: reportLines(done.report), isVerbatim: true, exit });
  }
  const { candidates, facts, patches } = done.plan;
  const patch = patches.get("rules");
  if (patch === undefined) return ok({ data: { candidates, facts }, text: planLines(done), isVerbatim: true });
  const end =
    patch === "" ? "The rules change nothing." : "This was a dry run: --branch leaves a branch, once the tests pass.";
  return ok({ data: { candidates, facts, patch }, text: [patch !== "" && patch, end], isVerbatim: true });
}

function planLines({ plan: { candidates, facts }, limits, folder }: Planned): Lines {
  return [
    `Plan for ${folder} at ${facts.base.slice(0, 12)}: ${findingsText(facts)}, ${pluralize(candidates.length, "change")} to try.`,
    ...candidates.flatMap((one, at) => [
      `${String(at + 1).padStart(3)}. ${describe(one)}`,
      `     by ${methodText(one)}; value ${one.value}`,
    ]),
    limitsText(limits),
    ...factLines(facts),
  ];
}

function findingsText({ findings, tools }: RunFacts): string {
  return tools.length === 0 ? "no tool of the project ran" : `${pluralize(findings, "finding")} of ${tools.join(", ")}`;
}

function limitsText({ timeMs, costMicros }: RunLimits): string {
  const cost = costMicros === null ? "" : `, ${dollars(costMicros)}`;
  return `It ends after at most ${age(timeMs)} of time${cost}. Mechanical changes cost nothing. Nothing is merged.`;
}

function factLines({ notes }: RunFacts): Lines {
  return notes.map((note) => `Note: ${note}`);
}

function reportLines({ tried, stopped, findings, used, ageMs, facts }: EvolveReport): Lines {
  const count = (outcome: Tried["outcome"]): number => tried.filter((one) => one.outcome === outcome).length;
  const kept = count("kept");
  const why = stopped === null ? "" : `The run has ended, since ${stopped}. `;
  return [
    `${why}${pluralize(tried.length, "change")} tried, ${kept} kept, ${count("rejected")} rejected.`,
    ...tried.flatMap(triedLines),
    `Findings: ${findings.before}, ${findings.afterAllKept} once all that was kept is merged.`,
    `Cost: ${dollars(used.costMicros)}, ${used.tokens} tokens. Work: ${age(used.wallMs)}, in ${age(ageMs)}.`,
    kept > 0 &&
      "Each branch begins with those above it: `git show <branch>` shows a change, `git cherry-pick <branch>` takes it alone, `git merge <branch>` with those above. While its branch stands it is not proposed again.",
    ...factLines(facts),
  ];
}

const maxWhyChars = 400;

function triedLines({ change: number, outcome, what, method, branch, why, findings, leftOut }: Tried): string[] {
  const counts = findings && `${pluralize(findings.before, "finding")} before, ${findings.after} now, the tests pass`;
  const result = branch === null ? (why ?? "") : `${branch}; ${counts}`;
  const line = `  ${outcome.padEnd(9)} change ${number}: ${what} (${method})`;
  const files = leftOut.map(({ path, reason }) => `${path} (${reason})`).join(", ");
  const more = [oneLine(result, maxWhyChars), files && `not in it: ${files}`];
  return [line, ...more.flatMap((text) => (text === "" ? [] : `            ${text}`))];
}

function dollars(micros: number): string {
  return `$${(micros / 1_000_000).toFixed(2)}`;
}
