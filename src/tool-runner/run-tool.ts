import { delimiter, isAbsolute } from "node:path";
import type { InstalledTool, ToolCommand, ToolOutput } from "../analysis/adapter.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { runProgram, type ProgramExit } from "../worker-runner/run-program.ts";
import { isolationWords, type Isolation } from "./isolation.ts";

/** Characters; above it a tool is stopped. */
const maxOutputChars = 100_000_000;
const maxStderrChars = 20_000;
/** Between TERM and KILL. */
const graceMs = 2_000;

export interface ToolStart {
  readonly tool: InstalledTool;
  readonly command: ToolCommand;
  readonly folder: string;
  /** Private, also the tool's home. */
  readonly scratch: string;
  readonly env: NodeJS.ProcessEnv;
  readonly isolation: Isolation;
  readonly memoryMb: number;
  readonly timeMs: number;
  readonly signal: AbortSignal;
}

/**
 * [AN12] Runs a tool without a shell, in a process group of its own that has ended when this
 * resolves. The error says why there is no whole output.
 */
export async function runTool(start: ToolStart): Promise<Result<ToolOutput, string>> {
  const { tool, command, folder, isolation, memoryMb, timeMs } = start;
  const capped = new AbortController();
  const timeout = AbortSignal.timeout(timeMs);
  const parts: string[] = [];
  let chars = 0;
  let stderr = "";
  const dataMb = memoryMb + (command.reservedMb ?? 0);
  const words = [
    ...isolationWords(isolation, dataMb),
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
    signal: AbortSignal.any([timeout, capped.signal, start.signal]),
    graceMs,
    onLine: () => undefined,
    onText: (text) => {
      chars += text.length;
      if (chars <= maxOutputChars) parts.push(text);
      else capped.abort();
    },
    onStderr: (text) => (stderr = (stderr + text).slice(0, maxStderrChars)),
  });
  const stopped = stopReason({ isCapped: capped.signal.aborted, isLate: timeout.aborted, timeMs }, start.signal);
  return stopped === null ? toOutput(exit, parts.join(""), stderr) : err(stopped);
}

function stopReason(
  { isCapped, isLate, timeMs }: { readonly isCapped: boolean; readonly isLate: boolean; readonly timeMs: number },
  signal: AbortSignal,
): string | null {
  if (signal.aborted) return "stopped before it was done";
  if (isCapped) return `its output has more than ${maxOutputChars} characters`;
  return isLate ? `took longer than ${timeMs / 1_000} s` : null;
}

function toOutput(exit: ProgramExit, stdout: string, stderr: string): Result<ToolOutput, string> {
  if (exit.kind === "not_started") return err(`cannot be started: ${exit.message}`);
  return ok({ code: exit.code, stdout, stderr });
}

/** Variables that programs need to run at all; none is a token, a key or an address. */
const passedVariables = /^(?:PATHEXT|SYSTEMROOT|WINDIR|COMSPEC|LANG|LANGUAGE|LC_\w+|TZ)$/i;

/** Without folders of a project: `git` or `prlimit` is never a file of one. */
export function systemPath(env: NodeJS.ProcessEnv): string {
  const folders = (env["PATH"] ?? "").split(delimiter);
  return folders.filter((folder) => isAbsolute(folder) && !folder.includes("node_modules")).join(delimiter);
}

function toolEnv({ env, scratch, memoryMb }: ToolStart): NodeJS.ProcessEnv {
  return {
    ...Object.fromEntries(Object.entries(env).filter(([name]) => passedVariables.test(name))),
    PATH: systemPath(env),
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
