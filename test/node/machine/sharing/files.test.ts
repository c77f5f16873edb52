import * as fc from "fast-check";
import type { OutputOf } from "#src/contract/operations.ts";
import { randomBytes } from "node:crypto";
import { readdirSync, rmSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { dismiss } from "#src/machine/recovery/marks.ts";
import { forget, type ForgetTarget } from "#src/machine/view/keeping/forget.ts";
import * as devices from "#src/machine/sharing/device.ts";
import { setEpoch } from "#src/store/meta.ts";
import { prune } from "#src/machine/view/keeping/retention.ts";
import { takePending } from "#src/snapshots/stored-snapshots.ts";
import { syncStatus, readNotes } from "#src/machine/sharing/sync-status.ts";
import { contents, git, GIT_ENV, makeProject, temporaryFolder, write } from "#harness/machine/git-project.ts";
import { flipped, heard, notReceived, received, restored, rowIn, save, stored } from "#harness/sync/sync-machine.ts";
import { twoMachines, type SyncMachine, type SyncMachineOptions, type Two } from "#harness/sync/sync-machine.ts";
import { open, seal, type EnvelopeSubject } from "#src/machine/sharing/envelope.ts";
import { addKey, createKey, deriveKey, formatCode, keyFilePath } from "#src/machine/sharing/key-ring.ts";
import { parseCode, readKeys, type WorkspaceKey } from "#src/machine/sharing/key-ring.ts";
import { createPrivateFolder } from "#src/platform/private-files.ts";
import { checkoutKey, projectKey, readProjectFacts, removeNames } from "#src/machine/sharing/find-project.ts";
import { createNaming } from "#src/machine/team/chat-directory.ts";
import { given } from "#harness/coordinator/peers.ts";
import { tempHome } from "#harness/store/store-test.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";

/** Two machines, one of which has sent the files of a checkpoint. */
async function aSentFile(options: SyncMachineOptions = {}): Promise<Two & { readonly first: string }> {
  const both = twoMachines(options);
  const first = await save(both, "first");
  await both.one.sync.syncNow();
  return { ...both, first };
}

const dayMs = 86_400_000;

it("no files are sent without the setting, of a session that has ended, and of one whose last event is long ago", async () => {
  const both = twoMachines();
  const { world, one, two, clone } = both;
  await save(both, "old");
  await world.time.pass(8 * dayMs);
  await save(both, "ended", "s2");
  one.end("s2");
  two.work("s3", "of a machine without the setting", clone);
  await takePending(two.runtime, ["s3"], new AbortController().signal);
  for (const machine of [one, two]) expect(await machine.sync.syncNow()).toMatchObject({ files: 0, trouble: null });
  expect(world.filePuts).toBe(0);
});

it("at any cut between the parts, and any death of a process, the files before are read whole until the new ones are @night", async () => {
  const both = twoMachines();
  const { world, one, two, project } = both;
  // Three parts and a header.
  for (const name of ["x.bin", "y.bin", "z.bin"]) write(project, { [name]: randomBytes(250_000) });
  await save(both, "older");
  const first = await save(both, "first");
  await one.sync.syncNow();
  expect(world.filePuts).toBe(4);
  expect(world.host.bytes()).not.toContain("x.bin");
  for (const name of ["x.bin", "y.bin", "z.bin"]) write(project, { [name]: randomBytes(250_000) });
  await world.time.pass(1_000);
  const second = await save(both, "second");
  for (let good = 0; good < 4; good++) {
    const weather = good % 2 === 0 ? "unreachable" : "lost";
    let left = good;
    world.weather = (name) => (name !== "files" || left-- > 0 ? "good" : weather);
    expect(await one.sync.syncNow()).toMatchObject({ files: 0, trouble: null });
    world.weather = () => "good";
    // After the last part was stored the new ones are read, though the answer was lost.
    expect((await received(two)).header.checkpoint).toBe(good === 3 ? second : first);
    one.restart();
  }
  expect(await one.sync.syncNow()).toMatchObject({ files: 1, trouble: null });
  expect(await restored(both, await received(two))).toEqual(contents(project));
  expect(rowIn(two).sealed.files).toMatchObject({ sent: { checkpoint: second }, notSent: null });
  expect(readdirSync(one.runtime.paths.snapshots).filter((name) => name.startsWith("bundle-"))).toEqual([]);
});

function syncStatusOf(machine: SyncMachine): ReturnType<typeof syncStatus> {
  return machine.runtime.store.read(syncStatus, null);
}

it("files that are as they were are sent again only where the user has made a commit since", async () => {
  const both = await aSentFile();
  const { world, one, project } = both;
  for (const files of [0, 1]) {
    await world.time.pass(1_000);
    one.work("s1", `later ${files}`, project);
    await takePending(one.runtime, ["s1"], new AbortController().signal);
    expect(await one.sync.syncNow()).toMatchObject({ files, trouble: null });
    git(project, "commit", "--quiet", "--allow-empty", "-m", "done");
  }
});

it("files whose checkpoint is forgotten between two parts do not arrive", async () => {
  const both = twoMachines();
  const { world, one, two, project } = both;
  write(project, { "x.bin": randomBytes(500_000) });
  const checkpoint = await save(both, "first");
  world.weather = (name) => {
    if (name === "files" && world.filePuts === 2) one.runtime.store.write((sql) => void forget(sql, { checkpoint }));
    return "good";
  };
  expect(await one.sync.syncNow()).toMatchObject({ files: 0, forgotten: 1, trouble: null });
  expect(world.filePuts).toBe(2);
  expect(await notReceived(two, await heard(two))).toBe("not_found");
});

it("files that were under way when the key changed are sent under the new one", async () => {
  const both = twoMachines();
  const { world, one, project } = both;
  write(project, { "x.bin": randomBytes(500_000) });
  await save(both, "first");
  world.weather = (name) => (name === "files" && world.filePuts === 2 ? "unreachable" : "good");
  expect(await one.sync.syncNow()).toMatchObject({ files: 0, trouble: null });
  const { keyId } = given(await world.host.call("sync.status", {}));
  const next = createKey((bytes) => new Uint8Array(bytes).fill(99));
  await world.host.call("sync.rekey", { keyId: next.id, from: keyId });
  one.take(next);
  for (const files of [0, 1]) {
    await world.time.pass(31_000);
    expect(await one.sync.syncNow()).toMatchObject({ files, trouble: null });
  }
});

it("files that are too large, or that the workspace has no room for, are not sent, and the status says so; older ones stay @night", async () => {
  const both = await aSentFile({ config: { sync: { files: true, maxFilesBytes: 20_000 } } });
  const { world, one, two, project, first } = both;
  await world.time.pass(1_000);
  write(project, { "large.bin": randomBytes(50_000) });
  const second = await save(both, "second");
  const sent = world.filePuts;
  expect(await one.sync.syncNow()).toMatchObject({ files: 0, trouble: null });
  expect(world.filePuts).toBe(sent);
  const reason = expect.stringContaining("20000") as string;
  expect(syncStatusOf(one)?.files).toMatchObject({ sessions: 1, notSent: 1, reason });
  const { header } = await received(two);
  expect(header.checkpoint).toBe(first);
  expect(rowIn(two).sealed.files).toMatchObject({ sent: { checkpoint: first }, notSent: { checkpoint: second } });
  rmSync(join(project, "large.bin"));
  await world.time.pass(1_000);
  const third = await save(both, "third");
  const { chars } = given(await world.host.call("sync.status", {}));
  await world.host.call("settings.set", { settings: { maxSyncChars: 2 * chars } });
  expect(await one.sync.syncNow()).toMatchObject({ files: 0 });
  expect(syncStatusOf(one)?.files.reason).toContain("maxSyncChars");
  await world.host.call("settings.set", { settings: { maxSyncChars: 500_000_000 } });
  await world.time.pass(600_000);
  expect(await one.sync.syncNow()).toMatchObject({ files: 1, trouble: null });
  expect(syncStatusOf(one)?.files).toMatchObject({ sessions: 1, notSent: 0, reason: null });
  expect((await received(two)).header.checkpoint).toBe(third);
});

it("files go at the coordinator when their session is forgotten, ends, is dismissed, continued or too old", async () => {
  const both = twoMachines();
  const { world, one, two } = both;
  const { runtime } = one;
  const ends: ((session: string) => unknown)[] = [
    (session) => runtime.store.write((sql) => void forget(sql, { session })),
    (session) => one.end(session),
    (session) => dismiss(runtime, session),
    (session) => {
      one.work("next", "continues it");
      runtime.store.write((sql) =>
        recoveries.add(sql, { at: runtime.now(), session: session, action: "recovered", by: "next" }),
      );
    },
    async (session) => {
      one.end(session);
      await world.time.pass(40 * dayMs);
      runtime.store.write((sql) => prune(sql, runtime.now(), runtime.config.retention, 1_000));
    },
  ];
  for (const [at, end] of ends.entries()) {
    await save(both, `text ${at}`, `s${at}`);
    await one.sync.syncNow();
    await two.sync.syncNow();
    const row = rowIn(two, `s${at}`);
    await end(row.id);
    await world.time.pass(10_000);
    await one.sync.syncNow();
    expect([row.id, await notReceived(two, row)]).toEqual([row.id, "not_found"]);
  }
});

it("what a machine forgot while it was away, or had not told, goes when it comes back; what a repair lost stays", async () => {
  const { world, one, first } = await aSentFile();
  const handed = ["untold", "gone", "edited", "kept", "lost"].map((id) => one.work(id, `${id} first`));
  await world.time.pass(1_000);
  one.work("s1", "after the files");
  await one.sync.syncNow();
  const { store } = one.runtime;
  const erase = (target: ForgetTarget): void => void store.write((sql) => forget(sql, target));
  const rejoin = async (url = one.edge.url): Promise<unknown> => {
    const member = { ...one.edge, url };
    store.write((sql) => devices.join(sql, member, "dev_other", one.runtime.now(), one.runtime.now()));
    await one.sync.syncNow();
    return (await one.mirrored()).sessions;
  };
  const leave = (): void => store.write((sql) => devices.leave(sql));
  erase({ session: "untold" });
  leave();
  erase({ session: "gone" });
  for (const checkpoint of [first, handed[2] ?? ""]) erase({ checkpoint });
  expect(await rejoin()).toEqual(["edited", "kept", "lost", "s1"]);
  const files = { device: one.device, session: "s1", kind: "files" } as const;
  expect(await world.host.call("sync.read", files)).toMatchObject({ error: { code: "unknown_key" } });
  expect((await one.mirrored()).checkpoints).toEqual(one.kept().checkpoints);
  // It was not sent again.
  leave();
  erase({ session: "kept" });
  expect(await rejoin()).toEqual(["edited", "lost", "s1"]);
  leave();
  store.write((sql) => [sql.run("DELETE FROM sessions WHERE id = 'lost'"), setEpoch(sql, 2)]);
  expect(await rejoin()).toEqual(["edited", "lost", "s1"]);
  leave();
  erase({ session: "edited" });
  expect(await rejoin("https://another.example.com")).toEqual(["edited", "lost", "s1"]);
});

it("older files that are shown again are refused, as are changed, cut and mixed ones, and ones of another session", async () => {
  const both = await aSentFile();
  const { world, one, two } = both;
  const of = { session: "s1", device: one.device };
  const header = await stored(world, { ...of, kind: "files" });
  const piece = await stored(world, { ...of, kind: "part", bundle: header.bundle ?? "", part: 0 });
  await world.time.pass(1_000);
  await save(both, "second");
  await save(both, "elsewhere", "s2");
  await one.sync.syncNow();
  const row = await heard(two);
  expect(row.sealed.files?.sent).not.toBe(null);
  const foreign = await stored(world, { ...of, session: "s2", kind: "files" });
  type Record = OutputOf<"sync.read">;
  const cases: { [name: string]: (answer: Record, n: number) => Record } = {
    "all of the older bundle": (_answer, n) => (n === 0 ? header : piece),
    "the newer header with the older piece": (answer, n) =>
      n === 0 ? answer : { ...answer, envelope: piece.envelope },
    "a changed bit of the header": (answer, n) =>
      n === 0 ? { ...answer, envelope: flipped(answer.envelope) } : answer,
    "a cut piece": (answer, n) => (n === 1 ? { ...answer, envelope: answer.envelope.slice(0, -8) } : answer),
    "those of another session": () => foreign,
  };
  for (const [name, change] of Object.entries(cases)) {
    let asked = 0;
    world.twist = (call, answer) => (call === "sync.read" ? change(answer as Record, asked++) : answer);
    expect(await notReceived(two, row), name).toBe("refused");
  }
  world.twist = (_name, answer) => answer;
  expect(two.runtime.store.read(readNotes, {}).refused).toBe(5);
  await received(two);
});

const edge = { url: "https://shim.example.com", workspace: "team" };
let serial = 0;
const random = (bytes: number) => Uint8Array.from({ length: bytes }, () => (serial = (serial * 73 + 41) % 251));
const about: EnvelopeSubject = { workspace: "team", kind: "files", device: "dev_1", session: "s1", item: "b1 0" };

const ringOf = (...keys: WorkspaceKey[]): Map<string, WorkspaceKey> => new Map(keys.map((key) => [key.id, key]));

it("a key is read from its code, and its id says nothing of it; a code that is cut or mistyped is refused, not repeated", () => {
  const key = createKey(random);
  const code = formatCode(key);
  expect(code).toMatch(/^shimkey-[\w-]{48}$/);
  expect(key.id).toMatch(/^[0-9a-f]{16}$/);
  expect(Buffer.from(key.bytes).toString("hex")).not.toContain(key.id);
  const uses = ["shim key id", "shim seal", "shim names", "shim claim"] as const;
  expect(new Set(uses.map((use) => deriveKey(key.bytes, use, 8).toString("hex"))).size).toBe(4);
  expect(parseCode(` ${code}\n`)).toEqual({ ok: true, value: key });
  const property = fc.property(fc.nat(code.length - 1), fc.constantFrom("a", "B", "0", "-", "_", " "), (at, sign) => {
    const wrong = code.slice(0, at) + sign + code.slice(at + 1);
    if (wrong.trim() === code) return;
    const read = parseCode(wrong);
    expect(read.ok).toBe(false);
    if (!read.ok) expect(read.error).not.toContain(wrong.slice(8, 30));
  });
  fc.assert(property);
  for (const wrong of ["", "shimkey-", code.slice(0, -1), `${code}A`, code.slice(8)])
    expect(parseCode(wrong).ok).toBe(false);
});

it("keys are kept in a private file, the last one seals, and the environment's comes first", () => {
  const { home } = tempHome();
  expect(readKeys(home, edge, {})).toEqual({ ok: true, value: null });
  expect(existsSync(keyFilePath(home))).toBe(false);
  const [first, second, third] = [createKey(random), createKey(random), createKey(random)];
  addKey(home, { ...edge, workspace: "other" }, third);
  for (const key of [second, first, second]) expect(addKey(home, edge, key).ok).toBe(true);
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
    if (text.includes("workspaces")) continue;
    expect(addKey(home, edge, createKey(random)).ok).toBe(false);
    expect(readFileSync(keyFilePath(home), "utf8")).toBe(text);
  }
  const wrong = readKeys(tempHome().home, edge, { SHIM_WORKSPACE_KEY: "shimkey-mine" });
  expect(wrong.ok || wrong.error).toMatch(/^SHIM_WORKSPACE_KEY: /);
});

it("all that is sealed opens again, never twice into the same text, and shows nothing of it; too much is refused", () => {
  const key = createKey(random);
  const property = fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
    const [one, two] = [seal(key, about, bytes, random), seal(key, about, bytes, random)];
    if (!one.ok || !two.ok) throw new Error("not sealed");
    expect(one.value).not.toBe(two.value);
    expect(one.value).toMatch(/^[\w-]+$/);
    expect(open(ringOf(key), about, one.value)).toEqual({ ok: true, value: Buffer.from(bytes) });
  });
  fc.assert(property);
  const marked = seal(key, about, Buffer.from("SECRET-MARK ".repeat(100_000)), random);
  expect(Buffer.from(marked.ok ? marked.value : "", "base64url").toString("latin1")).not.toContain("SECRET");
  expect(marked.ok).toBe(true);
  const bomb = seal(key, about, Buffer.alloc(65 * 1_048_576), random);
  expect([bomb.ok, bomb.ok && open(ringOf(key), about, bomb.value).ok]).toEqual([true, false]);
  const large = seal(key, about, randomBytes(1_200_000), random);
  expect(large).toMatchObject({ ok: false, error: { code: "too_large" } });
  expect(large.ok || large.error.bytes).toBeGreaterThan(1_048_576);
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
  const error = (ring: Map<string, WorkspaceKey>, text: string, other: Partial<EnvelopeSubject> = {}): unknown => {
    const opened = open(ring, { ...about, ...other }, text);
    return opened.ok || opened.error;
  };
  const others = { workspace: "other", kind: "session", device: "dev_2", session: "s2", item: "k2" };
  for (const [name, value] of Object.entries(others))
    expect(error(ringOf(key), sealed.value, { [name]: value })).toMatchObject({ code: "not_authentic" });
  const foreign = createKey(random);
  expect(error(ringOf(foreign), sealed.value)).toEqual({ code: "unknown_key", keyId: key.id });
  // Another key under the same id.
  expect(error(new Map([[key.id, foreign]]), sealed.value)).toMatchObject({ code: "not_authentic" });
  for (const text of ["", "AA", `${sealed.value}=`, `${sealed.value} `, "é"])
    expect(error(ringOf(key), text)).toMatchObject({ code: "malformed" });
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
