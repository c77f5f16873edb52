/**
 * A client that deploys step after step, with the hooks of Claude Code; its user refuses what the log says is done.
 * Arguments: a folder with deploy.sh, the session, the hook script, the number of steps.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [folder = "", session = "", script = "", steps = "1"] = process.argv.slice(2);

interface Answer {
  readonly hookSpecificOutput?: { readonly permissionDecision?: string };
}

function hook(event: string, fields: object): Answer {
  const common = { session_id: session, cwd: folder, transcript_path: join(folder, `${session}.jsonl`) };
  const input = JSON.stringify({ ...common, hook_event_name: event, prompt_id: session, ...fields });
  const { stdout } = spawnSync("/bin/sh", [script, process.execPath, event], { input, encoding: "utf8" });
  return stdout.trim() === "" ? {} : (JSON.parse(stdout) as Answer);
}

function isDone(step: string): boolean {
  const log = join(folder, "log");
  return existsSync(log) && readFileSync(log, "utf8").split("\n").includes(step);
}

hook("SessionStart", { source: "startup" });
hook("UserPromptSubmit", { prompt: "continue" });
for (let n = 0; n < Number(steps); n++) {
  const step = String(n);
  const tool = {
    tool_name: "Bash",
    tool_input: { command: `sh deploy.sh ${step}` },
    tool_use_id: `${session}-${step}`,
  };
  const { permissionDecision } = hook("PreToolUse", tool).hookSpecificOutput ?? {};
  if (permissionDecision !== undefined && isDone(step)) continue;
  spawnSync("sh", ["deploy.sh", step], { cwd: folder, stdio: "ignore" });
  hook("PostToolUse", { ...tool, tool_response: { stdout: "ok", stderr: "", interrupted: false }, duration_ms: 9 });
}
writeFileSync(join(folder, "over"), "");
