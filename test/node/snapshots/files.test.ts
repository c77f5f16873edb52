import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, rmSync, utimesSync, writeFileSync, mkdirSync, symlinkSync } from "node:fs";
import { join, parse } from "node:path";
import { expect, it } from "vitest";
import type { FileNote } from "#src/contract/work-state.ts";
import { changesIn } from "#src/snapshots/changed-files.ts";
import { compareFiles, noteFile, type FileFacts } from "#src/snapshots/file-state.ts";
import { projectRoot, readHead } from "#src/snapshots/git-head.ts";
import { SecretContent } from "#src/snapshots/secret-content.ts";
import { isSecretName } from "#src/snapshots/secret-names.ts";
import { anUndoRig } from "#harness/machine/cli-rigs.ts";
import { GIT_ENV, LIMITS, git, makeProject, paths, plantHooks } from "#harness/machine/git-project.ts";
import { reasonFor, show, snapshotOf, taken, temporaryFolder, write } from "#harness/machine/git-project.ts";
import { command, edit, makes, reasons } from "#harness/machine/undo-works.ts";
import { base62, draw, encode, pem } from "#harness/secrets/secret-draw.ts";

function names(snapshot: { leftOut: readonly { path: string }[] }): string[] {
  return snapshot.leftOut.map(({ path }) => path).sort();
}

it("leaves secrets out by name, and an npm settings file by its token, and names each", async () => {
  const npm = { ".npmrc": "fund=false\n", "sub/.npmrc": "fund=false\n" };
  const from = makeProject({ "a.txt": "x\n", ".env.committed": "KEEP=1\n", ...npm });
  const secrets = [".env", "conf/.env.local", "server.pem", "id_rsa", "credentials.json", ".aws/config"];
  write(from.project, Object.fromEntries(secrets.map((name) => [name, "hush hush\n"])));
  const auth = "//registry.example/:_authToken";
  write(from.project, { ".npmrc": `${auth}=abc\n`, "sub/.npmrc": `${auth}=\${TOKEN}\n` });
  write(from.project, { "credentials.ts": "export {};\n", "staged.pem": "hush hush\n" });
  git(from.project, "add", "-f", "staged.pem");
  const snapshot = await taken(from);
  expect(names(snapshot)).toEqual([...secrets, "staged.pem", ".npmrc"].sort());
  expect(paths(snapshot)).toEqual([".env.committed", ".npmrc", "a.txt", "credentials.ts", "sub/.npmrc"]);
  expect(show(snapshot, ".npmrc")).toBe("fund=false\n");
  expect(show(snapshot, "sub/.npmrc")).toContain("${TOKEN}");
  const all = git(snapshot.repository, "cat-file", "--batch-all-objects", "--batch", "--unordered");
  expect(all).not.toContain("hush hush");
});

it("a file with a secret by its content is left out, now or since a change; a lookalike is kept", async () => {
  const d = draw(23);
  const key = pem(d, "OPENSSH PRIVATE KEY");
  const token = `ghp_${d.chars(base62, 36)}`;
  const auth = encode(`ci:${d.chars(base62, 20)}`);
  const from = makeProject({ "later.ts": "export {};\n", "a.txt": "x\n" });
  const secrets = {
    "later.ts": `const client = login("${token}");\n`,
    deploy: key,
    "shop-1a2b3c.json": JSON.stringify({ type: "service_account", private_key: pem(d, "PRIVATE KEY", "\\n") }),
    "admin.conf": `apiVersion: v1\nkind: Config\nusers:\n- name: a\n  user:\n    client-key-data: ${encode(key)}\n`,
    "cluster.yaml": `apiVersion: v1\nkind: Config\nusers:\n- name: a\n  user:\n    token: ${d.chars(base62, 30)}\n`,
    ".docker/config.json": JSON.stringify({ auths: { "r.acme.dev": { auth } } }),
    ".mcp.json": JSON.stringify({ mcpServers: { a: { env: { API_KEY: d.chars(base62, 32) } } } }),
    "appsettings.Production.json": JSON.stringify({ Smtp: { Password: `${d.chars(base62, 9)}!` } }),
    "jar.txt": "# Netscape HTTP Cookie File\n.shop.example\tTRUE\t/\tTRUE\t0\tsid\tabc\n",
    "my-tokens.json": JSON.stringify({ token: d.chars(base62, 40) }),
  };
  const harmless = {
    "login.ts": 'const password = "hunter2!x"; // of the test server\nconst key = "-----BEGIN PUBLIC KEY-----";\n',
    "tokens.json": JSON.stringify({ color: { primary: "#1a2b3c" } }),
    "auth.yml": "password: ${DB_PASSWORD}\ntoken: <your-token>\n",
    "image.bin": `\0${token}`,
  };
  write(from.project, { ...secrets, ...harmless });
  const snapshot = await taken(from);
  expect(names(snapshot)).toEqual(Object.keys(secrets).sort());
  expect(paths(snapshot)).toEqual([...Object.keys(harmless), "a.txt", "later.ts"].sort());
  expect(show(snapshot, "later.ts")).toBe("export {};\n");
  expect(reasonFor(snapshot, "later.ts")).toBe("it holds a secret (github-token); the last commit's version is kept");
  expect(reasonFor(snapshot, "deploy")).toBe("it holds a private key");
});

it("leaves out changed and new files over the limit, keeps unchanged ones, and names each", async () => {
  const large = "0123456789\n".repeat(200);
  const { snapshot } = await snapshotOf(
    { "big.txt": large, "big-edited.txt": large, "small.txt": "x\n" },
    { "big-edited.txt": `${large}more\n`, "big-new.txt": large },
    { limits: { ...LIMITS, maxFileBytes: 1_000 } },
  );
  expect(names(snapshot)).toEqual(["big-edited.txt", "big-new.txt"]);
  expect(reasonFor(snapshot, "big-edited.txt")).toBe("larger than 1000 bytes; the last commit's version is kept");
  expect(show(snapshot, "big-edited.txt")).toBe(large);
  expect(paths(snapshot)).toEqual(["big-edited.txt", "big.txt", "small.txt"]);
});

it("takes edits before new files and small before large until it is full, and names the rest", async () => {
  const sizes = { "tracked.txt": 500, "n1.txt": 100, "n2.txt": 400, "n3.txt": 300 };
  const written = Object.fromEntries(Object.entries(sizes).map(([name, bytes]) => [name, "x".repeat(bytes)]));
  const limits = { ...LIMITS, maxTotalBytes: 1_000 };
  const { snapshot } = await snapshotOf({ "tracked.txt": "x\n" }, written, { limits });
  expect(snapshot.leftOut).toEqual([{ path: "n2.txt", reason: "the snapshot is full (1000 bytes)" }]);
});

function tooLarge(size: string): string {
  const what = "git does not ignore it: a line in .gitignore, or a commit, ends that";
  return `it is too large to be saved with each turn (${size}), and ${what}`;
}

it("leaves out untracked folders that are too much for a turn, the largest first, with what to do", async () => {
  const many = Object.fromEntries([1, 2, 3, 4].map((at) => [`many/in/${at}.txt`, "x\n"]));
  const written = { ...many, "few/a.txt": "x\n", "src/new.txt": "x\n", "big/b.txt": "x".repeat(500) };
  const limits = { ...LIMITS, maxNewFiles: 4, maxNewBytes: 400 };
  const { snapshot } = await snapshotOf({ "src/a.txt": "x\n" }, written, { limits });
  expect(paths(snapshot)).toEqual(["few/a.txt", "src/a.txt", "src/new.txt"]);
  expect(snapshot.leftOut).toEqual([
    { path: "many/", reason: tooLarge("4 files") },
    { path: "big/", reason: tooLarge("500 bytes") },
  ]);
});

it("leaves out the same folder where one of its files is gone since", async () => {
  const from = makeProject({ "a.txt": "x\n" });
  for (const folder of ["few", "more", "most"])
    write(from.project, Object.fromEntries([1, 2, 3, 4, 5, 6].map((at) => [`${folder}/${at}.txt`, "x\n"])));
  const limits = { ...LIMITS, maxNewFiles: 13 };
  const first = await taken(from, { limits });
  rmSync(join(from.project, "few/1.txt"));
  const second = await taken(from, { limits });
  expect([names(first), names(second)]).toEqual([["few/"], ["few/"]]);
});

it("an undo names a folder that is left out in place of its files, but for those of edits, also where one of them is asked for", async () => {
  const rig = anUndoRig({ a: "0\n" });
  const { project, runtime } = rig;
  Object.assign(runtime.config, { snapshots: { ...runtime.config.snapshots, maxNewFiles: 3 } });
  const names = ["out/one", "out/two", "out/three", "out/four"];
  const fill = (): void => write(project, Object.fromEntries(names.map((name) => [name, "0\n"])));
  rig.byHand(fill);
  // The reading at the turn's end has the folder's files, those before and after it have not.
  const clear = command(() => {
    for (const name of names) rmSync(join(project, name));
    makes(rig, "1", "a", "out/made").work();
  });
  await rig.turn("one", clear, edit(rig, "out/edited", "1\n"));
  rig.byHand(() => write(project, { "out/edited": "by hand\n" }));
  rig.byHand(fill);
  const folder = { "out/": expect.stringMatching(/^it is too large .*were changed while a call of the chat ran: 1$/) };
  const all = { ...folder, "out/edited": "it was changed since, not by this chat" };
  const { changes, left } = await rig.preview();
  expect([changes, reasons(left)]).toEqual([[{ path: "a", now: "changed" }], all]);
  const named = async (path: string) => reasons((await rig.preview({ files: [path] })).left);
  expect([await named("out/made"), await named("out"), await named("a")]).toEqual([folder, all, {}]);
  expect(await named("out/edited")).toEqual({ "out/edited": all["out/edited"] });
});

it("holds the files of submodules and nested repositories, and names what has no content on this machine", async () => {
  const other = makeProject({ "lib.txt": "lib\n" });
  const from = makeProject({ "a.txt": "x\n", "lost.txt": "lost\n" });
  git(from.project, "submodule", "--quiet", "add", other.project, "lib");
  git(from.project, "commit", "--quiet", "-m", "with a submodule");
  git(from.project, "init", "--quiet", "nested");
  write(from.project, { "lib/lib.txt": "edited inside\n", "nested/n.txt": "nested\n" });
  const id = git(from.project, "rev-parse", "HEAD:lost.txt").trim();
  rmSync(join(from.project, ".git/objects", id.slice(0, 2), id.slice(2)));
  const snapshot = await taken(from);
  expect(names(snapshot)).toEqual(["lost.txt"]);
  expect(reasonFor(snapshot, "lost.txt")).toContain("not in the project's objects");
  const all = [".gitmodules", "a.txt", "lib/lib.txt", "nested/n.txt"];
  expect(paths(snapshot)).toEqual(all);
});

it("never runs a filter, a hook or a monitor of the project, and has the bytes of files that a filter would change", async () => {
  const from = makeProject({ "a.txt": "x\n", "old.bin": "stored form\n" });
  const mark = join(from.root, "ran");
  const settings = { "core.fsmonitor": `touch ${mark}`, "core.hooksPath": join(from.project, ".git/hooks") };
  const filter = `sh -c 'touch ${mark}; cat'`;
  const filters = { "filter.mark.clean": filter, "filter.mark.smudge": filter, "filter.mark.required": "true" };
  for (const setting of Object.entries({ ...settings, ...filters })) git(from.project, "config", ...setting);
  writeFileSync(join(from.project, ".gitattributes"), "*.bin filter=mark\n");
  plantHooks(from, mark, ["post-index-change", "reference-transaction", "pre-commit", "post-commit"]);
  write(from.project, { "new.bin": "raw\n", ".new.bin.shim-7.tmp": "half" });
  const snapshot = await taken(from);
  // Older than its files: their size and time alone do not show that they are the same.
  utimesSync(join(from.project, ".git/index"), 1_000, 1_000);
  const query = { project: from.project, commit: null, knownHead: null, startedAt: 0, edited: [] };
  expect(changesIn(GIT_ENV, query)?.open).toHaveLength(2);
  expect(existsSync(mark)).toBe(false);
  expect(names(snapshot)).toEqual([]);
  expect([show(snapshot, "new.bin"), show(snapshot, "old.bin")]).toEqual(["raw\n", "stored form\n"]);
});

it("the first 256 KiB of a file are searched for secrets, 32 MiB in all", () => {
  const { project } = makeProject({});
  const token = `login("ghp_${draw(37).chars(base62, 36)}");\n`;
  const size = 256 * 1024;
  const x = "x".repeat(size);
  write(project, { early: `${token}${x}`, late: `${x}${token}`, large: Buffer.alloc(size) });
  const reasonOf = (search: SecretContent, name: string) => search.reason(Buffer.from(join(project, name)), name);
  const search = new SecretContent();
  expect([reasonOf(search, "early"), reasonOf(search, "late")]).toEqual(["it holds a secret (github-token)", null]);
  for (let read = 2; read < 128; read++) reasonOf(search, "large");
  expect(reasonOf(search, "early")).toBeNull();
});

const sha256 = (content: string | Uint8Array): string => createHash("sha256").update(content).digest("hex");

const why = (path: string): string | undefined => noteFile(path, "noted", LIMITS).skipped;

it("does not read secrets, pipes, folders, devices that never end, and relative paths, and says why", () => {
  const at = temporaryFolder();
  write(at, { ".env": "A=1", "sub/key.pem": "x", "f.txt": "x" });
  execFileSync("mkfifo", [join(at, "pipe")]);
  symlinkSync("loop", join(at, "loop"));
  const below = (...names: string[]) => names.map((name) => why(`${at}/${name}`));
  expect(below(".env", "sub/key.pem")).toEqual(["looks secret", "looks secret"]);
  expect([...below("pipe", "sub"), why("/dev/zero")]).toEqual(Array(3).fill("not a regular file"));
  expect(below("nowhere", "f.txt/below")).toEqual(["not there", "not there"]);
  expect([...below("\0", "loop"), why("f.txt")]).toEqual(["unreadable", "unreadable", "not an absolute path"]);
  // Grows without an end that its size tells: counted while it is read.
  expect(noteFile("/proc/self/maps", "noted", { maxFileBytes: 10 }).skipped).toBe("too large");
  symlinkSync("f.txt", join(at, "link"));
  expect(noteFile(join(at, "link"), "noted", LIMITS).hash).toBe(sha256("x"));
});

it("a file whose path is not UTF-8, as its client names it, is not called absent", () => {
  const folder = Buffer.concat([Buffer.from(`${temporaryFolder()}/caf`), Buffer.from([0xe9])]);
  mkdirSync(folder);
  const named = `${folder.toString()}/a.txt`;
  writeFileSync(Buffer.concat([folder, Buffer.from("/a.txt")]), "x");
  const note = noteFile(named, "edited", LIMITS);
  expect([note.skipped, compareFiles([note])[0]?.now]).toEqual(["unreadable", "unknown"]);
});

it("distinguishes same, changed and missing files, and what it cannot know", () => {
  const at = temporaryFolder();
  write(at, { same: "s", changed: "c", gone: "g", back: "b", ".env": "A=1", ".env.gone": "A=1" });
  rmSync(join(at, "back"));
  const notes = ["same", "changed", "gone", "back", "never", ".env", ".env.gone"].map((name) =>
    noteFile(join(at, name), "edited", LIMITS),
  );
  write(at, { changed: "C", back: "b again", ".env": "A=2" });
  rmSync(join(at, "gone"));
  rmSync(join(at, ".env.gone"));
  const states = ["same", "changed", "missing", "changed", "deleted", "unknown", "missing"] as const;
  expect(compareFiles(notes)).toEqual(notes.map((note, at) => Object.assign({}, note, { now: states[at] })));
});

it("reads 500 files and 128 MiB at most", () => {
  const note: FileNote = { path: "/some/file", hash: sha256("x"), action: "edited" };
  const asked: number[] = [];
  const compared = (count: number, bytes: number): (string | undefined)[] => {
    const notes = Array.from({ length: count }, () => note);
    const look = (_path: string, max: number): FileFacts => {
      asked.push(max);
      return bytes > max
        ? { isThere: true, hash: null, skipped: "too large", bytes: 0 }
        : { isThere: true, hash: sha256("x"), bytes };
    };
    return compareFiles(notes, look).map(({ now }) => now);
  };
  expect(compared(502, 1)).toEqual([...Array<string>(500).fill("same"), "unknown", "unknown"]);
  expect(compared(20, 16_000_000).filter((now) => now === "same")).toHaveLength(8);
  expect(Math.max(...asked)).toBe(16_777_216);
});

const wordsOf = (text: string): string[] => text.trim().split(/\s+/);

it("knows secrets by their names, and leaves programs and settings with similar names", () => {
  const secrets = wordsOf(String.raw`
    .env .ENV .env.local a/b/.envrc prod.env .dev.vars x.pem X.KEY a.p12 a.pfx id_rsa id_rsa.bak id_ed25519 .netrc
    _netrc .pgpass .git-credentials credentials credentials.json credentials.csv secrets.yml secrets-prod.yaml
    my-service-account.json terraform.tfvars terraform.tfstate terraform.tfstate.backup .ssh/config .aws/config
    kubeconfig prod.kubeconfig AuthKey_AB12.p8 backup.gpg release.asc server.der wallet.dat deploy_key
    aws-credentials secrets.prod.yaml values-secrets.yaml .terraformrc .vault_pass passwords.txt api_key.txt
    cookies.txt env.production a.env.bak shop-firebase-adminsdk-1a2b.json C:\x\.env`);
  const others = wordsOf(`
    env.ts environment.ts credentials.ts credential-provider.ts secrets.go secret-names.ts rotate-secrets
    reset-password password-policy.json tokens.json env key.ts keys.json pem.md README.md id.rs package.json
    .npmrc monkey src/.gitignore tfstate.py ssh/config`);
  expect(secrets.filter((name) => !isSecretName(name))).toEqual([]);
  expect(others.filter(isSecretName)).toEqual([]);
});

function commit(folder: string): string {
  git(folder, "commit", "-q", "--allow-empty", "-m", "one");
  return git(folder, "rev-parse", "HEAD").trim();
}

it("a project is the nearest folder upwards with a .git, else the folder itself, never the root of the disk", () => {
  const home = temporaryFolder();
  write(home, { ".git/HEAD": "", "notes/a.txt": "", "project/.git/HEAD": "", "project/src/deep/a.ts": "" });
  const [notes, project, plain] = [join(home, "notes"), join(home, "project"), temporaryFolder()];
  // An empty folder, as a sandbox may leave one.
  mkdirSync(join(project, "src", ".git"));
  for (const folder of [project, join(project, "src", "deep"), join(project, "not", "there")])
    expect(projectRoot(folder)).toBe(project);
  expect([projectRoot(plain), projectRoot(parse(plain).root)]).toEqual([plain, null]);
  // A repository of the whole home is not the project of a folder in it.
  expect([projectRoot(notes, home), projectRoot(home, home)]).toEqual([notes, home]);
  expect(projectRoot(notes, "/elsewhere")).toBe(home);
});

it("branch and commit are what git says: before the first commit, after it, packed, detached, on a branch with slashes", () => {
  const folder = makeProject().project;
  expect(readHead(folder)).toEqual({ branch: "main", commit: null });
  const first = { branch: "main", commit: commit(folder) };
  expect(readHead(folder)).toEqual(first);
  git(folder, "pack-refs", "--all");
  expect(readHead(folder)).toEqual(first);
  git(folder, "checkout", "-q", "-b", "fix/a/b");
  const second = commit(folder);
  expect(readHead(folder)).toEqual({ branch: "fix/a/b", commit: second });
  git(folder, "checkout", "-q", "--detach");
  expect(readHead(folder)).toEqual({ branch: null, commit: second });
});

it("no git, a broken .git, references kept elsewhere, and what is no file of git's own are unknown", () => {
  const folder = temporaryFolder();
  const [secret, head] = [join(folder, "key.pem"), join(folder, ".git", "HEAD")];
  expect(readHead(folder)).toBeNull();
  write(folder, { "key.pem": "PRIVATE", ".git": "this names nothing\n" });
  expect(readHead(folder)).toBeNull();
  rmSync(join(folder, ".git"));
  mkdirSync(join(folder, ".git"));
  for (const make of [
    () => writeFileSync(head, "ref: refs/heads/.invalid\n"),
    () => symlinkSync(secret, head),
    () => execFileSync("mkfifo", [head]),
    () => writeFileSync(head, "x".repeat(5_000)),
  ]) {
    make();
    expect(readHead(folder)).toBeNull();
    rmSync(head);
  }
  writeFileSync(head, "PRIVATE");
  expect(readHead(folder)).toEqual({ branch: null, commit: null });
});
