import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { onTestFinished, expect } from "vitest";
import { systemProcesses } from "#src/platform/processes.ts";
import type { DoneSnapshot, Snapshot, SnapshotInput } from "#src/snapshots/repository.ts";
import { takeSnapshot } from "#src/snapshots/take-snapshot.ts";
import * as fc from "fast-check";

export const T0 = 1_700_000_000_000;
export const LIMITS = { maxFileBytes: 1_048_576, maxTotalBytes: 268_435_456, timeoutMs: 60_000 };

/** Git for tests: none of the developer's settings, a name of its own. */
const home = { HOME: "/nonexistent/home-of-the-tests", GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" };
export const GIT_ENV: NodeJS.ProcessEnv = { PATH: process.env["PATH"], ...home };

const IDENTITY = ["-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "protocol.file.allow=always"];

export function git(folder: string, ...args: string[]): string {
  const options = { env: GIT_ENV, encoding: "utf8", maxBuffer: 67_108_864 } as const;
  return execFileSync("git", ["-C", folder, ...IDENTITY, ...args], { ...options, stdio: ["ignore", "pipe", "pipe"] });
}

type Files = Record<string, string | Buffer>;

export function write(folder: string, files: Files): void {
  for (const [path, content] of Object.entries(files)) {
    fs.mkdirSync(dirname(join(folder, path)), { recursive: true });
    fs.writeFileSync(join(folder, path), content);
  }
}

export type GitProject = ReturnType<typeof makeProject>;

export function temporaryFolder(): string {
  const folder = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), "shim-git-")));
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

export function makeProject(files: Files = {}, ...init: string[]) {
  const root = temporaryFolder();
  const project = join(root, "project");
  makeRepository(project, files, ...init);
  return { root, project, snapshots: join(root, "home", "snapshots") };
}

/** Makes the folder a repository, committed once when files are given. @returns the commit */
export function makeRepository(folder: string, files: Files = {}, ...init: string[]): string {
  fs.mkdirSync(folder, { recursive: true });
  git(folder, "init", "--quiet", "-b", "main", ...init);
  write(folder, files);
  return Object.keys(files).length > 0 ? commitAll(folder, "first") : "";
}

export function commitAll(project: string, message: string): string {
  git(project, "add", "-A", "-f");
  git(project, "commit", "--quiet", "--allow-empty", "-m", message);
  return git(project, "rev-parse", "HEAD").trim();
}

export const HOST = { env: GIT_ENV, processes: systemProcesses };

export function take(from: GitProject, more: Partial<SnapshotInput> = {}): Promise<Snapshot> {
  const { project, snapshots } = from;
  return takeSnapshot({ ...HOST, project, snapshots, checkpointId: "cp1", now: T0, limits: LIMITS, ...more });
}

export async function taken(from: GitProject, more: Partial<SnapshotInput> = {}): Promise<DoneSnapshot> {
  const snapshot = await take(from, more);
  if (snapshot.state !== "done") throw new Error(`${snapshot.state}: ${snapshot.reason}`);
  return snapshot;
}

/** Every file and link below a folder by its name (one character per byte): mode and hash, or where it points. */
export function contents(folder: string, skip: (path: string) => boolean = isGit): Record<string, string> {
  const found: Record<string, string> = {};
  const raw = (path: string) => Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(path, "latin1")]);
  const walk = (path: string) => {
    for (const name of fs.readdirSync(raw(path), { encoding: "latin1" })) {
      const inner = path === "" ? name : `${path}/${name}`;
      const file = raw(inner);
      if (skip(inner)) continue;
      const stats = fs.lstatSync(file);
      if (stats.isDirectory()) walk(inner);
      else if (stats.isSymbolicLink()) found[inner] = `link ${fs.readlinkSync(file)}`;
      else if (stats.isFile()) found[inner] = `${(stats.mode & 0o100).toString(8)} ${hash(fs.readFileSync(file))}`;
    }
  };
  walk("");
  return found;
}

const isGit = (path: string): boolean => path === ".git" || path.endsWith("/.git");
const hash = (content: Buffer): string => createHash("sha256").update(content).digest("hex");

export function fingerprint(folder: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of fs.readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const stats = fs.lstatSync(join(folder, name), { bigint: true });
    found[name] = `${stats.mtimeNs} ${stats.mode} ${stats.isFile() ? hash(fs.readFileSync(join(folder, name))) : "-"}`;
  }
  return found;
}

export function show(snapshot: DoneSnapshot, path: string): string {
  return git(snapshot.repository, "cat-file", "blob", `${snapshot.commit}:${path}`);
}

export function paths(snapshot: DoneSnapshot): string[] {
  return git(snapshot.repository, "ls-tree", "-r", "-z", "--name-only", snapshot.commit).split("\0").filter(Boolean);
}

export function leftIn(project: string, home: string) {
  const worktrees = git(project, "worktree", "list", "--porcelain").match(/^worktree .*$/gm) ?? [];
  const branches = git(project, "branch", "--list", "shim/*", "--format=%(refname:short)").split("\n").filter(Boolean);
  const work = join(home, "work");
  return { worktrees: worktrees.slice(1), branches, folders: fs.existsSync(work) ? fs.readdirSync(work) : [] };
}

export function purge(project: string): void {
  git(project, "reflog", "expire", "--expire=now", "--expire-unreachable=now", "--all");
  git(project, "gc", "--quiet", "--prune=now");
}

export function reasonFor(snapshot: Pick<DoneSnapshot, "leftOut">, path: string): string {
  return snapshot.leftOut.find((each) => each.path === path)?.reason ?? "not left out";
}

export function noise(seed: number): Buffer {
  return Buffer.from(Array.from({ length: 4_000 }, (_, i) => (i * i * seed) % 251));
}

/** Hooks of the project that touch the file `mark` when git runs them. */
export function plantHooks({ project }: Pick<GitProject, "project">, mark: string, names: readonly string[]): void {
  write(join(project, ".git/hooks"), Object.fromEntries(names.map((name) => [name, `#!/bin/sh\ntouch ${mark}\n`])));
  for (const name of names) fs.chmodSync(join(project, ".git/hooks", name), 0o755);
}

/** The environment of a git that does this instead; `$GIT` is the real one. */
export function withGit(from: Pick<GitProject, "root">, script: string): NodeJS.ProcessEnv & { PATH: string } {
  const bin = join(from.root, "bin");
  fs.mkdirSync(bin, { recursive: true });
  const real = execFileSync("sh", ["-c", "command -v git"], { encoding: "utf8" }).trim();
  fs.writeFileSync(join(bin, "git"), `#!/bin/sh\nGIT=${real}\n${script}\n`, { mode: 0o755 });
  return { ...GIT_ENV, PATH: `${bin}:${GIT_ENV["PATH"]}` };
}

/** The snapshot of a project with these files, in which others were written since its commit. */
export async function snapshotOf(files: Files, written: Files = {}, more: Partial<SnapshotInput> = {}) {
  const from = makeProject(files);
  write(from.project, written);
  return { from, snapshot: await taken(from, more) };
}

const name = fc.constantFrom("a", "b.txt", "d/c", "d/e/f", "g h", "ü", "d.x", ".env", "k.pem", "out.log", "big");
const content = fc.oneof(
  fc.string({ maxLength: 40 }).map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  fc.constant(Buffer.alloc(3_000, "x")),
);

export type Edit = (from: GitProject) => void;

function byHand(path: string, work: (path: string) => void): Edit {
  return ({ project }) => {
    try {
      fs.rmSync(join(project, path), { recursive: true, force: true });
      work(join(project, path));
    } catch (error) {
      // A parent is a file or a dangling link in this sequence: the edit is not possible, as for a user.
      expect(["ENOTDIR", "EEXIST", "ENOENT"]).toContain((error as NodeJS.ErrnoException).code);
    }
  };
}

const written = fc.tuple(name, content, fc.boolean()).map(([path, bytes, isExecutable]) =>
  byHand(path, (file) => {
    write("/", { [file]: bytes });
    fs.chmodSync(file, isExecutable ? 0o755 : 0o644);
  }),
);
const removed = name.map((path) => byHand(path, () => undefined));
const linked = name.map((path) => byHand(path, (file) => fs.symlinkSync("b.txt", file)));
const byGit = fc.constantFrom<Edit>(
  ({ project }) => void git(project, "add", "-A"),
  ({ project }) => void git(project, "commit", "--quiet", "--allow-empty", "-a", "-m", "step"),
  ({ project }) => purge(project),
);

export const edit: fc.Arbitrary<Edit> = fc.oneof(
  { weight: 6, arbitrary: written },
  { weight: 3, arbitrary: fc.oneof(removed, linked) },
  { weight: 1, arbitrary: byGit },
);

/** The folder under its name in the other case, as a file system gives it where case does not count. */
export function foldCase(folder: string): void {
  const name = basename(folder);
  fs.symlinkSync(folder, join(dirname(folder), name === name.toLowerCase() ? name.toUpperCase() : name.toLowerCase()));
}
