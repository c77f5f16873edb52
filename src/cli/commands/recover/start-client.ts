import { codeOf } from "../../../shared/error.ts";
import { ok } from "../../../shared/result.ts";
import { successorVariable } from "../../../local-mcp/recovery/successor.ts";
import { folderOf, type StartPlan } from "../../../local-mcp/recovery/relaunch.ts";
import type { Restoration } from "../../../local-mcp/recovery/restoration.ts";
import type { RecoverySource } from "../../../local-mcp/recovery/source.ts";
import { failed } from "../../answer.ts";
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
  if (cwd === null) return folderRefusal(from);
  if (newId !== null) source.reserve(from, newId);
  try {
    return await startClient(cli, id, plan, cwd);
  } finally {
    if (newId !== null) source.withdraw(id, newId);
  }
}

function folderRefusal({ session, elsewhere }: Restoration): CommandResult {
  const hint = printHint(session.id);
  if (!elsewhere)
    return failed("folder_gone", `the folder of the session (${session.cwd ?? "unknown"}) is gone. ${hint}`);
  const there = `${elsewhere.root ?? "no project"} on ${elsewhere.machine}`;
  return failed(
    "project_elsewhere",
    `this folder is not its project (${there}): run this in that project's folder on this machine. ${hint}`,
  );
}

/** [CL12] Starts the client in a folder, in this terminal, without a shell. */
async function startClient(cli: Cli, session: string, plan: StartPlan, cwd: string): Promise<CommandResult> {
  cli.progress(`In ${cwd}: ${plan.reason}.`);
  try {
    const { command, args, newId } = plan;
    const successor = newId === null ? {} : { env: { [successorVariable]: newId } };
    const code = await cli.io.startProcess({ command, args, cwd, ...successor });
    if (code === 0) return ok({ data: { session, exit: code }, text: "" });
    return failed("client_failed", `${command} ended with exit code ${code}. ${printHint(session)}`);
  } catch (error) {
    return failed(
      "client_not_started",
      `${notStarted(error, plan)}. Install ${plan.title}${manualCommand(plan)}. ${printHint(session)}`,
    );
  }
}

function notStarted(error: unknown, { command }: StartPlan): string {
  const isMissing = codeOf(error) === "ENOENT";
  return isMissing
    ? `\`${command}\` was not found on the PATH`
    : `\`${command}\` could not be started (${String(error)})`;
}

function manualCommand({ kind, command, args }: StartPlan): string {
  return kind === "resume" ? `, or start it yourself: ${[command, ...args].join(" ")}` : "";
}
