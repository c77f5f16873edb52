import { createHash, createHmac } from "node:crypto";
import type { Runtime } from "../../runtime/runtime.ts";
import { isWithin } from "../../shared/known-time.ts";
import type { Sql } from "../../shared/sql.ts";
import { type Git, GitError, userGit, lines, run, text } from "../../snapshots/git.ts";
import { teamProjects } from "../../store/team-tables.ts";
import { type WorkspaceKey, deriveKey } from "./key-ring.ts";

const gitTimeoutMs = 10_000;

export interface NamingContext {
  readonly workspace: string;
  readonly key: WorkspaceKey | null;
  readonly machine: string;
}

export async function findProject(
  { store, now, env }: Pick<Runtime, "store" | "now" | "env">,
  { workspace, key, machine }: NamingContext,
  root: string,
): Promise<string> {
  const cachedName = store.read((sql) => findName(sql, workspace, root, now()), null);
  if (cachedName !== null) return cachedName;
  const project = projectKey(key, await readProjectFacts(env, root, machine));
  store.keep((sql) => saveName(sql, workspace, root, project, now()));
  return project;
}

/** Falls back to the path for a folder without a repository or whose git does not answer. */
export async function readProjectFacts(env: NodeJS.ProcessEnv, folder: string, machine: string): Promise<ProjectFacts> {
  const folderOnly = { remote: null, rootCommit: null, machine, folder };
  if (folder.includes("\0")) return folderOnly;
  const git = userGit(env, folder, AbortSignal.timeout(gitTimeoutMs));
  try {
    const remote = await findRemote(git);
    return { ...folderOnly, remote, rootCommit: remote === null ? await findRootCommit(git) : null };
  } catch (error) {
    if (error instanceof GitError) return folderOnly;
    throw error;
  }
}

/** Prefers origin, else the first remote by name with a non-local address. */
async function findRemote(git: Git): Promise<string | null> {
  const { code, stdout } = await run(git, ["config", "--null", "--get-regexp", "^remote\\..*\\.url$"], "", [0, 1]);
  if (code !== 0) return null;
  const remotes = stdout
    .toString("utf8")
    .split("\0")
    .map((entry) => entry.split("\n"))
    .map(([name = "", url = ""]) => ({ name, remote: normalizeRemote(url) }))
    .filter(({ remote }) => remote !== null)
    .sort((a, b) => remoteRank(a.name).localeCompare(remoteRank(b.name), "en"));
  return remotes[0]?.remote ?? null;
}

function remoteRank(name: string): string {
  return name === "remote.origin.url" ? "" : name;
}

async function findRootCommit(git: Git): Promise<string | null> {
  if ((await text(git, ["rev-parse", "--is-shallow-repository"])) !== "false") return null;
  const { code } = await run(git, ["rev-parse", "--verify", "--quiet", "HEAD"], "", [0, 1]);
  if (code !== 0) return null;
  const roots = await lines(git, ["rev-list", "--max-parents=0", "HEAD"]);
  return roots.sort()[0] ?? null;
}

/** Lifetime in ms: a remote may be added later. */
const validForMs = 86_400_000;

/** @returns null: it is not known yet, or too old */
export function findName(sql: Sql, workspace: string, root: string, now: number): string | null {
  const row = teamProjects.find(sql, { workspace, root });
  return row && isWithin(now - row.at, validForMs) ? row.project : null;
}

export function saveName(sql: Sql, workspace: string, root: string, project: string, now: number): void {
  teamProjects.put(sql, { workspace, root, project, at: now });
}

export function removeNames(sql: Sql, workspace: string): void {
  teamProjects.delete(sql, { workspace });
}

/** Facts that identify one project in several folders or machines. */
interface ProjectFacts {
  readonly remote: string | null;
  readonly rootCommit: string | null;
  readonly machine: string;
  /** Absolute path. */
  readonly folder: string;
}

/**
 * Names a project the same in each clone, as 32 hexadecimal digits. Without the key the name
 * cannot be guessed; `key` is null where the coordinator is local.
 */
export function projectKey(key: WorkspaceKey | null, facts: ProjectFacts): string {
  return hashName(key, projectIdentity(facts));
}

export function checkoutKey(
  key: WorkspaceKey | null,
  { machine, folder }: Pick<ProjectFacts, "machine" | "folder">,
): string {
  return hashName(key, ["checkout", machine, folder]);
}

/** A remote identifies even a shallow clone; then the first commit, then machine and folder. */
function projectIdentity({ remote, rootCommit, machine, folder }: ProjectFacts): readonly string[] {
  if (remote !== null) return ["remote", remote];
  if (rootCommit !== null) return ["root", rootCommit];
  return ["folder", machine, folder];
}

function hashName(key: WorkspaceKey | null, parts: readonly string[]): string {
  const hash = key === null ? createHash("sha256") : createHmac("sha256", deriveKey(key.bytes, "shim names", 32));
  return hash.update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}

/**
 * Maps `git@host:a/b.git`, `https://user@host/a/b` and `ssh://git@host:22/a/b/` to `host/a/b`. Null
 * for a folder of this machine, which means nothing elsewhere.
 */
function normalizeRemote(url: string): string | null {
  const asUrl = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/@]*@)?([^/:]+)(?::\d+)?\/+(.+)$/i.exec(url);
  const asScp = /^(?:[^/@:]+@)?([^/:]{2,}):(?!\/\/)\/*(.+)$/.exec(url);
  const [, host, path] = (/^file:/i.test(url) ? null : (asUrl ?? asScp)) ?? [];
  if (host === undefined || path === undefined) return null;
  return `${host.toLowerCase()}/${path.replace(/(?<!\/)\/+$/, "").replace(/\.git$/i, "")}`;
}
