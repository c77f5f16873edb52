import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { systemProcesses } from "#src/platform/processes.ts";
import { untilFound } from "#harness/claude/claude-code.ts";
import { type EventProcess, MachineHome, patience } from "#harness/machine/programs.ts";
import { killEvery } from "#harness/machine/process-tree.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { setting } from "#harness/machine/mcp-process.ts";

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
interface ClaudeRun {
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

const prompt = "Make the parser accept empty input.";

/** A home with one supervised Claude Code in it. */
class SupervisorProcessRig extends MachineHome {
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

function isThere(pid: number): boolean {
  return systemProcesses.facts(pid) !== null;
}

/** `npm run stress -- supervise-kills --rounds 200` */
const rounds = setting("SHIM_KILL_ROUNDS", 12);
const seed = setting("SHIM_KILL_SEED", 1);
const quick = { firstMs: 10, mostMs: 50, loopCrashes: 1_000_000 };

/** Nothing of a run is left. */
function gone({ pids }: ClaudeRun): Promise<void> {
  return vi.waitFor(() => expect(pids.filter(isThere)).toEqual([]), patience);
}

/** Kills Claude Code itself, the process that keeps it, all of its group, or first its tools. */
function kill({ pids, keeper }: ClaudeRun, draw: (below: number) => number): void {
  const [own = 0, ...tools] = pids;
  const signal = (["SIGKILL", "SIGSEGV", "SIGABRT"] as const)[draw(3)] ?? "SIGKILL";
  switch (draw(4)) {
    case 0:
      return void process.kill(own, signal);
    case 1:
      return void process.kill(keeper, "SIGKILL");
    case 2:
      return void process.kill(-keeper, "SIGKILL");
    default:
      killEvery([...tools, own].map((pid) => ({ pid })));
  }
}

/** The next run goes on with this one: in its session, or in a new one that has its brief. */
function expectToContinue(next: ClaudeRun, before: ClaudeRun, isBroken: boolean): void {
  expect([next.alive, before.pids.filter(isThere)]).toEqual([[], []]);
  expect(next.isResumed).toBe(!isBroken);
  expect(next.session === before.session).toBe(!isBroken);
  const brief = isBroken ? next.prompt : next.context;
  expect(brief).toContain(before.session);
  expect(brief).toContain(prompt);
}

it(
  `${rounds} random kills: Claude Code works again each time, nothing is left over, never two @night`,
  async () => {
    const random = seededRandom(seed);
    const draw = (below: number): number => Math.floor(below * random());
    const home = new SupervisorProcessRig(quick);
    const supervisor = home.supervise();
    let before = await home.started(1);
    expect(before.prompt).toBe(prompt);
    // What a run writes is decided before it begins: with this file a transcript that cannot be resumed.
    const broken = join(home.home, "bin", "broken");
    let isBroken = false;
    for (let round = 1; round <= rounds; round++) {
      const isNextBroken = draw(3) === 0;
      if (isNextBroken) writeFileSync(broken, "");
      else rmSync(broken, { force: true });
      kill(before, draw);
      const next = await home.started(round + 1);
      expectToContinue(next, before, isBroken);
      before = next;
      isBroken = isNextBroken;
    }
    expect(home.runs()).toHaveLength(rounds + 1);
    supervisor.kill("SIGTERM");
    expect(await supervisor.ended).toBe(0);
    await gone(before);
  },
  rounds * 10_000 + 60_000,
);

it("a supervisor that is killed takes everything with it, and the next one continues with one of each @night", async () => {
  const home = new SupervisorProcessRig(quick);
  const runs: ClaudeRun[] = [];
  for (let round = 1; round <= 3; round++) {
    const supervisor = home.supervise();
    const run = await home.started(round);
    const before = runs.at(-1);
    if (before) expectToContinue(run, before, false);
    supervisor.kill("SIGKILL");
    await supervisor.ended;
    runs.push(run);
  }
  await gone(runs[2]!);
});
