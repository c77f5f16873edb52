import { Option, type Command } from "commander";
import { pluralize } from "../../../shared/format.ts";
import { err, ok } from "../../../shared/result.ts";
import { TransformInput } from "../../../transform/change.ts";
import type { Transformed } from "../../../transform/transform-project.ts";
import { exitCodes } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import { defineProgram } from "../../operation-command.ts";
import { endSignal } from "../analyze/analyze.ts";

export function addCommand(program: Command, cli: Cli): void {
  const summary =
    "Change code by a rule of ast-grep, a codemod or `lint-fix`, in a worktree: shows the diff, or leaves a branch.";
  const noTests = new Option("--no-tests", "with --branch: run no tests");
  defineProgram(
    cli,
    program.command("transform"),
    { input: TransformInput, summary, args: ["what"], rest: "paths", own: [noTests] },
    (input) => transform(cli, input),
  );
}

/** [TX3] Exit code 3: nothing changed. */
async function transform(cli: Cli, input: TransformInput): Promise<CommandResult> {
  const { transformProject } = await import("../../../transform/transform-project.ts");
  const site = { cwd: cli.io.cwd, signal: endSignal(cli) };
  const done = await transformProject(cli.context, input, site);
  if (!done.ok) return err({ ...done.error, message: `${done.error.message}${advice[done.error.code] ?? ""}` });
  const { files } = done.value;
  const exit = files.length === 0 ? exitCodes.notFound : exitCodes.ok;
  return ok({ data: done.value, text: textOf(done.value), isVerbatim: true, exit });
}

const advice: Readonly<Record<string, string>> = {
  no_tool: " SHIM downloads nothing: add the package to the project.",
  not_trusted: " --trust allows that this time, and the setting analysis.trusted always.",
  not_idempotent: " --allow-repeat accepts that.",
  no_tests: " Name a command with --tests, or say --no-tests.",
  tests_failed: "No branch was left.",
};

function textOf(report: Transformed): string {
  const { diff, files, leftOut, uncommitted } = report;
  const lines = [
    ...(files.length === 0 ? [unchangedText(report)] : [countText(report), resultText(report)]),
    ...leftOut.map(({ path, reason }) => `Left out: ${path} (${reason}).`),
    ...(uncommitted === 0
      ? []
      : [`Not included: ${pluralize(uncommitted, "path")} of your tree with changes that are not committed.`]),
  ];
  return `${diff}${diff === "" ? "" : "\n"}${lines.join("\n")}\n`;
}

function unchangedText({ tool, rules }: Transformed): string {
  if (rules.length > 0) return `${tool} changed nothing: ${rulesText(rules)}, without a fix.`;
  return tool === "ast-grep" ? "No rule matches: nothing was changed." : `${tool} changed nothing.`;
}

function rulesText(rules: Transformed["rules"]): string {
  return rules.map(({ rule, matches }) => `${rule} matches ${pluralize(matches, "time")}`).join(", ");
}

function countText({ tool, version, files, insertions, deletions, rules }: Transformed): string {
  const name = version === null ? tool : `${tool} ${version}`;
  const lines = `${pluralize(files.length, "file")}, ${pluralize(insertions, "insertion")}, ${pluralize(deletions, "deletion")}`;
  return `${name}: ${lines}${rules.length === 0 ? "" : `; ${rulesText(rules)}`}.`;
}

function resultText({ isIdempotent, tests, base, branch }: Transformed): string {
  const repeat = isIdempotent ? "A second run changes nothing more." : "A second run changes these files again.";
  if (branch === null) return `${repeat} This was a dry run: --branch leaves a branch, once the tests pass.`;
  const judged = tests === null ? "No tests were run" : `${tests.command} succeeded`;
  return `${repeat} ${judged}. It is on the branch ${branch}, from ${base.slice(0, 12)}; nothing is merged.`;
}
