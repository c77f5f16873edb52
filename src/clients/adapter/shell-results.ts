import { objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";

/** Pure: output and exit code of a command, from what a client tells its model. */

interface ShellResult extends JsonObject {
  readonly stdout: string;
  readonly exit_code?: number;
}

const outputStart = /^Output: /m;
/** Lines that Gemini CLI and its descendants put after the output. */
const detail =
  /^(?:<\/untrusted_context>|Error: \(none\)|Exit Code: .{1,20}|Signal: .{1,40}|Background PIDs: .*|Process Group PGID: .{1,20})$/;
const exitLine = /^Exit Code: (\d{1,10})$/;

/** @returns null: a text of another kind */
function shellResult(report: string | null): ShellResult | null {
  const start = report?.search(outputStart) ?? -1;
  if (report === null || start < 0) return null;
  let output = report.slice(start + "Output: ".length).trimEnd();
  let code: string | undefined;
  for (let at = output.lastIndexOf("\n"); at >= 0; at = output.lastIndexOf("\n")) {
    const line = output.slice(at + 1);
    if (!detail.test(line)) break;
    code ??= exitLine.exec(line)?.[1];
    output = output.slice(0, at);
  }
  return { stdout: output === "(empty)" ? "" : output, ...(code === undefined ? {} : { exit_code: Number(code) }) };
}

/** A failure in Claude Code's words. */
export function failedText({ stdout, exit_code: code }: ShellResult): string {
  return `Exit code ${code ?? "unknown"} ${stdout}`.trim();
}

/** The call of a command with Claude Code's fields; that of another tool stays as it is. */
export function withShellResult(input: JsonObject): JsonObject {
  if (input["tool_name"] !== "Bash") return input;
  const printed = shellResult(textAt(objectAt(input, "tool_response"), "llmContent"));
  const failed = shellResult(textAt(input, "error"));
  return {
    ...input,
    ...(printed === null ? {} : { tool_response: printed }),
    ...(failed === null ? {} : { error: failedText(failed) }),
  };
}

/** The tool of Gemini CLI and its descendants that runs commands. */
const shellTool = "run_shell_command";

/** @param answer a `functionResponse` of a transcript */
export function shellAnswer(answer: JsonObject | null): ShellResult | null {
  const report = objectAt(answer, "response");
  return textAt(answer, "name") === shellTool ? shellResult(textAt(report, "output") ?? textAt(report, "error")) : null;
}

/** Expression reads at most 200 characters: the end of a report. */
const completed = /\s*<shellId: \w{1,40} completed with exit code (\d{1,10})>\s*$/;

/** @param report of Copilot CLI. @param known exit code that a row names */
export function shellCompletion(report: string, known: number | null = null): ShellResult | null {
  const end = completed.exec(report.slice(-200));
  const code = known ?? (end === null ? null : Number(end[1]));
  if (code === null) return null;
  return { stdout: report.slice(0, report.length - (end?.[0].length ?? 0)), exit_code: code };
}
