import { pluralize } from "../../../shared/format.ts";
import { ok } from "../../../shared/result.ts";
import type { TransformReport } from "../../../transform/request.ts";
import { exitCodes } from "../../answer.ts";
import type { CommandResult } from "../../cli.ts";

/** [TX3] Exit code 3: nothing changed. @param branch null: none was asked for or made */
export function toAnswer(
  report: TransformReport,
  { uncommitted }: { readonly uncommitted: number },
  branch: string | null,
): CommandResult {
  const { commit, files, diff, leftOut } = report;
  const left =
    uncommitted === 0
      ? []
      : [`Not included: ${pluralize(uncommitted, "path")} of your tree with changes that are not committed.`];
  const secrets = leftOut.map(({ path, reason }) => `Left out: ${path} (${reason}).`);
  const summary = files.length === 0 ? [unchangedText(report)] : [countText(report), resultText(report, branch)];
  const shownCommit = branch === null ? null : commit;
  return ok({
    data: { ...report, commit: shownCommit, branch, uncommitted },
    text: `${diff}${diff === "" ? "" : "\n"}${[...summary, ...secrets, ...left].join("\n")}\n`,
    isVerbatim: true,
    exit: files.length === 0 ? exitCodes.notFound : exitCodes.ok,
  });
}

function unchangedText({ tool, rules }: TransformReport): string {
  if (rules.length > 0) return `${tool} changed nothing: ${rulesText(rules)}, without a fix.`;
  return tool === "ast-grep" ? "No rule matches: nothing was changed." : `${tool} changed nothing.`;
}

function rulesText(rules: TransformReport["rules"]): string {
  return rules.map(({ rule, matches }) => `${rule} matches ${pluralize(matches, "time")}`).join(", ");
}

function countText({ tool, version, files, insertions, deletions, rules }: TransformReport): string {
  const name = version === null ? tool : `${tool} ${version}`;
  const lines = `${pluralize(files.length, "file")}, ${pluralize(insertions, "insertion")}, ${pluralize(deletions, "deletion")}`;
  return `${name}: ${lines}${rules.length === 0 ? "" : `; ${rulesText(rules)}`}.`;
}

function resultText({ isIdempotent, tests, base }: TransformReport, branch: string | null): string {
  const repeat = isIdempotent ? "A second run changes nothing more." : "A second run changes these files again.";
  if (branch === null) return `${repeat} This was a dry run: --branch leaves a branch, once the tests pass.`;
  const judged = tests === null ? "No tests were run" : `${tests.command} succeeded`;
  return `${repeat} ${judged}. It is on the branch ${branch}, from ${base.slice(0, 12)}; nothing is merged.`;
}
