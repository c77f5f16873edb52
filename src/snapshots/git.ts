import { spawn, spawnSync } from "node:child_process";
import { delimiter, parse } from "node:path";
import { LockedError } from "../platform/process-lock.ts";
import { withoutSecrets, programPath } from "../platform/program-path.ts";

export interface Git {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly before: readonly string[];
  readonly signal: AbortSignal;
  readonly maxOutputBytes?: number;
}

export interface GitOutput {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export type GitFault = "missing" | "stopped" | "too_large" | "failed";

export class GitError extends Error {
  readonly fault: GitFault;
  readonly stderr: string;
  constructor(fault: GitFault, message: string, stderr = "") {
    super(message);
    this.fault = fault;
    this.stderr = stderr;
  }
}

/** Keeps git from running configured commands and from housekeeping. */
/** For git, which cannot read what Node calls it on Windows. */
export const noFile = process.platform === "win32" ? "NUL" : "/dev/null";

const hardenedSettings = [
  "core.hooksPath=/dev/null",
  "core.fsmonitor=false",
  "core.untrackedCache=false",
  "core.splitIndex=false",
  "core.looseCompression=0",
  // Else Git for Windows refuses a path of more than 260 characters, and the snapshot with it.
  "core.longPaths=true",
  "pack.compression=1",
  "pack.threads=2",
  // By default git leaves syncing references to the system: after a power cut they are empty files.
  // Loose objects are in scratch folders only.
  "core.fsync=pack,pack-metadata,reference",
  "gc.auto=0",
  // SHIM writes references itself, as files.
  "init.defaultRefFormat=files",
  "maintenance.auto=false",
  "commit.gpgSign=false",
  "fetch.writeCommitGraph=false",
  // A project's settings must not make git fetch from elsewhere or run a transport.
  "protocol.allow=never",
  "protocol.file.allow=always",
  "submodule.recurse=false",
].flatMap((setting) => ["-c", setting]);

export const keptVariables: ReadonlySet<string> = new Set([
  "GIT_CONFIG_GLOBAL",
  "GIT_CONFIG_SYSTEM",
  "GIT_CONFIG_NOSYSTEM",
  "GIT_CEILING_DIRECTORIES",
  "GIT_DISCOVERY_ACROSS_FILESYSTEM",
  "GIT_EXEC_PATH",
]);

/** Bytes in memory at once; a list of a million long paths fits. */
const defaultMaxOutputBytes = 268_435_456;
const maxAnswerBytes = 16_777_216;
const maxStderrChars = 65_536;

function cleanEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const own = Object.entries(withoutSecrets(env)).filter(
    ([name]) => !name.startsWith("GIT_") || keptVariables.has(name),
  );
  return {
    ...Object.fromEntries(own),
    LC_ALL: "C",
    LANGUAGE: "C",
    GIT_OPTIONAL_LOCKS: "0",
    GIT_TERMINAL_PROMPT: "0",
    GIT_NO_REPLACE_OBJECTS: "1",
    GIT_NO_LAZY_FETCH: "1",
  };
}

/** Runs git as the user would, to find the repository; for questions that read settings only. */
export function userGit(env: NodeJS.ProcessEnv, folder: string, signal: AbortSignal): Git {
  // -C: for a missing folder, cwd would fail as if git were not installed.
  return { env: cleanEnv(env), cwd: parse(folder).root || "/", before: ["-C", folder], signal };
}

export interface GitLocation {
  readonly gitDir: string;
  readonly workTree?: string;
  readonly alternates?: readonly string[];
  readonly config?: readonly string[];
}

/** Excludes the user's global settings, so that no filter, hook or pager of theirs applies. */
export function repositoryGit(env: NodeJS.ProcessEnv, location: GitLocation, signal: AbortSignal): Git {
  const alternates = (location.alternates ?? []).map(quoteFolder).join(delimiter);
  return {
    env: {
      ...cleanEnv(env),
      GIT_CONFIG_GLOBAL: noFile,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_ATTR_NOSYSTEM: "1",
      GIT_DIR: location.gitDir,
      ...(location.workTree === undefined ? {} : { GIT_WORK_TREE: location.workTree }),
      ...(alternates === "" ? {} : { GIT_ALTERNATE_OBJECT_DIRECTORIES: alternates }),
    },
    cwd: location.workTree ?? location.gitDir,
    before: (location.config ?? []).flatMap((setting) => ["-c", setting]),
    signal,
  };
}

export function withAuthor(git: Git, now: number): Git {
  const date = `${Math.floor(now / 1_000)} +0000`;
  const as = (role: string) => ({
    [`GIT_${role}_NAME`]: "SHIM",
    [`GIT_${role}_EMAIL`]: "shim@localhost",
    [`GIT_${role}_DATE`]: date,
  });
  return { ...git, env: { ...git.env, ...as("AUTHOR"), ...as("COMMITTER") } };
}

/** Git unquotes an alternate that begins with a double quote (gitglossary, git(1)). */
export function quoteFolder(folder: string): string {
  if (!/["\n\\]/.test(folder) && !folder.includes(delimiter)) return folder;
  const escaped = folder.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  return `"${escaped}"`;
}

/**
 * Runs one git command without a shell.
 * @param codes exit codes that are answers; any other throws
 * @throws {GitError} when git is missing, fails, or is aborted (all its processes are gone then)
 */
export async function run(
  git: Git,
  args: readonly string[],
  input: Buffer | string = "",
  codes: readonly number[] = [0],
): Promise<GitOutput> {
  const output = await start(git, args, input);
  if (git.signal.aborted) throw new GitError("stopped", `git ${args[0]} was stopped`);
  if (codes.includes(output.code)) return output;
  throw new GitError(
    "failed",
    `git ${args[0]} failed: ${firstLine(output.stderr) || `exit ${output.code}`}`,
    output.stderr,
  );
}

function start(git: Git, args: readonly string[], input: Buffer | string): Promise<GitOutput> {
  if (git.signal.aborted) return Promise.reject(new GitError("stopped", `git ${args[0]} was not started`));
  const { promise, resolve, reject } = Promise.withResolvers<GitOutput>();
  // A process group of its own, so that a kill also reaches git's children.
  const detached = process.platform !== "win32";
  const options = { cwd: git.cwd, env: git.env, detached, windowsHide: true };
  const child = spawn(programPath("git", git.env), [...hardenedSettings, ...git.before, ...args], options);
  const kill = () => {
    try {
      if (detached && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      else child.kill("SIGKILL");
    } catch {
      // The process ended in the same moment.
    }
  };
  git.signal.addEventListener("abort", kill, { once: true });
  const { maxOutputBytes = defaultMaxOutputBytes } = git;
  const chunks: Buffer[] = [];
  let bytes = 0;
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > maxOutputBytes) return kill();
    chunks.push(chunk);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(0, maxStderrChars);
  });
  // Git may end before it has read everything (EPIPE); its exit code says why.
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  child.on("error", (error: NodeJS.ErrnoException) => {
    git.signal.removeEventListener("abort", kill);
    const isMissing = error.code === "ENOENT";
    reject(
      new GitError(isMissing ? "missing" : "failed", isMissing ? "git is not installed" : `git: ${error.message}`),
    );
  });
  child.on("close", (code) => {
    git.signal.removeEventListener("abort", kill);
    if (bytes > maxOutputBytes)
      reject(new GitError("too_large", `git ${args[0]} answered more than ${maxOutputBytes} bytes`));
    else resolve({ code: code ?? -1, stdout: Buffer.concat(chunks), stderr });
  });
  return promise;
}

export interface TimeLimit {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Work that a person has asked for, and waits for. */
export const askedWorkMs = 600_000;

/** @param failed gets the reason, for people; an error that is a bug is thrown */
export async function withTimeLimit<T>(
  { timeoutMs, signal }: TimeLimit,
  work: (signal: AbortSignal) => Promise<T>,
  failed: (reason: string) => T,
): Promise<T> {
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    return await work(signal ? AbortSignal.any([timeout, signal]) : timeout);
  } catch (error) {
    return failed(failureReason(error, timeout.aborted ? timeoutMs : null));
  }
}

/** Formats the reason for people; throws an error that is a bug. */
export function failureReason(error: unknown, timeoutMs: number | null): string {
  if (error instanceof LockedError || (error instanceof GitError && error.fault === "stopped"))
    return timeoutMs === null ? "stopped before it was done" : `took longer than ${timeoutMs} ms (${error.message})`;
  if (error instanceof GitError) return error.message;
  if (error instanceof Error && "code" in error && "syscall" in error) return error.message;
  throw error;
}

export function answerSync(git: Git, args: readonly string[], timeout: number): Buffer | null {
  const options = { cwd: git.cwd, env: git.env, timeout, killSignal: "SIGKILL", windowsHide: true } as const;
  const program = programPath("git", git.env);
  const { status, stdout } = spawnSync(program, [...hardenedSettings, ...git.before, ...args], {
    ...options,
    maxBuffer: maxAnswerBytes,
    stdio: ["ignore", "pipe", "ignore"],
  });
  return status === 0 ? stdout : null;
}

export function firstLine(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "");
  return lines.find((line) => line.startsWith("fatal:")) ?? lines[0] ?? "";
}

/** Removes only the last line break: a folder's name may end with one. */
export async function text(git: Git, args: readonly string[], input: Buffer | string = ""): Promise<string> {
  return (await run(git, args, input)).stdout.toString("utf8").replace(/\n$/, "");
}

export async function lines(git: Git, args: readonly string[], input: Buffer | string = ""): Promise<string[]> {
  const answer = await text(git, args, input);
  return answer === "" ? [] : answer.split("\n");
}

/** Path in the work tree as git stores it, one character per byte: names need not be UTF-8. */
export type RawPath = string;

export async function rawList(git: Git, args: readonly string[], input: Buffer | string = ""): Promise<RawPath[]> {
  return splitRaw((await run(git, args, input)).stdout);
}

export function splitRaw(stdout: Buffer): RawPath[] {
  const fields = stdout.toString("latin1").split("\0");
  fields.pop();
  return fields;
}

export function joinRaw(items: readonly RawPath[]): Buffer {
  return Buffer.from(items.map((item) => `${item}\0`).join(""), "latin1");
}

export function displayPath(path: RawPath): string {
  return Buffer.from(path, "latin1").toString("utf8");
}

/** Whether it leads out of the work tree. */
export function leavesTree(path: RawPath): boolean {
  return path.startsWith("../");
}

/** Stands for it in an index, which has no path that leads out of the work tree. */
export function pathInside(path: RawPath): RawPath {
  return leavesTree(path) ? path.replaceAll(/(?<=^|\/)\.\.(?=\/)/g, "(above)") : path;
}

export function diskPath(top: string, path: RawPath): Buffer {
  return Buffer.concat([Buffer.from(`${top}/`), Buffer.from(path, "latin1")]);
}
