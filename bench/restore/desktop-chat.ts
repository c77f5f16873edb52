import { execFileSync, spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { untilFound } from "../../test/harness/claude/claude-code.ts";
import type { Step } from "../../test/harness/claude/scripted-model.ts";
import { textAt } from "../../src/shared/json-fields.ts";
import {
  callsOfSave,
  guidanceIn,
  turnsBetweenSaves,
  type Guidance,
  type SeenTurn,
  type ToolCall,
} from "./desktop-model.ts";
import type { AppAnswer, AppOrder } from "./desktop-orders.ts";
import { projectSlot, type Chat, type EndsBy, type Habit, type SessionPlan, type Turn } from "./plan.ts";
import { afterDeath } from "./play.ts";
import { RestoreRig, git, kill } from "./restore-rig.ts";

const root = join(import.meta.dirname, "..", "..");
const server = [process.execPath, join(root, "bin", "shim.mjs"), "mcp"];

/** Claude Desktop with SHIM's server: one process for all chats. */
class DesktopApp {
  readonly #rig: RestoreRig;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #answers: AsyncIterator<string>;

  constructor(rig: RestoreRig) {
    this.#rig = rig;
    const env = { HOME: rig.home, PATH: process.env["PATH"] ?? "", SHIM_HOME: rig.shimHome };
    const program = join(import.meta.dirname, "desktop-app.ts");
    this.#child = spawn(process.execPath, [program, ...server], { env });
    this.#child.stdin.on("error", () => undefined);
    this.#child.stderr.pipe(process.stderr);
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async order(order: AppOrder): Promise<AppAnswer> {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
    const line = await this.#answers.next();
    if (line.done === true) throw new Error(`the app ended before it answered ${JSON.stringify(order).slice(0, 200)}`);
    return JSON.parse(line.value) as AppAnswer;
  }

  /** Ends it in the given way, and waits until nothing of it is left. */
  async end(by: EndsBy | "quit"): Promise<void> {
    const pid = this.#child.pid ?? 0;
    if (by === "quit") this.#child.stdin.end();
    else if (by === "power lost") this.#rig.killAll();
    else if (by === "SIGTERM") kill(pid, by);
    else {
      const servers = this.#rig.processes().filter(({ command }) => command.includes(" mcp"));
      const victims = by === "kill client" ? [] : servers;
      for (const one of [pid, ...victims.map((victim) => victim.pid)]) kill(one, "SIGKILL");
    }
    await untilFound(() => this.#rig.processes().length === 0 || null, "the end of the app");
  }
}

/** One chat with the scripted model, which works on the files of the project by tools of other servers. */
class DesktopChat {
  readonly #app: DesktopApp;
  readonly #rig: RestoreRig;
  readonly #guidance: Guidance;
  readonly #habit: Habit;
  #session: string | null = null;
  #unsaved: SeenTurn[] = [];

  private constructor(app: DesktopApp, rig: RestoreRig, guidance: Guidance, habit: Habit) {
    this.#app = app;
    this.#rig = rig;
    this.#guidance = guidance;
    this.#habit = habit;
  }

  static async open(app: DesktopApp, rig: RestoreRig, habit: Habit): Promise<DesktopChat> {
    return new DesktopChat(app, rig, guidanceIn((await app.order({ do: "read" })).text), habit);
  }

  /** The call that the instructions ask for at the start. */
  askForRecovery(): Promise<string> {
    return this.call({ name: "shim_check_recovery", input: this.#guidance.startsChats ? { start: true } : {} });
  }

  async call({ name, input }: ToolCall): Promise<string> {
    const known = this.#session !== null && this.#guidance.passesSession ? { session: this.#session } : {};
    const { text, session } = await this.#app.order({
      do: "call",
      name,
      input: { ...input, ...known, project: this.#rig.project },
    });
    this.#session = session ?? this.#session;
    return text;
  }

  async turn({ prompt, reply, steps }: Turn): Promise<void> {
    for (const step of steps) this.#work(step);
    this.#unsaved.push({ prompt, reply });
    const pause = turnsBetweenSaves[this.#habit];
    if (pause === null || this.#unsaved.length < pause) return;
    for (const call of callsOfSave(this.#guidance, this.#unsaved, this.#changedFiles())) await this.call(call);
    this.#unsaved = [];
  }

  #work({ tools = [] }: Step): void {
    for (const { name, input = {} } of tools) {
      const field = (key: string): string => (textAt(input, key) ?? "").replaceAll(projectSlot, this.#rig.project);
      const path = field("file_path");
      if (name === "Bash") runCommand(this.#rig, field("command"));
      else if (name === "Write") write(path, field("content"));
      else if (name === "Edit")
        write(path, readFileSync(path, "utf8").replace(field("old_string"), field("new_string")));
    }
  }

  #changedFiles(): string[] {
    const lines = git(this.#rig.project, "status", "--porcelain", "--untracked-files=all").split("\n");
    return lines.filter((line) => line !== "").map((line) => join(this.#rig.project, line.slice(3)));
  }
}

function write(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

function runCommand({ project, home }: RestoreRig, command: string): void {
  const env = { HOME: home, PATH: process.env["PATH"] ?? "" };
  execFileSync("sh", ["-c", command], { cwd: project, env, stdio: "pipe" });
}

/** Runs a session to its death in the scripted app, starts app and chat again, and reads what SHIM gives to it. */
export async function playInDesktop(plan: SessionPlan, habit: Habit): Promise<string> {
  const rig = RestoreRig.make(plan.files);
  try {
    if (plan.branch !== "main") git(rig.project, "checkout", "-q", "-b", plan.branch);
    const app = new DesktopApp(rig);
    if (plan.other) await converse(plan.other.chat, app, rig, habit);
    await converse(plan.main, app, rig, habit);
    await app.end(plan.endsBy);
    for (const one of plan.after) afterDeath(rig, one);
    const next = new DesktopApp(rig);
    const chat = await DesktopChat.open(next, rig, habit);
    const brief = await firstAnswer(chat, habit);
    await next.end("quit");
    return brief;
  } finally {
    await rig.remove();
  }
}

async function converse(chat: Chat, app: DesktopApp, rig: RestoreRig, habit: Habit): Promise<void> {
  const opened = await DesktopChat.open(app, rig, habit);
  await opened.askForRecovery();
  for (const part of chat.parts) if (part.do === "turn") await opened.turn(part.turn);
}

/** A typical model forgets to ask at the start: then its first save brings the brief. */
function firstAnswer(chat: DesktopChat, habit: Habit): Promise<string> {
  if (habit !== "typical") return chat.askForRecovery();
  return chat.call({ name: "shim_auto_checkpoint", input: { doing: "answering the user's greeting" } });
}
