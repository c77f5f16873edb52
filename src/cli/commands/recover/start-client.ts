import { existsSync } from "node:fs";
import { codeOf } from "../../../shared/error.ts";
import { ok, type Result } from "../../../shared/result.ts";
import type { StartPlan } from "../../../local-mcp/recovery/relaunch.ts";
import type { Restoration } from "../../../local-mcp/recovery/restoration.ts";
import type { RecoverySource } from "../../../local-mcp/recovery/source.ts";
import { failed, type CommandError } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";

export function printHint(session: string): string {
  return `\`shim resume ${session} --print\` prints the brief.`;
}

/** A new chat continues the session once it has begun; without that nothing changes. */
export async function start(
  cli: Cli,
  source: RecoverySource,
  from: Restoration,
  plan: StartPlan,
): Promise<CommandResult> {
  const { id } = from.session;
  const { newId } = plan;
  const cwd = folderOf(from);
  if (!cwd.ok) return cwd;
  if (newId !== null) source.reserve(from, newId);
  try {
    return await startClient(cli, id, plan, cwd.value);
  } finally {
    if (newId !== null) source.withdraw(id, newId);
  }
}

function folderOf({ session, elsewhere }: Restoration): Result<string, CommandError> {
  if (!elsewhere) {
    const cwd = [session.cwd, session.project].find((folder) => folder !== null && existsSync(folder));
    if (cwd) return ok(cwd);
    return failed(
      "folder_gone",
      `the folder of the session (${session.cwd ?? "unknown"}) is gone. ${printHint(session.id)}`,
    );
  }
  if (session.project !== null) return ok(session.project);
  const there = `${elsewhere.root ?? "no project"} on ${elsewhere.machine}`;
  return failed(
    "project_elsewhere",
    `this folder is not its project (${there}): go to that project's folder on this machine, then again. ${printHint(session.id)}`,
  );
}

/** [CL12] Starts the client in a folder, in this terminal, without a shell. */
async function startClient(cli: Cli, session: string, plan: StartPlan, cwd: string): Promise<CommandResult> {
  cli.progress(`In ${cwd}: ${plan.reason}.`);
  try {
    const code = await cli.io.startProcess({ command: plan.command, args: plan.args, cwd });
    if (code === 0) return ok({ data: { session, exit: code }, text: "" });
    return failed("client_failed", `claude ended with exit code ${code}. ${printHint(session)}`);
  } catch (error) {
    return failed(
      "client_not_started",
      `${notStarted(error)}. Install Claude Code${manualCommand(plan)}. ${printHint(session)}`,
    );
  }
}

function notStarted(error: unknown): string {
  const isMissing = codeOf(error) === "ENOENT";
  return isMissing ? "`claude` was not found on the PATH" : `\`claude\` could not be started (${String(error)})`;
}

function manualCommand({ kind, command, args }: StartPlan): string {
  return kind === "resume" ? `, or start it yourself: ${[command, ...args].join(" ")}` : "";
}
