import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemProcesses } from "#src/platform/processes.ts";
import { untilFound } from "#harness/claude/claude-code.ts";
import { type EventProcess, MachineHome } from "#harness/machine/programs.ts";

/**
 * Stands for Claude Code: runs the hooks of the settings that it is given, writes a transcript, has a tool in its group and one outside of it, and works until
 * it is killed. `broken` in its folder: no line of its transcript can be read. Whether another one lives it sees itself.
 */
const claude = (node: string): string => `#!${node}
const fs = require("node:fs");
const { spawn, spawnSync } = require("node:child_process");
const at = (name) => __dirname + "/" + name;
const args = process.argv.slice(2);
const after = (option) => args[args.indexOf(option) + 1];
const isResumed = args.includes("--resume");
const session_id = after(isResumed ? "--resume" : "--session-id");
const transcript_path = at(session_id + ".jsonl");
const { hooks } = JSON.parse(fs.readFileSync(after("--settings"), "utf8"));
function hook(hook_event_name, more) {
  const [{ hooks: [{ command, args }] }] = hooks[hook_event_name];
  const input = JSON.stringify({ session_id, transcript_path, cwd: process.cwd(), hook_event_name, ...more });
  const env = { ...process.env, CLAUDECODE: "1", CLAUDE_CODE_ENTRYPOINT: "sdk-cli" };
  return spawnSync(command, args, { input, env, encoding: "utf8" }).stdout;
}
function isThere(pid) {
  try {
    return !/\\) Z/.test(fs.readFileSync("/proc/" + pid + "/stat", "utf8"));
  } catch {
    return false;
  }
}
const last = fs.existsSync(at("last")) ? fs.readFileSync(at("last"), "utf8").split(" ") : [];
const alive = last.filter(isThere);
const idle = ["-e", "setInterval(() => 0, 1000)"];
const tools = [spawn(process.execPath, idle), spawn(process.execPath, idle, { detached: true })];
const pids = [process.pid, ...tools.map(({ pid }) => pid)];
fs.writeFileSync(at("last"), pids.join(" "));
const part = Buffer.alloc(1_000_000);
let given = "";
while (!given.includes("\\n")) given += part.toString("utf8", 0, fs.readSync(0, part));
const prompt = JSON.parse(given).message.content;
console.log(JSON.stringify({ type: "system", subtype: "init", session_id }));
const context = hook("SessionStart", { source: isResumed ? "resume" : "startup" });
hook("UserPromptSubmit", { prompt });
const line = JSON.stringify({ type: "user", sessionId: session_id, message: { role: "user", content: "x" } }) + "\\n";
if (fs.existsSync(at("broken"))) fs.writeFileSync(transcript_path, line.slice(0, 20));
else fs.appendFileSync(transcript_path, line);
const entry = { session: session_id, isResumed, prompt, context, pids, keeper: process.ppid, alive };
fs.appendFileSync(at("runs.jsonl"), JSON.stringify(entry) + "\\n");
setInterval(() => 0, 1000);
`;

/** One start of the stand-in, once it works. */
export interface ClaudeRun {
  readonly session: string;
  readonly isResumed: boolean;
  readonly prompt: string;
  /** What its SessionStart hook has printed. */
  readonly context: string;
  /** Its own, and those of its two tools. */
  readonly pids: readonly number[];
  readonly keeper: number;
  /** Of the run before, what lived when this one began. */
  readonly alive: readonly string[];
}

export const prompt = "Make the parser accept empty input.";

/** A home with one supervised Claude Code in it. */
export class SupervisorProcessRig extends MachineHome {
  constructor(restarts: object) {
    super();
    const program = join(this.home, "bin", "claude");
    writeFileSync(program, claude(process.execPath), { mode: 0o755 });
    const fix = { kind: "claude", folder: this.project, prompt, program };
    mkdirSync(this.paths.home);
    writeFileSync(join(this.paths.home, "supervisor.json"), JSON.stringify({ watch: { fix }, restarts }));
  }

  supervise(): EventProcess {
    return this.start("worker", "supervise", "--json");
  }

  /** Whether the next one leaves a transcript that cannot be resumed. */
  breakTranscripts(isBroken: boolean): void {
    const path = join(this.home, "bin", "broken");
    if (isBroken) writeFileSync(path, "");
    else rmSync(path, { force: true });
  }

  runs(): ClaudeRun[] {
    const path = join(this.home, "bin", "runs.jsonl");
    if (!existsSync(path)) return [];
    const lines = readFileSync(path, "utf8").trim().split("\n");
    return lines.map((line) => JSON.parse(line) as ClaudeRun);
  }

  /** The start of this number, the first one being 1, once it works. */
  started(number: number): Promise<ClaudeRun> {
    return untilFound(() => this.runs()[number - 1], `run ${number}`);
  }
}

export function isThere(pid: number): boolean {
  return systemProcesses.facts(pid) !== null;
}
