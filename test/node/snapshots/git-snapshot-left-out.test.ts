import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { base62, draw, encode, pem } from "#harness/secrets/secret-draw.ts";
import { SecretContent } from "#src/snapshots/secret-content.ts";
import {
  LIMITS,
  git,
  makeProject,
  paths,
  plantHooks,
  reasonFor,
  show,
  taken,
  write,
  snapshotOf,
} from "#harness/machine/git-project.ts";

function names(snapshot: { leftOut: readonly { path: string }[] }): string[] {
  return snapshot.leftOut.map(({ path }) => path).sort();
}

it("leaves secrets out by name, and an npm settings file by its token, and names each @night", async () => {
  const from = makeProject({
    "a.txt": "x\n",
    ".env.committed": "KEEP=1\n",
    ".npmrc": "fund=false\n",
    "sub/.npmrc": "fund=false\n",
  });
  const secrets = `
    .env conf/.env.local server.pem id_rsa tls.key cert.p12 .netrc credentials.json .aws/config .dev.vars`
    .trim()
    .split(/\s+/);
  write(from.project, Object.fromEntries(secrets.map((name) => [name, "hush hush\n"])));
  write(from.project, {
    ".npmrc": "//registry.example/:_authToken=abc\n",
    "sub/.npmrc": "//registry.example/:_authToken=${TOKEN}\n",
  });
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

it("a file with a secret by its content is left out, now or since a change; a lookalike is kept @night", async () => {
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
  const { snapshot } = await snapshotOf(
    { "tracked.txt": "x\n" },
    {
      "tracked.txt": "t".repeat(500),
      "n1.txt": "1".repeat(100),
      "n2.txt": "2".repeat(400),
      "n3.txt": "3".repeat(300),
    },
    { limits: { ...LIMITS, maxTotalBytes: 1_000 } },
  );
  expect(snapshot.bytes).toBe(900);
  expect(snapshot.leftOut).toEqual([{ path: "n2.txt", reason: "the snapshot is full (1000 bytes)" }]);
});

it("names at most a thousand left-out files one by one and counts the rest @night", async () => {
  const from = makeProject({ "a.txt": "x\n" });
  write(from.project, Object.fromEntries(Array.from({ length: 1_005 }, (_, i) => [`k/${i}.pem`, "x"])));
  const { leftOut } = await taken(from);
  expect(leftOut).toHaveLength(1_001);
  expect(leftOut.at(-1)).toEqual({ path: "...", reason: "and 5 more" });
});

it("names submodules and nested repositories, and does not enter them @night", async () => {
  const other = makeProject({ "lib.txt": "lib\n" });
  const from = makeProject({ "a.txt": "x\n" });
  git(from.project, "submodule", "--quiet", "add", other.project, "lib");
  git(from.project, "commit", "--quiet", "-m", "with a submodule");
  write(from.project, { "lib/lib.txt": "edited inside\n" });
  git(from.project, "init", "--quiet", "nested");
  write(from.project, { "nested/n.txt": "nested\n" });
  const snapshot = await taken(from);
  expect(names(snapshot)).toEqual(["lib", "nested/"]);
  expect(reasonFor(snapshot, "lib")).toBe("a submodule");
  expect(reasonFor(snapshot, "nested/")).toBe("a separate git repository");
  expect(snapshot.files).toBe(2);
});

it("never runs a filter, a hook or a monitor of the project, and has the bytes of files that a filter would change @night", async () => {
  const from = makeProject({ "a.txt": "x\n", "old.bin": "stored form\n" });
  const mark = join(from.root, "ran");
  for (const [key, value] of [
    ["filter.mark.clean", `sh -c 'touch ${mark}; cat'`],
    ["filter.mark.smudge", `sh -c 'touch ${mark}; cat'`],
    ["filter.mark.required", "true"],
    ["core.fsmonitor", `touch ${mark}`],
  ] as const)
    git(from.project, "config", key, value);
  writeFileSync(join(from.project, ".gitattributes"), "*.bin filter=mark\n");
  plantHooks(from, mark, ["post-index-change", "reference-transaction", "pre-commit", "post-commit"]);
  write(from.project, { "new.bin": "raw\n" });
  const snapshot = await taken(from);
  expect(existsSync(mark)).toBe(false);
  expect(names(snapshot)).toEqual([]);
  expect([show(snapshot, "new.bin"), show(snapshot, "old.bin")]).toEqual(["raw\n", "stored form\n"]);
});

it("follows the attributes and ignore rules that only this clone has", async () => {
  const from = makeProject({ "a.txt": "x\n" });
  write(from.project, { ".git/info/exclude": "*.tmp\n", ".git/info/attributes": "*.dat -text\n" });
  git(from.project, "config", "core.autocrlf", "input");
  const excludes = join(from.root, "my-excludes");
  write(from.root, { "my-excludes": "*.bak\n" });
  git(from.project, "config", "core.excludesFile", excludes);
  write(from.project, { "x.tmp": "1", "x.bak": "1", "x.dat": "1\r\n", "x.new": "1\r\n" });
  const snapshot = await taken(from);
  expect(paths(snapshot)).toEqual(["a.txt", "x.dat", "x.new"]);
  expect([names(snapshot), show(snapshot, "x.dat"), show(snapshot, "x.new")]).toEqual([[], "1\r\n", "1\r\n"]);
});

it("names a file that has become a pipe", async () => {
  const from = makeProject({ "was-a-file": "x\n" });
  rmSync(join(from.project, "was-a-file"));
  execFileSync("mkfifo", [join(from.project, "was-a-file")]);
  const snapshot = await taken(from);
  expect(names(snapshot)).toEqual(["was-a-file"]);
  expect(reasonFor(snapshot, "was-a-file")).toContain("a socket, pipe or device");
});

it.skipIf(process.getuid?.() === 0)("names files and folders that may not be opened", async () => {
  const from = makeProject({ "a.txt": "x\n" });
  write(from.project, { "closed.txt": "x\n", "closed/b.txt": "x\n" });
  chmodSync(join(from.project, "closed.txt"), 0o000);
  chmodSync(join(from.project, "closed"), 0o000);
  const snapshot = await taken(from);
  chmodSync(join(from.project, "closed"), 0o700);
  expect(names(snapshot)).toEqual(["closed.txt", "closed/"]);
});

it("leaves SHIM's own folder out when it is inside the project @night", async () => {
  const from = makeProject({ "a.txt": "x\n" });
  const snapshots = join(from.project, "data", "shim", "snapshots");
  write(from.project, { "data/shim/shim.db": "rows", "data/b.txt": "b\n" });
  const first = await taken({ ...from, snapshots });
  const second = await taken({ ...from, snapshots }, { checkpointId: "cp2" });
  expect(paths(first)).toEqual(["a.txt", "data/b.txt"]);
  expect(paths(second)).toEqual(["a.txt", "data/b.txt"]);
});

it("leaves out and names what has no content on this machine @night", async () => {
  const from = makeProject({ "a.txt": "one\n", "lost.txt": "lost\n" });
  const id = git(from.project, "rev-parse", "HEAD:lost.txt").trim();
  rmSync(join(from.project, ".git/objects", id.slice(0, 2), id.slice(2)));
  const snapshot = await taken(from);
  expect(paths(snapshot)).toEqual(["a.txt"]);
  expect(snapshot.leftOut).toEqual([
    { path: "lost.txt", reason: expect.stringContaining("not in the project's objects") },
  ]);
  expect(snapshot.files).toBe(1);
});

it("the first 256 KiB of a file are searched for secrets, 32 MiB in all", () => {
  const { project } = makeProject({});
  const token = `login("ghp_${draw(37).chars(base62, 36)}");\n`;
  const size = 256 * 1024;
  write(project, {
    early: `${token}${"x".repeat(size)}`,
    late: `${"x".repeat(size)}${token}`,
    large: Buffer.alloc(size),
  });
  const reasonOf = (search: SecretContent, name: string): string | null =>
    search.reason(Buffer.from(join(project, name)), name);
  const search = new SecretContent();
  expect([reasonOf(search, "early"), reasonOf(search, "late")]).toEqual(["it holds a secret (github-token)", null]);
  for (let read = 2; read < 128; read++) reasonOf(search, "large");
  expect(reasonOf(search, "early")).toBeNull();
});
