import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, isAbsolute, join } from "node:path";
import { largestProcess, runProgram, type ProgramExit } from "../../platform/run-program.ts";
import { objectAt, parseObject, textAt } from "../../shared/json-fields.ts";
import { err, ok, fail, type Result } from "../../shared/result.ts";
import { ranNoTests } from "../../shared/test-output.ts";
import type { InstalledTool, ToolCommand, ToolOutput } from "../analysis/adapter.ts";

/** Words before a command, which then has no network; null: this system has none. */
type Namespace = readonly string[] | null;

const probeMs = 5_000;
/** The first word that follows is the program. */
const withLoopback = ["sh", "-c", 'ip link set lo up && exec "$0" "$@"'];

const probed = new Map<string, Namespace>();

/**
 * Asks the system once what it allows: a network namespace without interfaces, or with the
 * loopback interface alone. Linux only.
 */
function namespaceOf(env: NodeJS.ProcessEnv, hasLoopback = false): Namespace {
  const path = systemPath(env);
  const key = `${hasLoopback} ${path}`;
  const known = probed.get(key);
  const namespace = known === undefined ? probe(path, hasLoopback) : known;
  probed.set(key, namespace);
  return namespace;
}

/** @param path where programs are searched */
function probe(path: string, hasLoopback: boolean): Namespace {
  const canRun = ([program = "", ...args]: readonly string[]): boolean =>
    process.platform === "linux" &&
    spawnSync(program, [...args, "true"], { stdio: "ignore", timeout: probeMs, env: { PATH: path } }).status === 0;
  const namespaces = [
    ["unshare", "--net"],
    // Files of other users cannot be written in a namespace of users, whatever the user may do.
    ["unshare", "--map-root-user", "--net"],
  ];
  return namespaces.map((words) => words.concat(hasLoopback ? withLoopback : [])).find(canRun) ?? null;
}

/** Limits that do not hold for tools on this system. */
export function missingLimits(env: NodeJS.ProcessEnv): string[] {
  return [
    ...(namespaceOf(env) === null ? ["The network was NOT blocked for tools on this system."] : []),
    ...(process.platform === "linux" ? [] : ["The memory of tools was limited for Node programs only."]),
  ];
}

/** Characters; above it a tool is stopped. */
const maxOutputChars = 100_000_000;
const maxStderrChars = 20_000;
/** Between TERM and KILL. */
const graceMs = 2_000;
const memoryCheckMs = 250;
const bytesPerMb = 1_048_576;

/** Limits of a tool. */
export const defaultTimeMs = 300_000;
const defaultMemoryMb = 4_096;

interface ToolStart {
  readonly tool: InstalledTool;
  readonly command: ToolCommand;
  readonly folder: string;
  /** Private, also the tool's home. */
  readonly scratch: string;
  readonly env: NodeJS.ProcessEnv;
  /** Its processes speak with each other over the loopback interface. */
  readonly hasLoopback?: boolean;
  /** Limit of what is resident in each process: runtimes reserve many times what they use. */
  readonly memoryMb?: number;
  readonly timeMs: number;
  readonly signal: AbortSignal;
}

/**
 * Runs a tool without a shell, in a process group of its own that has ended when this
 * resolves. The error says why there is no whole output.
 */
export async function runTool(start: ToolStart): Promise<Result<ToolOutput, string>> {
  const { tool, command, folder, env, memoryMb = defaultMemoryMb, timeMs } = start;
  const capped = new AbortController();
  const timeout = AbortSignal.timeout(timeMs);
  const parts: string[] = [];
  let chars = 0;
  let stderr = "";
  const full = new AbortController();
  const checkMemory = (group: number): void => {
    if (largestProcess(group) > memoryMb * bytesPerMb) full.abort();
  };
  let memoryTimer: NodeJS.Timeout | undefined;
  const words = [
    ...(namespaceOf(env, start.hasLoopback) ?? []),
    ...(tool.isScript ? [process.execPath] : []),
    tool.path,
    ...command.args,
  ];
  const [program = tool.path, ...args] = words;
  const exit = await runProgram({
    command: program,
    args,
    cwd: folder,
    env: toolEnv(start),
    input: "",
    signal: AbortSignal.any([timeout, capped.signal, full.signal, start.signal]),
    graceMs,
    onStart: (group) => (memoryTimer = setInterval(checkMemory, memoryCheckMs, group)),
    onEnd: () => clearInterval(memoryTimer),
    onLine: () => undefined,
    onText: (text) => {
      chars += text.length;
      if (chars <= maxOutputChars) parts.push(text);
      else capped.abort();
    },
    onStderr: (text) => (stderr = (stderr + text).slice(0, maxStderrChars)),
  });
  const stops = [
    [start.signal, "stopped before it was done"],
    [capped.signal, `its output has more than ${maxOutputChars} characters`],
    [full.signal, `one of its processes used more than ${memoryMb} MB of memory`],
    [timeout, `took longer than ${timeMs / 1_000} s`],
  ] as const;
  const stopped = stops.find(([{ aborted }]) => aborted);
  return stopped ? err(stopped[1]) : toOutput(exit, parts.join(""), stderr);
}

function toOutput(exit: ProgramExit, stdout: string, stderr: string): Result<ToolOutput, string> {
  if (exit.kind === "not_started") return err(`cannot be started: ${exit.message}`);
  return ok({ code: exit.code, stdout, stderr });
}

/** Variables that programs need to run at all; none is a token, a key or an address. */
const passedVariables = /^(?:PATHEXT|SYSTEMROOT|WINDIR|COMSPEC|LANG|LANGUAGE|LC_\w+|TZ)$/i;

/** Without folders of a project: `git` or `unshare` is never a file of one. */
function systemPath(env: NodeJS.ProcessEnv): string {
  const folders = (env["PATH"] ?? "").split(delimiter);
  return folders.filter((folder) => isAbsolute(folder) && !folder.includes("node_modules")).join(delimiter);
}

function toolEnv({ env, scratch, memoryMb = defaultMemoryMb }: ToolStart): NodeJS.ProcessEnv {
  return {
    ...Object.fromEntries(Object.entries(env).filter(([name]) => passedVariables.test(name))),
    // A project is tested with the user's Node: that of SHIM itself is for where there is none.
    PATH: [systemPath(env), dirname(process.execPath)].join(delimiter),
    HOME: scratch,
    USERPROFILE: scratch,
    TMPDIR: scratch,
    TEMP: scratch,
    TMP: scratch,
    CI: "1",
    NO_COLOR: "1",
    DO_NOT_TRACK: "1",
    GIT_TERMINAL_PROMPT: "0",
    GIT_OPTIONAL_LOCKS: "0",
    NODE_OPTIONS: `--max-old-space-size=${memoryMb}`,
  };
}

/** Command that has to succeed. */
export type Tests = readonly [program: string, ...args: string[]];

/** The script that `npm init` writes is no test. @returns null: package.json names none */
export function testScript(folder: string): Tests | null {
  const path = join(folder, "package.json");
  const manifest = existsSync(path) ? parseObject(readFileSync(path, "utf8")) : null;
  const script = textAt(objectAt(manifest, "scripts"), "test");
  return script === null || script.includes("no test specified") ? null : ["npm", "test"];
}

/** Files that say how a project is tested, where package.json does not. */
const testedBy: readonly (readonly [file: string, content: RegExp, tests: Tests])[] = [
  ["Cargo.toml", /^\[/m, ["cargo", "test"]],
  ["go.mod", /^module\s/m, ["go", "test", "./..."]],
  ["deno.json", /[{]/, ["deno", "test"]],
  ["pytest.ini", /^\[pytest\]/m, ["pytest"]],
  ["pyproject.toml", /pytest/, ["pytest"]],
  ["tox.ini", /^\[testenv/m, ["tox"]],
  ["mix.exs", /Mix\.Project/, ["mix", "test"]],
  ["pom.xml", /<project/, ["mvn", "--batch-mode", "test"]],
  ["gradlew", /./, ["./gradlew", "test"]],
  ["Makefile", /^test\s*:/m, ["make", "test"]],
];

/** @returns null: the folder names none */
export function findTests(folder: string): Tests | null {
  const script = testScript(folder);
  if (script) return script;
  const named = testedBy.find(([file, content]) => {
    const path = join(folder, file);
    return existsSync(path) && content.test(readFileSync(path, "utf8"));
  });
  return named?.[2] ?? null;
}

/** No shell parses the command. */
export function parseTests(text: string): Result<Tests> {
  const [program, ...args] = text.trim().split(/\s+/);
  if (program === undefined || program === "" || /["'`$&|;<>\\]/.test(text))
    return fail(
      "bad_input",
      "--tests takes a program and its arguments, which no shell parses; for more, name a script.",
    );
  return ok([program, ...args]);
}

const maxTestChars = 2_000;

/** Tests are code of the project. The error says how they failed. */
export async function runTests(
  [program, ...args]: Tests,
  run: Pick<ToolStart, "folder" | "env" | "timeMs" | "signal">,
): Promise<Result<null, string>> {
  const scratch = mkdtempSync(join(tmpdir(), "shim-tests-"));
  const name = [program, ...args].join(" ");
  try {
    const tool = { path: program, isScript: false, version: null };
    const output = await runTool({ ...run, tool, command: { args }, scratch, hasLoopback: true });
    if (!output.ok) return err(`${name} ${output.error}`);
    const { code, stdout, stderr } = output.value;
    const whole = `${stdout}${stderr}`.trim();
    const text = whole.slice(-maxTestChars);
    // A runner that finds none succeeds, and would approve anything.
    if (code === 0) return ranNoTests(whole) ? err(`${name} ran no tests:\n${text}\n`) : ok(null);
    return err(`${name} ended with exit code ${code}:\n${text}\n`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
