import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readProjectFacts, findProject, removeNames } from "#src/local-mcp/sync/find-project.ts";
import { checkoutKey, normalizeRemote, projectKey } from "#src/local-mcp/sync/project-key.ts";
import { addKey } from "#src/local-mcp/sync/key-ring.ts";
import { createKey } from "#src/local-mcp/sync/workspace-key.ts";
import { createNaming } from "#src/local-mcp/team/chat-naming.ts";
import { git, GIT_ENV, makeProject, temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

const key = createKey((bytes) => new Uint8Array(bytes).fill(7));

async function nameAt(folder: string, machine: string): Promise<string> {
  return projectKey(key, await readProjectFacts(GIT_ENV, folder, machine));
}

it("[SY45] one repository has one address, whichever way it is written", () => {
  for (const url of [
    "git@github.com:owner/repo.git",
    "github.com:owner/repo",
    "https://GitHub.com/owner/repo.git/",
    "https://user:pass@github.com/owner/repo",
    "ssh://git@github.com:22/owner/repo.git",
    "git://github.com//owner/repo",
  ])
    expect(normalizeRemote(url)).toBe("github.com/owner/repo");
  for (const url of ["/srv/git/repo.git", "../repo", "file:///srv/repo", "C:\\repo", "c:/repo", ""])
    expect(normalizeRemote(url)).toBeNull();
  expect(normalizeRemote("https://github.com/owner/Repo")).not.toBe("github.com/owner/repo");
});

it("[SY45] two clones are one project, on whatever machine; a folder without git is of its machine", async () => {
  const { project, root } = makeProject({ "a.txt": "a" });
  git(root, "clone", "--quiet", project, "clone");
  const clone = join(root, "clone");
  // A path is no address elsewhere: the first commit tells.
  expect(await nameAt(clone, "m2")).toBe(await nameAt(project, "m1"));
  git(project, "remote", "add", "origin", "git@example.com:a/b.git");
  git(clone, "remote", "set-url", "origin", "https://example.com/a/b");
  expect(await nameAt(clone, "m2")).toBe(await nameAt(project, "m1"));
  expect((await readProjectFacts(GIT_ENV, project, "m1")).remote).toBe("example.com/a/b");
  const plain = temporaryFolder();
  expect(await nameAt(plain, "m1")).not.toBe(await nameAt(plain, "m2"));
  expect(await nameAt(join(plain, "gone"), "m1")).toMatch(/^[0-9a-f]{32}$/);
  const empty = makeProject().project;
  expect(await readProjectFacts(GIT_ENV, empty, "m1")).toMatchObject({ remote: null, rootCommit: null });
});

it("[SY45] without the key nobody makes the name, and none is made of a path that can be guessed", () => {
  const facts = { remote: "github.com/a/b", rootCommit: null, machine: "m", folder: "/p" };
  const other = createKey((bytes) => new Uint8Array(bytes).fill(8));
  const all = [projectKey(key, facts), projectKey(other, facts), projectKey(null, facts), checkoutKey(key, facts)];
  expect(new Set(all).size).toBe(4);
  for (const name of all) expect(name).toMatch(/^[0-9a-f]{32}$/);
});

it("[SY45] a name is found once, and again after a day or under another key", async () => {
  const runtime = tempRuntime({ env: GIT_ENV });
  const { project } = makeProject({ "a.txt": "a" });
  mkdirSync(join(project, "src"));
  const naming = { workspace: "team", key, machine: "m1" };
  const name = await findProject(runtime, naming, project);
  git(project, "remote", "add", "origin", "git@example.com:a/b.git");
  expect(await findProject(runtime, naming, project)).toBe(name);
  runtime.wait(86_400_000);
  const now = await findProject(runtime, naming, project);
  expect(now).not.toBe(name);
  runtime.store.write((sql) => removeNames(sql, "team"));
  const other = createKey((bytes) => new Uint8Array(bytes).fill(9));
  expect(await findProject(runtime, { ...naming, key: other }, project)).not.toBe(now);
});

it("[TE10] [SY45] a chat that is open when the workspace's key changes calls its project as the others do", async () => {
  const { project } = makeProject({ "a.txt": "a" });
  const runtime = tempRuntime({ env: GIT_ENV });
  const edge = { url: "https://shim.example.com", workspace: "team" };
  addKey(runtime.paths.home, edge, key);
  const naming = createNaming(runtime, { workspace: "team", machine: "m1", edge });
  const facts = await readProjectFacts(GIT_ENV, project, "m1");
  expect(await naming.project(project)).toEqual({ ok: true, value: projectKey(key, facts) });
  const next = createKey((bytes) => new Uint8Array(bytes).fill(8));
  addKey(runtime.paths.home, edge, next);
  runtime.store.write((sql) => removeNames(sql, "team"));
  expect(await naming.project(project)).toEqual({ ok: true, value: projectKey(next, facts) });
});
