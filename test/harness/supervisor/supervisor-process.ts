import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { onTestFinished, vi } from "vitest";
import { systemProcesses } from "#src/platform/processes.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";

/** The built program behind its launcher, as a user or a service starts it. */
const launcher = join(import.meta.dirname, "..", "..", "..", "bin", "shim.mjs");

/**
 * Stands for Claude Code: runs the hooks of the settings that it is given, writes a transcript, has a tool in its group and one outside of it, and works until
 * it is killed. `broken` in its folder: it leaves half a line in its transcript. Whether another one lives it sees itself.
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
const prompt = fs.readFileSync(0, "utf8");
const told = hook("SessionStart", { source: isResumed ? "resume" : "startup" });
hook("UserPromptSubmit", { prompt });
const line = JSON.stringify({ type: "user", sessionId: session_id, message: { role: "user", content: "x" } }) + "\\n";
fs.appendFileSync(transcript_path, fs.existsSync(at("broken")) ? line + line.slice(0, 20) : line);
const entry = { session: session_id, isResumed, prompt, told, pids, keeper: process.ppid, alive };
fs.appendFileSync(at("runs.jsonl"), JSON.stringify(entry) + "\\n");
setInterval(() => 0, 1000);
`;

/** One start of the stand-in, once it works. */
export interface ClaudeRun {
  readonly session: string;
  readonly isResumed: boolean;
  readonly prompt: string;
  /** What its SessionStart hook has said. */
  readonly told: string;
  /** Its own, and those of its two tools. */
  readonly pids: readonly number[];
  readonly keeper: number;
  /** Of the run before, what lived when this one began. */
  readonly alive: readonly string[];
}

export interface SupervisorProcess {
  readonly child: ChildProcess;
  readonly events: { readonly event: string; readonly [field: string]: unknown }[];
  readonly code: Promise<number | null>;
}

export const prompt = "Make the parser accept empty input.";

/** A home with one supervised Claude Code in it. */
export class SupervisorProcessRig {
  readonly folder = temporaryFolder();
  readonly home = join(this.folder, "shim");
  readonly env = { PATH: process.env["PATH"], HOME: this.folder, SHIM_HOME: this.home };

  constructor(restarts: object) {
    for (const name of ["shim", "project", "bin"]) mkdirSync(join(this.folder, name));
    const program = join(this.folder, "bin", "claude");
    writeFileSync(program, claude(process.execPath));
    chmodSync(program, 0o755);
    const fix = { kind: "claude", folder: join(this.folder, "project"), prompt, program };
    writeFileSync(join(this.home, "supervisor.json"), JSON.stringify({ watch: { fix }, restarts }));
  }

  supervise(): SupervisorProcess {
    const args = [launcher, "supervise", "--json"];
    const child = spawn(process.execPath, args, { env: this.env, stdio: ["ignore", "pipe", "inherit"] });
    onTestFinished(() => void child.kill("SIGKILL"));
    const events: SupervisorProcess["events"] = [];
    createInterface({ input: child.stdout }).on("line", (line) =>
      events.push(JSON.parse(line) as (typeof events)[number]),
    );
    const code = new Promise<number | null>((resolve) => void child.once("exit", resolve));
    return { child, events, code };
  }

  shim(...args: string[]): Record<string, unknown> {
    const ran = spawnSync(process.execPath, [launcher, ...args, "--json"], { env: this.env, encoding: "utf8" });
    return JSON.parse(ran.stdout) as Record<string, unknown>;
  }

  /** Whether the next one leaves a transcript that cannot be resumed. */
  breakTranscripts(isBroken: boolean): void {
    const path = join(this.folder, "bin", "broken");
    if (isBroken) writeFileSync(path, "");
    else rmSync(path, { force: true });
  }

  runs(): ClaudeRun[] {
    const path = join(this.folder, "bin", "runs.jsonl");
    if (!existsSync(path)) return [];
    return readFileSync(path, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as ClaudeRun);
  }

  /** Waits for the start of this number, the first one being 1, and answers it. */
  async run(number: number): Promise<ClaudeRun> {
    return vi.waitFor(
      () => {
        const run = this.runs()[number - 1];
        if (!run) throw new Error(`run ${number} has not begun`);
        return run;
      },
      { timeout: 30_000, interval: 20 },
    );
  }
}

export function isThere(pid: number): boolean {
  return systemProcesses.facts(pid) !== null;
}

/** Numbers from 0 up to `below`, the same in each run. */
export function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
