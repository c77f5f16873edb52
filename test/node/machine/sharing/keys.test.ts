import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import {
  addKey,
  keyFilePath,
  readKeys,
  formatCode,
  createKey,
  parseCode,
  type WorkspaceKey,
} from "#src/machine/sharing/key-ring.ts";
import { open, seal, type EnvelopeSubject } from "#src/machine/sharing/envelope.ts";
import { createPrivateFolder } from "#src/platform/private-files.ts";
import { readProjectFacts, removeNames, checkoutKey, projectKey } from "#src/machine/sharing/find-project.ts";
import { createNaming } from "#src/machine/team/chat-directory.ts";
import { tempHome } from "#harness/store/temp-store.ts";
import { git, GIT_ENV, makeProject, temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

const edge = { url: "https://shim.example.com", workspace: "team" };
let serial = 0;
const random = (bytes: number): Uint8Array =>
  Uint8Array.from({ length: bytes }, () => (serial = (serial * 73 + 41) % 251));
const about: EnvelopeSubject = { workspace: "team", kind: "files", device: "dev_1", session: "s1", item: "b1 0" };

function ringOf(...keys: WorkspaceKey[]): Map<string, WorkspaceKey> {
  return new Map(keys.map((key) => [key.id, key]));
}

it("a key is read from its code, and its id says nothing of it", () => {
  const key = createKey(random);
  const code = formatCode(key);
  expect(code).toMatch(/^shimkey-[\w-]{48}$/);
  expect(key.id).toMatch(/^[0-9a-f]{16}$/);
  expect(Buffer.from(key.bytes).toString("hex")).not.toContain(key.id);
  expect(parseCode(` ${code}\n`)).toEqual({ ok: true, value: key });
});

it("a code that is cut or mistyped anywhere is refused, without being repeated", () => {
  const code = formatCode(createKey(random));
  fc.assert(
    fc.property(fc.nat(code.length - 1), fc.constantFrom("a", "B", "0", "-", "_", " "), (at, sign) => {
      const wrong = code.slice(0, at) + sign + code.slice(at + 1);
      if (wrong.trim() === code) return;
      const read = parseCode(wrong);
      expect(read.ok).toBe(false);
      if (!read.ok) expect(read.error).not.toContain(wrong.slice(8, 30));
    }),
  );
  for (const wrong of ["", "shimkey-", code.slice(0, -1), `${code}A`, code.slice(8)])
    expect(parseCode(wrong).ok).toBe(false);
});

it("keys are kept in a private file, the last one seals, and the environment's comes first", () => {
  const { home } = tempHome();
  expect(readKeys(home, edge, {})).toEqual({ ok: true, value: null });
  expect(existsSync(keyFilePath(home))).toBe(false);
  const [first, second, third] = [createKey(random), createKey(random), createKey(random)];
  for (const key of [first, second, first, second]) expect(addKey(home, edge, key).ok).toBe(true);
  addKey(home, { ...edge, workspace: "other" }, third);
  expect(statSync(keyFilePath(home)).mode & 0o777).toBe(0o600);
  const read = readKeys(home, { ...edge, url: `${edge.url}/` }, {});
  expect(read).toMatchObject({ ok: true, value: { current: second } });
  expect(read.ok && [...(read.value?.keys.keys() ?? [])]).toEqual([first.id, second.id]);
  const given = readKeys(home, edge, { SHIM_WORKSPACE_KEY: formatCode(third) });
  expect(given.ok && given.value?.current).toEqual(third);
  expect(given.ok && given.value?.keys.get(first.id)).toEqual(first);
});

it("what cannot be read is said without a key, and stays as it is", () => {
  const { home } = tempHome();
  createPrivateFolder(home);
  const code = formatCode(createKey(random));
  for (const text of [`{"workspaces":{"${edge.url} team":["${code}x"]}}`, `${code}{`, '{"keys":1}']) {
    writeFileSync(keyFilePath(home), text);
    const read = readKeys(home, edge, {});
    expect(read.ok || read.error).toContain("is damaged");
    expect(read.ok || read.error).not.toContain(code);
    if (!text.includes("workspaces")) expect(addKey(home, edge, createKey(random)).ok).toBe(false);
    if (!text.includes("workspaces")) expect(readFileSync(keyFilePath(home), "utf8")).toBe(text);
  }
  const wrong = readKeys(tempHome().home, edge, { SHIM_WORKSPACE_KEY: "shimkey-mine" });
  expect(wrong.ok || wrong.error).toMatch(/^SHIM_WORKSPACE_KEY: /);
});

it("all that is sealed opens again, never twice into the same text, and shows nothing of what is in it", () => {
  const key = createKey(random);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
      const [one, two] = [seal(key, about, bytes, random), seal(key, about, bytes, random)];
      if (!one.ok || !two.ok) throw new Error("not sealed");
      expect(one.value).not.toBe(two.value);
      expect(one.value).toMatch(/^[\w-]+$/);
      expect(open(ringOf(key), about, one.value)).toEqual({ ok: true, value: Buffer.from(bytes) });
    }),
  );
  const marked = seal(key, about, Buffer.from("SECRET-MARK ".repeat(100)), random);
  expect(Buffer.from(marked.ok ? marked.value : "", "base64url").toString("latin1")).not.toContain("SECRET");
});

it("more than a row holds is refused with its size", () => {
  const sealed = seal(createKey(random), about, randomBytes(1_200_000), random);
  expect(sealed).toMatchObject({ ok: false, error: { code: "too_large" } });
  expect(sealed.ok || sealed.error.bytes).toBeGreaterThan(1_048_576);
});

it("an envelope that was changed in one byte, cut, or belongs to something else gives nothing", () => {
  const key = createKey(random);
  const sealed = seal(key, about, Buffer.from("what was done"), random);
  if (!sealed.ok) throw new Error("not sealed");
  const all = Buffer.from(sealed.value, "base64url");
  for (let at = 0; at < all.length; at++) {
    const changed = Buffer.from(all);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(open(ringOf(key), about, changed.toString("base64url")).ok).toBe(false);
    expect(open(ringOf(key), about, all.subarray(0, at).toString("base64url")).ok).toBe(false);
  }
  const elsewhere: EnvelopeSubject[] = [
    { ...about, workspace: "other" },
    { ...about, kind: "session" },
    { ...about, device: "dev_2" },
    { ...about, session: "s2" },
    { ...about, item: "cp_2" },
  ];
  for (const other of elsewhere)
    expect(open(ringOf(key), other, sealed.value)).toMatchObject({ ok: false, error: { code: "not_authentic" } });
  const foreign = createKey(random);
  expect(open(ringOf(foreign), about, sealed.value)).toEqual({
    ok: false,
    error: { code: "unknown_key", keyId: key.id },
  });
  // Another key under the same id.
  expect(open(new Map([[key.id, foreign]]), about, sealed.value)).toMatchObject({
    error: { code: "not_authentic" },
  });
  for (const text of ["", "AA", `${sealed.value}=`, `${sealed.value} `, "é"])
    expect(open(ringOf(key), about, text)).toMatchObject({ error: { code: "malformed" } });
});

const key = createKey((bytes) => new Uint8Array(bytes).fill(7));

async function nameAt(folder: string, machine: string): Promise<string> {
  return projectKey(key, await readProjectFacts(GIT_ENV, folder, machine));
}

it("two clones are one project, on any machine; a folder without git is of its machine @night", async () => {
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

it("without the key the name cannot be made, and none is made of a path that can be guessed", () => {
  const facts = { remote: "github.com/a/b", rootCommit: null, machine: "m", folder: "/p" };
  const other = createKey((bytes) => new Uint8Array(bytes).fill(8));
  const all = [projectKey(key, facts), projectKey(other, facts), projectKey(null, facts), checkoutKey(key, facts)];
  expect(new Set(all).size).toBe(4);
  for (const name of all) expect(name).toMatch(/^[0-9a-f]{32}$/);
});

it("a chat that is open when the workspace's key changes calls its project as the others do", async () => {
  const { project } = makeProject({ "a.txt": "a" });
  const runtime = tempRuntime({ env: GIT_ENV });
  addKey(runtime.paths.home, edge, key);
  const naming = createNaming(runtime, { workspace: "team", machine: "m1", edge });
  const facts = await readProjectFacts(GIT_ENV, project, "m1");
  expect(await naming.project(project)).toEqual({ ok: true, value: projectKey(key, facts) });
  const next = createKey((bytes) => new Uint8Array(bytes).fill(8));
  addKey(runtime.paths.home, edge, next);
  runtime.store.write((sql) => removeNames(sql, "team"));
  expect(await naming.project(project)).toEqual({ ok: true, value: projectKey(next, facts) });
});
