import type { Json } from "../contract/json.ts";
import type { ClaimedTask } from "../contract/tasks.ts";
import type { ChangeTask } from "./candidate.ts";

/** Rules of a change that a model makes, for the instruction of its settings. */
export const workerRules = [
  "The payload names findings of the project's own tools. Remove their cause, and nothing else.",
  "Change only the files it lists; new or changed tests are allowed, but no test may be deleted, skipped or made weaker.",
  "Keep the public API of the package. Silence no finding: no comment, setting, `any`, cast, `!`, `void`, name with an underscore or empty catch.",
  "Run the tests before you end. A judge then analyses the code again, runs the tests and measures their coverage: a change that adds a finding, breaks a test or lowers the coverage is thrown away.",
].join("\n");

/** Replaces the task's payload in the model's prompt. */
export function toWorkerTask(task: ClaimedTask, { candidate, rules }: ChangeTask): ClaimedTask {
  const findings = candidate.findings.map(({ tool, rule, file, range, message }) => ({
    tool,
    rule,
    file,
    range,
    message,
  }));
  const payload = { goal: candidate.subject, files: candidate.files, findings, mayChangeApi: rules.allowsApi };
  return { ...task, payload: payload as unknown as Json };
}
