import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { dropSnapshots } from "#src/snapshots/drop-snapshots.ts";
import type { SnapshotInput } from "#src/snapshots/snapshot.ts";
import { takeSnapshot } from "#src/snapshots/take-snapshot.ts";
import { takeUnchanged } from "#src/snapshots/unchanged.ts";
import {
  commitAll,
  git,
  HOST,
  LIMITS,
  makeProject,
  T0,
  taken,
  withGit,
  write,
  type GitProject,
} from "#harness/machine/git-project.ts";

const files = { "a.txt": "one\n", "d/b.txt": "two\n", ".gitignore": "*.log\nbuilt/\n" };

function inputOf({ project, snapshots }: GitProject, more: Partial<SnapshotInput> = {}): SnapshotInput {
  return { ...HOST, project, snapshots, checkpointId: "cp2", now: T0, limits: LIMITS, ...more };
}

/** A project with a snapshot, whose files are older than the look at them. */
async function aSeenProject(more: Record<string, string> = {}) {
  const from = makeProject(files);
  write(from.project, {
    "new.txt": "not committed\n",
    "out.log": "ignored\n",
    "built/x": "ignored\n",
    ".env": "A=b\n",
    ...more,
  });
  await pastTheTick(from.project);
  const first = await taken(from);
  return { from, first, again: (input: Partial<SnapshotInput> = {}) => takeUnchanged(inputOf(from, input), "small") };
}

/** Waits until a change would have a later time than those before it. */
async function pastTheTick(folder: string): Promise<void> {
  const probe = join(folder, "..", "probe");
  writeFileSync(probe, "");
  const { ctimeMs } = statSync(probe);
  do {
    await new Promise(setImmediate);
    utimesSync(probe, 1, 1);
  } while (statSync(probe).ctimeMs <= ctimeMs + 40);
}

it("a checkpoint of an unchanged project gets the newest snapshot without git, and owns it", async () => {
  const { from, first, again } = await aSeenProject();
  const env = { ...HOST.env, PATH: "/nonexistent" };
  expect(await again()).toEqual(first);
  expect(await again({ checkpointId: "cp3", env })).toEqual(first);
  await dropSnapshots({ ...HOST, repository: first.repository, checkpointIds: ["cp1", "cp2"], timeoutMs: 60_000 });
  expect(git(first.repository, "for-each-ref", "--format=%(objectname) %(refname)").trim()).toBe(
    `${first.commit} refs/shim/cp3`,
  );
  expect(git(first.repository, "fsck", "--full", "--strict")).toBe("");
  expect(git(from.project, "status", "--porcelain")).toBe("?? .env\n?? new.txt\n");
});

it("any change of a file, a setting, a branch or what is ignored needs git", async () => {
  const { from, first, again } = await aSeenProject();
  const { project } = from;
  const at = (path: string): string => join(project, path);
  const changes: Record<string, () => void> = {
    content: () => writeFileSync(at("a.txt"), "two\n"),
    "same size and old time": () => {
      writeFileSync(at("a.txt"), "ten\n");
      utimesSync(at("a.txt"), 1, 1);
    },
    "new file": () => writeFileSync(at("d/c.txt"), ""),
    deleted: () => rmSync(at("d/c.txt")),
    renamed: () => renameSync(at("new.txt"), at("newer.txt")),
    mode: () => chmodSync(at("a.txt"), 0o755),
    link: () => symlinkSync("a.txt", at("link")),
    "new ignored file": () => writeFileSync(at("other.log"), ""),
    "new file in an ignored folder": () => writeFileSync(at("built/y"), ""),
    "deleted ignored file": () => rmSync(at("out.log")),
    secret: () => appendFileSync(at(".env"), "C=d\n"),
    index: () => git(project, "add", "newer.txt"),
    commit: () => commitAll(project, "second"),
    branch: () => git(project, "checkout", "-q", "-b", "other"),
    setting: () => git(project, "config", "core.autocrlf", "true"),
    "rule of this clone": () => writeFileSync(at(".git/info/exclude"), "newer.txt\n"),
  };
  const seen: string[] = [];
  for (const [name, change] of Object.entries(changes)) {
    await pastTheTick(project);
    change();
    if ((await again()) === null) seen.push(name);
    await pastTheTick(project);
    const next = await taken(from);
    expect(await again()).toEqual(next);
  }
  expect(seen).toEqual(Object.keys(changes));
  expect(first.files).toBe(4);
});

it("other limits, another environment and another project of the same repository need git", async () => {
  const { from, again } = await aSeenProject();
  expect(await again({ limits: { ...LIMITS, maxFileBytes: 3 } })).toBeNull();
  expect(await again({ env: { ...HOST.env, XDG_CONFIG_HOME: "/other" } })).toBeNull();
  expect(await again({ project: join(from.project, "d") })).toBeNull();
  expect(await again({ project: join(from.root, "gone") })).toBeNull();
  expect(await again()).not.toBeNull();
});

it("what is lost in SHIM's repository is added by git", async () => {
  const { first, again } = await aSeenProject();
  rmSync(join(first.repository, "objects/pack"), { recursive: true });
  expect(await again()).toBeNull();
});

it("a file that changes while git looks is not taken for one of the snapshot", async () => {
  const from = makeProject(files);
  await pastTheTick(from.project);
  const edit = `case "$*" in *write-tree*) echo edited > ${join(from.project, "a.txt")};; esac; exec $GIT "$@"`;
  const first = await taken(from, { env: withGit(from, edit) });
  expect(git(first.repository, "show", `${first.commit}:a.txt`)).toBe("one\n");
  expect(await takeUnchanged(inputOf(from, { env: withGit(from, edit) }), "small")).toBeNull();
});

it("it waits for who works on the repository, and stops when the caller says so", async () => {
  const { first, again } = await aSeenProject();
  writeFileSync(
    `${first.repository}.lock`,
    JSON.stringify(
      HOST.processes.facts(process.pid) && {
        boot: HOST.processes.boot(),
        pid: process.pid,
        start: HOST.processes.facts(process.pid)?.start,
      },
    ),
  );
  expect(await again({ limits: { ...LIMITS, timeoutMs: 60 } })).toBeNull();
  expect(await again({ signal: AbortSignal.timeout(60) })).toEqual({
    state: "failed",
    reason: "stopped before it was done",
  });
  expect(existsSync(join(first.repository, "refs/shim/cp2"))).toBe(false);
});

it("a folder outside git, until a repository is made around it", async () => {
  const from = makeProject();
  const project = join(from.root, "plain");
  mkdirSync(project);
  write(project, { "a.txt": "one\n", "node_modules/m/index.js": "m\n" });
  await pastTheTick(project);
  const plain = { ...from, project };
  const first = await taken(plain);
  expect(await takeUnchanged(inputOf(plain), "small")).toEqual(first);
  write(project, { "node_modules/n/index.js": "n\n" });
  expect(await takeUnchanged(inputOf(plain), "small")).toEqual(first);
  git(from.root, "init", "-q");
  expect(await takeUnchanged(inputOf(plain), "small")).toBeNull();
});

it("more files are scanned beside the host @night", async () => {
  const many = Object.fromEntries(Array.from({ length: 5_001 }, (_, n) => [`f${n % 50}/${n}.txt`, ""]));
  const from = makeProject();
  write(from.project, many);
  await pastTheTick(from.project);
  const first = await taken(from);
  expect(await takeUnchanged(inputOf(from), "small")).toBeNull();
  const noGit = { ...HOST.env, PATH: "/nonexistent" };
  expect(await takeSnapshot(inputOf(from, { env: noGit }))).toEqual(first);
  expect(readFileSync(join(first.repository, "refs/shim/cp2"), "utf8")).toBe(`${first.commit}\n`);
});
