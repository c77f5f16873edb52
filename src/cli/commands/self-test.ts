import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { arch, homedir, hostname, release, tmpdir, userInfo } from "node:os";
import { basename, join } from "node:path";
import type { HookEvent } from "../../contract/hook-input.ts";
import type { MachineInput, MachineOperationName, MachineOutput } from "../../contract/machine/operations.ts";
import { hookCommand, serverCommand } from "../../installer/entries.ts";
import { type ServiceFile, serviceFile } from "../../installer/service.ts";
import { McpConnection, type Message, record } from "../../platform/mcp-connection.ts";
import { type Paths, pathsIn } from "../../platform/paths.ts";
import { pollUntil } from "../../platform/process-group.ts";
import { systemProcesses } from "../../platform/processes.ts";
import { version } from "../../platform/version.ts";
import { messageOf } from "../../shared/error.ts";
import { ok } from "../../shared/result.ts";
import type { Cli, CommandResult } from "../cli.ts";
import type { Lines } from "../views.ts";

/** [IP7] Does what a chat needs of SHIM, with real processes in a temporary folder. */
export async function selfTest(cli: Cli): Promise<CommandResult> {
  const startedAt = performance.now();
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "shim-self-test-")));
  const { node } = cli.io.launch;
  const words: PersonalWords = [
    [folder, "<test>"],
    [tmpdir(), "<tmp>"],
    [homedir(), "<home>"],
    [node, basename(node)],
    [userInfo().username, "<user>"],
    [hostname(), "<machine>"],
  ];
  try {
    cli.progress("Testing in a temporary folder ...");
    const bench = new SelfTestBench(cli, folder);
    for (const name of ["shim", "project"]) mkdirSync(join(folder, name), { mode: 0o700 });
    const checks: SelfTestCheck[] = [];
    for (const step of steps) checks.push(await check(step, bench, words));
    await bench.end();
    const about = aboutMachine(cli);
    const isPassed = checks.every(({ state }) => state === "ok");
    const report = { isPassed, ms: since(startedAt), about, checks };
    return ok({ data: report, text: reportLines(report), isFailed: !isPassed, isVerbatim: true });
  } finally {
    // Windows frees the files of a killed process late.
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}

async function check([name, run]: Step, bench: SelfTestBench, words: PersonalWords): Promise<SelfTestCheck> {
  const startedAt = performance.now();
  const result = await run(bench).then(
    (text) => ({ state: "ok" as const, text }),
    (error: unknown) => ({ state: "failed" as const, text: messageOf(error) }),
  );
  return { name, state: result.state, ms: since(startedAt), text: withoutPersonal(result.text, words) };
}

function since(startedAt: number): number {
  return Math.round(performance.now() - startedAt);
}

/** Versions only: what is found first in a line of words may be a person's. */
function aboutMachine({ io }: Cli): Readonly<Record<string, string>> {
  const versionIn = (program: string): string =>
    /(?<!\d)\d+\.\d+[\w.]*/.exec(io.versionOf(program) ?? "")?.[0] ?? "none";
  return {
    shim: version,
    system: `${io.machine.platform} ${release()} ${arch()}`,
    node: io.nodeVersion,
    git: versionIn("git"),
    "claude code": versionIn("claude"),
  };
}

/** A host saves what it has before it ends. */
const hostEndMs = 15_000;

/** A client for the server and the hooks of this copy, with a store in a temporary folder. */
class SelfTestBench {
  readonly cli: Cli;
  readonly folder: string;
  readonly project: string;
  readonly paths: Paths;
  readonly session = randomUUID();
  readonly #env: NodeJS.ProcessEnv;
  readonly #servers: McpConnection[] = [];

  constructor(cli: Cli, folder: string) {
    this.cli = cli;
    this.folder = folder;
    this.project = join(folder, "project");
    this.paths = pathsIn(join(folder, "shim"));
    const own = Object.entries(cli.io.env).filter(([name]) => !/^(SHIM|CLAUDE)/.test(name));
    const moved = { SHIM_HOME: this.paths.home, XDG_CACHE_HOME: join(folder, "cache") };
    this.#env = { ...Object.fromEntries(own), ...moved };
  }

  async server(): Promise<McpConnection> {
    const program = serverCommand(this.cli.io.launch);
    const server = new McpConnection({ ...program, env: this.#env, cwd: this.project });
    this.#servers.push(server);
    await server.initialize("self-test");
    return server;
  }

  /** @returns what the hook printed */
  hook(event: HookEvent, fields: Message = {}): string {
    const own = { CLAUDECODE: "1", CLAUDE_PID: String(process.pid), CLAUDE_CODE_SESSION_ID: this.session };
    const input = { session_id: this.session, hook_event_name: event, cwd: this.project, ...fields };
    const { command, args } = hookCommand(this.cli.io.launch, event);
    const { printed, errors } = this.#run(`the ${event} hook`, [command, ...args], input, own);
    if (errors !== "") throw new Error(`the ${event} hook printed: ${errors}`);
    return printed;
  }

  /** Does an operation on what is stored here, as another process. */
  call<Name extends MachineOperationName>(name: Name, input: MachineInput<Name>): MachineOutput<Name> {
    const { node, script } = this.cli.io.launch;
    const { printed } = this.#run(name, [node, script, "call", name, "--input", "-", "--json"], input);
    return JSON.parse(printed) as MachineOutput<Name>;
  }

  #run(
    name: string,
    [command = "", ...args]: readonly string[],
    input: object,
    more: NodeJS.ProcessEnv = {},
  ): { readonly printed: string; readonly errors: string } {
    const env = { ...this.#env, ...more };
    const options = { cwd: this.project, env, input: JSON.stringify(input), encoding: "utf8" } as const;
    const { status, stdout, stderr, error } = spawnSync(command, args, options);
    if (error) throw error;
    if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr.trim()}`);
    return { printed: stdout, errors: stderr.trim() };
  }

  async end(): Promise<void> {
    for (const server of this.#servers) server.process.kill("SIGKILL");
    await Promise.all(this.#servers.map((server) => server.ended));
    // Where no command starts, none has started a host.
    let host: MachineOutput<"host.stop">["host"] = null;
    try {
      ({ host } = this.call("host.stop", {}));
    } catch (error) {
      this.cli.progress(messageOf(error));
    }
    // Its last files are closed before their folder is removed.
    await pollUntil(() => host === null || systemProcesses.facts(host.pid) === null, hostEndMs);
  }
}

/** Printed as JSON: names are stable. */
interface SelfTestCheck {
  readonly name: string;
  readonly state: "ok" | "failed";
  readonly ms: number;
  readonly text: string;
}

export interface SelfTestReport {
  readonly isPassed: boolean;
  readonly ms: number;
  readonly about: Readonly<Record<string, string>>;
  readonly checks: readonly SelfTestCheck[];
}

/** [IP8] Words of this machine that name its user, each with what is printed instead. */
type PersonalWords = readonly (readonly [word: string, instead: string])[];

const minWordChars = 2;

/** [IP8] The longest first: a home holds the user's name. */
export function withoutPersonal(text: string, words: PersonalWords): string {
  const known = words.filter(([word]) => word.length >= minWordChars).toSorted(([a], [b]) => b.length - a.length);
  return known.reduce((rest, [word, instead]) => rest.replaceAll(word, instead), text);
}

function reportLines({ isPassed, ms, about, checks }: SelfTestReport): Lines {
  const count = checks.filter(({ state }) => state === "failed").length;
  return [
    "SHIM self-test",
    ...Object.entries(about).map(([name, value]) => `${name}: ${value}`),
    "",
    ...checks.map((one) => `${one.state.padEnd(6)}  ${one.name}: ${one.text} (${one.ms} ms)`),
    `${checks.length - count} ok, ${count} failed, ${ms} ms`,
    "",
    "The report holds no names, paths or texts of yours, so you can send it as it is.",
    !isPassed && "Please send it: it shows what SHIM does not do on this system.",
  ];
}

/** Its result is what was seen; it throws where SHIM would not save a chat. */
type Step = readonly [name: string, run: (bench: SelfTestBench) => Promise<string>];

/** [IP7] Hooks last: by them a server would know this process as a client that still runs. */
const steps: readonly Step[] = [
  ["checkpoint", saveAndRecover],
  ["hooks", answerHooks],
  ["store", checkStore],
  ["permissions", checkPermissions],
  ["processes", listProcesses],
  ["service file", writeServiceFile],
];

const prompt = "The self-test of SHIM asks for nothing.";

async function answerHooks(bench: SelfTestBench): Promise<string> {
  const started = bench.hook("SessionStart", { source: "startup" });
  if (started !== "") record(JSON.parse(started));
  bench.hook("UserPromptSubmit", { prompt });
  const call = { tool_name: "Read", tool_input: { file_path: join(bench.project, "a.txt") }, tool_use_id: "toolu_1" };
  bench.hook("PreToolUse", call);
  bench.hook("PostToolUse", { ...call, tool_response: { type: "text" }, duration_ms: 1 });
  bench.hook("Stop", { last_assistant_message: "Done." });
  const { journal } = bench.call("sessions.stored", { session: bench.session });
  if (!JSON.stringify(journal).includes(prompt)) throw new Error("the prompt is not in the journal");
  return `5 events answered, ${journal.length} entries stored`;
}

const work = { goal: "survive the end of this process", nextStep: `continue with step ${process.pid}` };

async function saveAndRecover(bench: SelfTestBench): Promise<string> {
  const first = await bench.server();
  const saved = await first.callTool("shim_force_checkpoint", { ...work, project: bench.project });
  if (saved.isError) throw new Error(`shim_force_checkpoint: ${saved.text}`);
  first.process.kill("SIGKILL");
  await first.ended;
  const second = await bench.server();
  const { text } = await second.callTool("shim_check_recovery", { project: bench.project });
  second.process.stdin.end();
  await second.ended;
  if (!text.includes(work.nextStep)) throw new Error(`the next process was not offered the next step: ${text}`);
  return "saved, its process killed, and offered to the next one";
}

async function checkStore(bench: SelfTestBench): Promise<string> {
  const { checks } = bench.call("checks.run", { group: "store" });
  const problems = checks.filter(({ state }) => state === "fail").map(({ name, text }) => `${name}: ${text}`);
  if (problems.length > 0) throw new Error(`the store is not sound: ${problems.join("; ")}`);
  const [sqlite] = checks;
  return `sound after the kill, by ${sqlite?.text}`;
}

async function checkPermissions({ paths }: SelfTestBench): Promise<string> {
  if (process.platform === "win32") return "inherited from the user's folder";
  const wanted = { [paths.home]: 0o700, [paths.database]: 0o600 };
  for (const [path, mode] of Object.entries(wanted)) {
    const found = statSync(path).mode & 0o777;
    if (found !== mode) throw new Error(`${path} has mode ${found.toString(8)} instead of ${mode.toString(8)}`);
  }
  return "only the user can read the store";
}

/** Windows says only that a process lives [ID1]. */
async function listProcesses(bench: SelfTestBench): Promise<string> {
  const server = await bench.server();
  const facts = systemProcesses.facts(server.pid);
  server.process.kill("SIGKILL");
  await server.ended;
  if (facts === null) throw new Error("a running process was not found");
  if (systemProcesses.facts(server.pid) !== null) throw new Error("a killed process still counts as running");
  if (process.platform === "win32") return "a process is found while it runs; parent and start are not known here";
  if (facts.parent !== process.pid) throw new Error(`the parent is ${facts.parent} instead of ${process.pid}`);
  if (!/\d/.test(facts.start)) throw new Error(`the start of the process is not known: "${facts.start}"`);
  return `pid, parent and start ("${facts.start}") are known`;
}

async function writeServiceFile({ cli, folder, paths }: SelfTestBench): Promise<string> {
  const file = serviceFile(cli.io.machine, cli.paths.home);
  const { system } = file;
  const { launch, env } = cli.io;
  const path = join(folder, basename(file.path));
  writeFileSync(path, file.textOf({ launch, home: paths.home, path: env["PATH"] ?? "", stopSeconds: 60 }));
  const [program, ...args] = checkers[system];
  const ran = cli.io.runQuietly(program, [...args, path]);
  if (ran === null) return `written for ${system}; ${program}, which would check it, was not found`;
  if (ran.code !== 0) throw new Error(`${program} does not accept the file for ${system}: ${ran.text.trim()}`);
  return `written for ${system}, and accepted by ${program}`;
}

/** The system's own programs that check such a file; each gets the path as its last word. */
const checkers: Readonly<Record<ServiceFile["system"], readonly [program: string, ...args: string[]]>> = {
  systemd: ["systemd-analyze", "--user", "verify"],
  launchd: ["plutil", "-lint"],
  "task-scheduler": [
    "powershell",
    "-NoProfile",
    "-NonInteractive",
    "-Command",
    "& { param($path) [void][xml](Get-Content -Raw -LiteralPath $path) }",
  ],
};
