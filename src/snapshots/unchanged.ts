import { createHash } from "node:crypto";
import { existsSync, statSync, realpathSync, lstatSync, readdirSync, type Stats } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { setImmediate as breathe } from "node:timers/promises";
import { withLock } from "../platform/process-lock.ts";
import { ownProgram } from "../platform/version.ts";
import { parseObject } from "../shared/json-fields.ts";
import { gitFolders, projectRoot, readHead } from "./git-head.ts";
import { displayPath, withTimeLimit, type RawPath, keptVariables } from "./git.ts";
import {
  readBase,
  repositoryFor,
  writeBase,
  writeRef,
  type OpenRepository,
  type DoneSnapshot,
  type SeenProject,
  type Snapshot,
  type SnapshotInput,
} from "./repository.ts";
import { listUnsaved, ownFiles, toRaw, turnMs, type LeftOut } from "./selection.ts";
import type { WorkTree } from "./work-tree.ts";

/** Entries of a project that the host scans itself, between the messages of chats. */
const mostInHost = 5_000;
/** Above it a scan costs about as much as git. */
const mostEntries = 50_000;
/** A change within this time before git read the files may have the time of the one before it. */
const tickMs = 20;
/** The same where times are whole seconds. */
const coarseTickMs = 2_000;

/**
 * Gives a checkpoint the newest snapshot where nothing has changed since, and starts no
 * process.
 *
 * @param size projects to scan: those with few entries, which the host does itself, or the others
 * @returns null: git has to find out
 */
export async function takeUnchanged(input: SnapshotInput, size: "small" | "large"): Promise<Snapshot | null> {
  const settings = settingsSeen(input);
  if (settings === null) return null;
  const { commonDir, digest } = settings;
  const opened = knownRepository(input.snapshots, commonDir);
  if (opened === null) return null;
  const { repository } = opened;
  const known = () => {
    const base = readBase(opened);
    const { seen = null } = base ?? {};
    const isLarge = (seen?.entries ?? 0) > mostInHost;
    return base && seen && seen.settings === digest && isLarge === (size === "large") ? { base, seen } : null;
  };
  if (known() === null) return null;
  return withTimeLimit<Snapshot | null>(
    { timeoutMs: input.limits.timeoutMs, signal: input.signal },
    (signal) =>
      withLock(`${repository}.lock`, input.processes, signal, async () => {
        const found = known();
        if (found === null || !(await isAsSeen(found.seen, found.base.about, input.snapshots))) return null;
        if (signal.aborted) return null;
        const { base, seen } = found;
        for (const id of [input.checkpointId, ...(input.alsoFor ?? [])]) writeRef(repository, id, base.commit);
        writeBase(opened, { ...base, checkpointId: input.checkpointId }, null);
        return seen.snapshot;
      }),
    (reason) => ({ state: "failed", reason }),
  );
}

/** SHIM's repository of a project; null: it has had no snapshot. */
function knownRepository(snapshots: string, commonDir: string): Pick<OpenRepository, "repository" | "owned"> | null {
  const paths = ["sha1", "sha256"].map((format) => repositoryFor(snapshots, { format, commonDir }));
  const repository = paths.find((path) => existsSync(path));
  return repository === undefined ? null : { repository, owned: join(repository, "objects") };
}

/** Bytes of git's index with about 20,000 files, whose first reading takes a second. */
const largeIndexBytes = 2_000_000;

/** Whether no snapshot of the project is whole, and the first one would hold up a hook. */
export function isLargeAndUnread(snapshots: string, project: string): boolean {
  try {
    const { git, common } = gitFolders(projectRoot(project) ?? project);
    if (git === null || common === null) return false;
    const bytes = statSync(join(git, "index"), { throwIfNoEntry: false })?.size ?? 0;
    if (bytes <= largeIndexBytes) return false;
    const opened = knownRepository(snapshots, realpathSync.native(common));
    return opened === null || readBase(opened) === null;
  } catch {
    return false;
  }
}

async function isAsSeen(seen: SeenProject, about: string, snapshots: string): Promise<boolean> {
  const { top, files, ignored, snapshot } = seen;
  const skipped = [...ignored, ...foldersIn(snapshot)];
  const scan = await scanFiles({ ...seen, ignored: skipped, snapshots }, mostEntries);
  if (scan?.digest !== files) return false;
  const raw = ignored.map(toRaw);
  const leftOut = snapshot.leftOut.map(({ path, reason }): LeftOut => [toRaw(path), reason]);
  const unsaved = await listUnsaved(top, raw, leftOut);
  return JSON.stringify(parseObject(about)?.["unsaved"]) === JSON.stringify(unsaved);
}

/** Folders that the snapshot left out as a whole. */
function foldersIn({ leftOut }: DoneSnapshot): string[] {
  return leftOut.flatMap(({ path }) => (path.endsWith("/") ? [path] : []));
}

interface Taken {
  readonly snapshot: DoneSnapshot;
  /** {@link settingsSeen} before git read them. */
  readonly settings: string | undefined;
  readonly ignored: readonly RawPath[];
  /** Number of files in the snapshot. */
  readonly files: number;
}

/** Keeps with the newest snapshot what its project is like, unless that has changed meanwhile. */
export async function rememberProject(
  opened: OpenRepository,
  { top, config }: WorkTree,
  { snapshot, settings, ignored, files: count }: Taken,
  { snapshots, env }: Pick<SnapshotInput, "snapshots" | "env">,
): Promise<void> {
  const base = readBase(opened);
  if (settings === undefined || base?.commit !== snapshot.commit || count > mostEntries) return;
  // Written before git read the files.
  const { ctimeMs: readAtMs } = statSync(join(opened.scratch, "HEAD"));
  const project = { top, ignored: ignored.map(displayPath), rules: rulesIn(config, env) };
  const skipped = [...project.ignored, ...foldersIn(snapshot)];
  const found = await scanFiles({ ...project, ignored: skipped, snapshots }, mostEntries);
  if (found === null) return;
  const { digest: files, entries, newestMs } = found;
  if (newestMs > readAtMs - (newestMs % 1_000 === 0 ? coarseTickMs : tickMs)) return;
  const seen = { ...project, settings, files, entries, snapshot };
  writeBase(opened, { ...base, seen }, null);
}

interface Settings {
  /** Folder of a project's repository, or the project itself without one. */
  readonly commonDir: string;
  /** Digest of all that git reads beside the work tree. */
  readonly digest: string;
}

/** @returns null: there is no such folder, or it has a form that only git reads */
export function settingsSeen({ project, env, limits }: SnapshotInput): Settings | null {
  try {
    const start = realpathSync.native(project);
    const top = projectRoot(start) ?? start;
    const { git, common } = gitFolders(top);
    if (existsSync(join(top, ".git")) && common === null) return null;
    const variables = [...keptVariables, "HOME", "XDG_CONFIG_HOME"].map((name) => env[name] ?? null);
    const commonDir = common === null ? start : realpathSync.native(common);
    const files = [...userFiles(env), ...(git === null ? [] : repositoryFiles(git, commonDir))];
    const head = git && readHead(top);
    const facts = [ownProgram, project, limits, variables, head, files.map(stampOf)];
    return { commonDir, digest: createHash("sha1").update(JSON.stringify(facts)).digest("hex") };
  } catch {
    return null;
  }
}

function repositoryFiles(gitDir: string, commonDir: string): string[] {
  const own = ["HEAD", "index", "config.worktree", "reftable/tables.list"].map((name) => join(gitDir, name));
  const shared = ["config", "packed-refs", "reftable/tables.list", "info/exclude", "info/attributes"];
  return [...own, ...shared.map((name) => join(commonDir, name))];
}

/** Settings, ignore rules and attributes of the user and the machine. */
function userFiles(env: NodeJS.ProcessEnv): string[] {
  const home = env["HOME"] ?? homedir();
  const folder = join(env["XDG_CONFIG_HOME"] ?? join(home, ".config"), "git");
  const ofUser = ["config", "ignore", "attributes"].map((name) => join(folder, name));
  const settings = [env["GIT_CONFIG_GLOBAL"] ?? join(home, ".gitconfig"), env["GIT_CONFIG_SYSTEM"] ?? "/etc/gitconfig"];
  return [...settings, ...ofUser];
}

/** Files that the settings name. */
function rulesIn(config: readonly string[], env: NodeJS.ProcessEnv): string[] {
  return config.flatMap((setting) => {
    const [, path] = /^core\.(?:excludesfile|attributesfile)=(.+)$/s.exec(setting) ?? [];
    return path === undefined ? [] : [path.replace(/^~(?=\/)/, env["HOME"] ?? homedir())];
  });
}

interface Entry {
  /** Path in the project; that of a folder ends with a slash. */
  readonly path: string;
  readonly stats: Stats;
  readonly isIgnored: boolean;
}

interface Scan {
  /** Digest of the names, sizes and times of the files. */
  readonly digest: string;
  readonly entries: number;
  /** Epoch ms of the latest change, by the clock of the file system. */
  readonly newestMs: number;
}

interface Scanned {
  readonly top: string;
  readonly ignored: readonly string[];
  /** Files beside the project that count, too. */
  readonly rules: readonly string[];
  readonly snapshots: string;
}

/**
 * @returns null: too many entries, one that is closed or gone, a repository in the project, or a
 * name that is no UTF-8
 */
async function scanFiles({ top, ignored, rules, snapshots }: Scanned, mostEntries: number): Promise<Scan | null> {
  const hash = createHash("sha1").update(JSON.stringify(rules.map(stampOf)));
  let entries = 0;
  let turnAt = performance.now();
  try {
    let newestMs = lstatSync(top).ctimeMs;
    for (const { path, stats, isIgnored } of entriesIn(top, new Set(ignored), ownFiles(top, snapshots))) {
      if (++entries > mostEntries || path.includes("\uFFFD")) return null;
      // The name of a folder is enough: its times are those of its ignored files, too.
      const isByName = isIgnored || stats.isDirectory();
      hash.update(`${path}\0${isByName ? "" : `${stats.mode} ${stampIn(stats)}`}\0`);
      if (!isIgnored) newestMs = Math.max(newestMs, stats.ctimeMs);
      if (performance.now() - turnAt <= turnMs) continue;
      await breathe();
      turnAt = performance.now();
    }
    return { digest: hash.digest("hex"), entries, newestMs };
  } catch {
    return null;
  }
}

function* entriesIn(top: string, ignored: ReadonlySet<string>, isOwn: (path: string) => boolean): Generator<Entry> {
  const folders = [""];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const names = readdirSync(`${top}/${folder}`).sort();
    // Its rules of what is ignored are git's to read.
    if (folder !== "" && names.includes(".git")) throw new Error("a repository in the project");
    for (const name of names) {
      const stats = lstatSync(`${top}/${folder}${name}`);
      const path = `${folder}${name}${stats.isDirectory() ? "/" : ""}`;
      if (/^\.git\/?$/.test(path) || isOwn(path)) continue;
      const isIgnored = ignored.has(path);
      yield { path, stats, isIgnored };
      if (stats.isDirectory() && !isIgnored) folders.push(path);
    }
  }
}

/** Empty where there is no such file. */
function stampOf(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats ? stampIn(stats) : "";
}

function stampIn({ ino, size, mtimeMs, ctimeMs }: Stats): string {
  return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
}
