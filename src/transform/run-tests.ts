import { fail, type Failure } from "../shared/failure.ts";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { objectAt, parseObject, textAt } from "../shared/json-fields.ts";
import { ok, type Result } from "../shared/result.ts";
import { withoutSecrets } from "../platform/secret-env.ts";
import { runProgram } from "../worker-runner/run-program.ts";
import type { WorkDeps } from "../worker-runner/work-deps.ts";
import { linkModulesInside } from "./link-modules.ts";
import type { Tests, TransformRequest } from "./request.ts";
import type { ThrowawayWorktree } from "./throwaway-worktree.ts";

const graceMs = 5_000;
const maxChars = 2_000;

/** [TX11] Tests are code of the project. @returns null: none were to run */
export async function runTests(
  { env }: WorkDeps,
  request: TransformRequest,
  worktree: ThrowawayWorktree,
  { project, tests }: { readonly project: string; readonly tests: Tests },
): Promise<Result<{ readonly command: string } | null, Failure>> {
  if (tests === "none") return ok(null);
  const cwd = join(worktree.tree, project);
  const command = tests === "script" ? testScript(cwd) : tests;
  if (command === null) return fail("no_tests", `there is no script for tests in ${join(project, "package.json")}.`);
  if (!request.isTrusted) return fail("not_trusted", "the tests are code of the project.");
  await linkModulesInside(worktree.git(request.signal), { top: request.source.top, tree: worktree.tree });
  const limit = AbortSignal.timeout(request.timeoutMs);
  let output = "";
  const onText = (text: string): void => {
    output = (output + text).slice(-maxChars);
    request.onOutput(text);
  };
  const [program, ...args] = command;
  const exit = await runProgram({
    command: program,
    args,
    cwd,
    env: { ...withoutSecrets(env), CI: "1" },
    input: "",
    signal: AbortSignal.any([request.signal, limit]),
    graceMs,
    onLine: (line) => onText(`${line}\n`),
    onStderr: onText,
  });
  const name = command.join(" ");
  if (request.signal.aborted) return fail("stopped", "the transform was stopped.");
  if (limit.aborted) return fail("tests_failed", `${name} took longer than ${request.timeoutMs} ms.`);
  if (exit.kind === "not_started") return fail("tests_failed", `${name} cannot be started: ${exit.message}.`);
  if (exit.code === 0) return ok({ command: name });
  return fail("tests_failed", `${name} ended with exit code ${exit.code}:\n${output.trim()}\n`);
}

/** The script that `npm init` writes is no test. */
function testScript(folder: string): readonly [string, ...string[]] | null {
  const path = join(folder, "package.json");
  if (!existsSync(path)) return null;
  const script = textAt(objectAt(parseObject(readFileSync(path, "utf8")), "scripts"), "test");
  return script === null || script.includes("no test specified") ? null : ["npm", "test"];
}
