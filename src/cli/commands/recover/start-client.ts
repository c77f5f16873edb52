import { codeOf } from "../../../shared/error.ts";
import { ok } from "../../../shared/result.ts";
import type { StartPlan } from "../../../local-mcp/recovery/relaunch.ts";
import { failed } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";

/** [CL12] Starts the client in a folder, in this terminal, without a shell. */
export async function startClient(cli: Cli, session: string, plan: StartPlan, cwd: string): Promise<CommandResult> {
  const printHint = `\`shim resume ${session} --print\` prints the brief.`;
  cli.progress(`In ${cwd}: ${plan.reason}.`);
  try {
    const code = await cli.io.startProcess({ command: plan.command, args: plan.args, cwd });
    if (code === 0) return ok({ data: { session, exit: code }, text: "" });
    return failed("client_failed", `claude ended with exit code ${code}. ${printHint}`);
  } catch (error) {
    return failed(
      "client_not_started",
      `${notStarted(error)}. Install Claude Code${manualCommand(plan)}. ${printHint}`,
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
