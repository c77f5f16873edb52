import { spawn, spawnSync } from "node:child_process";
import { delimiter, parse } from "node:path";
import { withoutSecrets } from "../platform/secret-env.ts";
import { programPath } from "../platform/program-path.ts";

/** Where git works and what it may see. Made by `gitOutside` or `gitIn`. */
export interface Git {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** `-C`, `-c` and the like, before the command. */
  readonly before: readonly string[];
  /** Aborted: the command's whole process group is killed. */
  readonly signal: AbortSignal;
  /** Of one answer; a command that says more is killed. */
  readonly maxOutputBytes?: number;
}

export interface GitOutput {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export type GitFault = "missing" | "stopped" | "too_large" | "failed";

/** Git could not do it. `message` is for people and holds git's own words. */
export class GitError extends Error {
  readonly fault: GitFault;
  readonly stderr: string;
  constructor(fault: GitFault, message: string, stderr = "") {
    super(message);
    this.fault = fault;
    this.stderr = stderr;
  }
}

/** No command of the user's configuration may run, and git must not tidy up behind our back. */
const hardenedSettings = [
  "core.hooksPath=/dev/null",
  "core.fsmonitor=false",
  "core.untrackedCache=false",
  "core.splitIndex=false",
  "core.looseCompression=0",
  "pack.compression=1",
  "pack.threads=2",
  // By default git leaves references to the system: after a power cut they are empty files. Loose objects are in scratch folders only.
  "core.fsync=pack,pack-metadata,reference",
  "gc.auto=0",
  "maintenance.auto=false",
  "commit.gpgSign=false",
  "fetch.writeCommitGraph=false",
  // Nothing of a project's own settings may send git elsewhere, or run what fetches from there.
  "protocol.allow=never",
  "protocol.file.allow=always",
  "submodule.recurse=false",
].flatMap((setting) => ["-c", setting]);

/** Tell which settings files git reads and how far it looks for a repository: the user's own choice, kept. */
const keptVariables = new Set([
  "GIT_CONFIG_GLOBAL",
  "GIT_CONFIG_SYSTEM",
  "GIT_CONFIG_NOSYSTEM",
  "GIT_CEILING_DIRECTORIES",
  "GIT_DISCOVERY_ACROSS_FILESYSTEM",
  "GIT_EXEC_PATH",
]);

/** Held in memory at once; a list of a million long paths is below it. */
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

/** Git as the user would run it in `folder`, to learn where its repository is; for questions that read settings only. */
export function userGit(env: NodeJS.ProcessEnv, folder: string, signal: AbortSignal): Git {
  // -C instead of the process's working folder: a folder that is gone then gives git's message, not "git is not installed".
  return { env: cleanEnv(env), cwd: parse(folder).root || "/", before: ["-C", folder], signal };
}

export interface GitLocation {
  readonly gitDir: string;
  readonly workTree?: string;
  /** Object folders that may be read besides the repository's own. */
  readonly alternates?: readonly string[];
  /** `key=value` of the project's settings that shape file content. */
  readonly config?: readonly string[];
}

/**
 * Git in a repository of SHIM's own (or, for a new branch, in the project's). The user's global settings are not read, so
 * no filter, hook or pager of theirs is known to it.
 */
export function repositoryGit(env: NodeJS.ProcessEnv, location: GitLocation, signal: AbortSignal): Git {
  const alternates = (location.alternates ?? []).map(quoteFolder).join(delimiter);
  return {
    env: {
      ...cleanEnv(env),
      GIT_CONFIG_GLOBAL: process.platform === "win32" ? "NUL" : "/dev/null",
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

/** Commits of SHIM's own bear its name, and a time in epoch milliseconds that is passed in. */
export function withAuthor(git: Git, now: number): Git {
  const date = `${Math.floor(now / 1_000)} +0000`;
  const as = (role: string) => ({
    [`GIT_${role}_NAME`]: "SHIM",
    [`GIT_${role}_EMAIL`]: "shim@localhost",
    [`GIT_${role}_DATE`]: date,
  });
  return { ...git, env: { ...git.env, ...as("AUTHOR"), ...as("COMMITTER") } };
}

/** Git unquotes a folder in a list of alternates when it begins with a double quote (gitglossary, git(1)). */
export function quoteFolder(folder: string): string {
  if (!/["\n\\]/.test(folder) && !folder.includes(delimiter)) return folder;
  const escaped = folder.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  return `"${escaped}"`;
}

/**
 * Runs one git command without a shell.
 *
 * @param input written to its standard input
 * @param codes exit codes that are answers; any other throws
 * @throws {GitError} when git is not installed, fails, or is stopped by the signal (all its processes are gone then)
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
  // A process group of its own, so that a kill also reaches what git started.
  const detached = process.platform !== "win32";
  const options = { cwd: git.cwd, env: git.env, detached, windowsHide: true };
  const child = spawn(programPath("git", git.env), [...hardenedSettings, ...git.before, ...args], options);
  const kill = () => {
    try {
      if (detached && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      else child.kill("SIGKILL");
    } catch {
      // It ended by itself in the same moment.
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
  // Git may end before it has read everything (EPIPE); its exit code tells why.
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

/** For a question that its caller has to wait for. Null: git is not there, fails, or takes longer. */
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

/** Git's first complaint, without the hints that follow. */
export function firstLine(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "");
  return lines.find((line) => line.startsWith("fatal:")) ?? lines[0] ?? "";
}

/** The answer without its last line break (a folder's name may itself end with one). */
export async function text(git: Git, args: readonly string[], input: Buffer | string = ""): Promise<string> {
  return (await run(git, args, input)).stdout.toString("utf8").replace(/\n$/, "");
}

/** Lines of plain answers (object ids). */
export async function lines(git: Git, args: readonly string[], input: Buffer | string = ""): Promise<string[]> {
  const answer = await text(git, args, input);
  return answer === "" ? [] : answer.split("\n");
}

/**
 * A path inside the work tree as git stores it, one character per byte: file names need not be UTF-8, and must survive
 * the way through here unchanged.
 */
export type RawPath = string;

export async function rawList(git: Git, args: readonly string[], input: Buffer | string = ""): Promise<RawPath[]> {
  return splitRaw((await run(git, args, input)).stdout);
}

export function splitRaw(stdout: Buffer): RawPath[] {
  const fields = stdout.toString("latin1").split("\0");
  fields.pop();
  return fields;
}

/** NUL-terminated, for `-z --stdin`. */
export function joinRaw(items: readonly RawPath[]): Buffer {
  return Buffer.from(items.map((item) => `${item}\0`).join(""), "latin1");
}

/** For people: UTF-8 where it is. */
export function displayPath(path: RawPath): string {
  return Buffer.from(path, "latin1").toString("utf8");
}

/** For the file system. */
export function diskPath(top: string, path: RawPath): Buffer {
  return Buffer.concat([Buffer.from(`${top}/`), Buffer.from(path, "latin1")]);
}
