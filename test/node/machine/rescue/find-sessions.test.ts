import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { expect, it } from "vitest";
import * as sessions from "#src/machine/sessions/sessions.ts";
import {
  fakeOpenCode,
  invented,
  openCodeSession,
  writeSession,
  type InventedSession,
} from "#harness/clients/broken-sessions.ts";
import { filesOf, known, refuse } from "#harness/clients/breaks.ts";
import { aCliHome, failed, holding, printed, type CliHome } from "#harness/machine/cli-home.ts";

/** With an id that shares its beginning with no other one of the test. */
function unrecorded(home: CliHome, client: string, begins = "5f0e0e5e"): InventedSession & { readonly path: string } {
  const made = invented(client, home.project);
  const id = `${begins}${made.id.slice(begins.length)}`;
  const text = JSON.stringify(made.rows).replaceAll(made.id, id);
  const file = made.file.replaceAll(made.id, id).replaceAll(made.id.slice(0, 8), begins.slice(0, 8));
  const session = { ...made, id, file, rows: JSON.parse(text) as InventedSession["rows"] };
  return { ...session, path: writeSession(home.folder, session) };
}

const clients = ["claude-code", "codex", "copilot", "qwen", "gemini"];

it.each(clients)(
  "a session of %s that SHIM has not recorded is found by its id, also its beginning",
  async (client) => {
    for (const command of ["rescue", "resume --print"]) {
      for (const length of [36, 8]) {
        const home = aCliHome();
        const { id, path } = unrecorded(home, client);
        const before = filesOf(home);
        const ran = await home.shim(`${command} ${id.slice(0, length)}`);
        expect(ran).toMatchObject({
          code: 0,
          err: holding(`SHIM had not recorded session ${id}: it was read from ${path}.`),
        });
        expect(ran.out).toContain(command === "rescue" ? "Nothing is wrong with" : "the word is pear");
        expect(filesOf(home)).toEqual(before);
        const stored = home.runtime.store.read((sql) => sessions.get(sql, id), null);
        expect(stored).toMatchObject({ client, origin: "import", transcriptPath: path });
        expect((await home.shim(`${command} ${id}`)).err).toBe("");
      }
    }
  },
);

it.each(clients)("a session of %s is found by the path of its file", async (client) => {
  const home = aCliHome();
  const { id, path } = unrecorded(home, client);
  const relative = join("..", path.slice(home.folder.length + 1));
  expect(await home.json(`rescue ${relative}`)).toMatchObject({ session: id, file: path, reason: null });
  expect(await home.json(`resume ${path} --print`)).toMatchObject({ session: id });
});

it("such a session is rescued as any other", async () => {
  const home = aCliHome();
  const session = unrecorded(home, "claude-code");
  refuse(400, 400)(session.path, session);
  const { reason, done } = await home.json(`rescue ${session.id} --yes`);
  expect(reason).toBe("poisoned");
  expect(readFileSync((done as { copy: { file: string } }).copy.file, "utf8")).toContain("pear");
});

it("its own client continues it, where that has the file", async () => {
  const home = aCliHome();
  const { id } = unrecorded(home, "claude-code");
  const terminal = { isTty: true, isInteractive: true };
  expect(await home.shimWith(terminal, `resume ${id}`)).toMatchObject({ code: 0 });
  expect(home.started).toMatchObject([{ command: "claude", args: ["--resume", id] }]);
});

it("OpenCode's own program gives a session that SHIM has not recorded", async () => {
  const home = aCliHome();
  const id = "ses_deadb5e3effe5J6ePB0OODywj2";
  fakeOpenCode(home.folder, openCodeSession(id, [400, 400]));
  const site = { versionOf: () => "1.18.33" };
  const ran = await home.shimWith(site, `rescue ${id} --json`);
  expect(ran.json()).toMatchObject({ session: id, reason: "poisoned" });
  expect(ran.err).toContain(`SHIM had not recorded session ${id}: it was read from its client.`);
  expect(await home.json(`resume ${id}`)).toMatchObject({ start: { kind: "resume", args: ["-s", id] } });
});

it("several files are listed, and none is read", async () => {
  const home = aCliHome();
  const paths = ["claude-code", "qwen"].map((client) => unrecorded(home, client).path);
  const ran = await home.shim("resume 5f0e0e5e");
  expect(ran).toMatchObject(failed(2, "several files", ...paths, "Claude Code, written", "Qwen Code, written"));
  expect(home.runtime.store.read((sql) => sessions.list(sql, { limit: 9 }), [])).toEqual([]);
});

it("the same session in two folders of Claude Code is two files, a compressed one of Codex is the same", async () => {
  const home = aCliHome();
  const { id, path } = unrecorded(home, "claude-code");
  const other = path.replace(/project\/[^/]*$/, `elsewhere/${id}.jsonl`);
  mkdirSync(dirname(other), { recursive: true });
  writeFileSync(other, readFileSync(path));
  expect(await home.shim(`rescue ${id}`)).toMatchObject(failed(2, path, other));
  expect(await home.json(`rescue ${other}`)).toMatchObject({ session: id });
  const codex = unrecorded(home, "codex", "6f0e0e5e");
  writeFileSync(`${codex.path}.zst`, zstdCompressSync(readFileSync(codex.path)));
  expect(await home.json(`rescue ${codex.id}`)).toMatchObject({ session: codex.id, file: codex.path });
});

it("where no client has it, the answer names the folders that were searched", async () => {
  const home = aCliHome();
  unrecorded(home, "claude-code");
  const there = join(home.folder, ".claude", "projects");
  const absent = join(home.folder, ".codex", "sessions");
  for (const command of ["rescue", "resume"]) {
    const ran = await home.shim(`${command} 7f0e0e5e`);
    expect(ran).toMatchObject(
      failed(3, 'there is no session "7f0e0e5e"', `No client's file of it is in ${there}`, absent),
    );
    expect(await home.shim(`${command} 5f0e`)).toMatchObject(failed(3, "8 characters of an id and more"));
    expect(await home.shim(`${command} ../5f0e0e5e.jsonl`)).toMatchObject(failed(3, "there is no file"));
    expect(await home.shim(`${command} ..%2f5f0e0e5e*`)).toMatchObject(failed(3, "letters, digits, - and _"));
  }
});

it("a file that cannot be used is named, with the reason", async () => {
  const home = aCliHome();
  const { id, path } = unrecorded(home, "claude-code");
  writeFileSync(path, "hello\n");
  expect(await home.shim(`rescue ${id}`)).toMatchObject(failed(1, path, "Nothing was stored"));
});

it("a client's folder is where its variable says", async () => {
  const home = aCliHome();
  const { id, path } = unrecorded(home, "claude-code");
  const moved = join(home.folder, "moved");
  renameSync(join(home.folder, ".claude"), moved);
  const env = { ...home.runtime.env, CLAUDE_CONFIG_DIR: moved };
  const ran = await home.shimWith({ env }, `rescue ${id} --json`);
  expect(ran.json()).toMatchObject({ file: path.replace(join(home.folder, ".claude"), moved) });
});

it("a session that Codex has compressed is where it was, and can be copied", async () => {
  const home = aCliHome();
  const session = invented("codex", home.project);
  const path = writeSession(home.folder, session);
  known(home, session);
  const compress = (): void => {
    writeFileSync(`${path}.zst`, zstdCompressSync(readFileSync(path)));
    rmSync(path);
  };
  compress();
  expect(await home.json(`rescue ${session.id}`)).toMatchObject({ reason: null, file: `${path}.zst`, isRead: true });
  expect(await home.json(`resume ${session.id}`)).toMatchObject({ start: { kind: "resume" } });
  writeSession(home.folder, session);
  refuse(400, 400)(path, session);
  compress();
  const { reason, done } = await home.json(`rescue ${session.id} --yes`);
  expect(reason).toBe("poisoned");
  const { file } = (done as { copy: { file: string } }).copy;
  expect(file).toMatch(/\.jsonl$/);
  expect(readFileSync(file, "utf8")).toContain("pear");
  writeFileSync(`${path}.zst`, "no frame");
  expect(await home.json(`rescue ${session.id}`)).toMatchObject({ reason: "unreadable", offers: [{ kind: "brief" }] });
});

const geminiPrompt = { id: "1", timestamp: "2026-11-20T10:01:00.000Z", type: "user", content: "Rename the parser." };
const geminiAnswer = { id: "2", timestamp: "2026-11-20T10:02:00.000Z", type: "gemini", content: "Renamed." };

it.each([
  ["one document", ".json", (head: object) => JSON.stringify({ ...head, messages: [geminiPrompt, geminiAnswer] })],
  [
    "a document of many lines",
    ".json",
    (head: object) => JSON.stringify({ ...head, messages: [geminiPrompt, geminiAnswer] }, null, 2),
  ],
  [
    "batches",
    ".jsonl",
    (head: object) =>
      [head, { $set: { messages: [geminiPrompt] } }, { $set: { messages: [geminiPrompt, geminiAnswer] } }]
        .map((row) => `${JSON.stringify(row)}\n`)
        .join(""),
  ],
])("a session that Gemini CLI wrote as %s is there", async (_what, extension, textOf) => {
  const home = aCliHome();
  const session = invented("gemini", home.project);
  const path = join(home.folder, session.file).replace(/\.jsonl$/, extension);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, textOf({ sessionId: session.id, projectHash: "p", startTime: geminiPrompt.timestamp }));
  known(home, session, path);
  expect(await home.json(`rescue ${session.id}`)).toMatchObject({
    reason: null,
    file: path,
    why: expect.stringContaining("1 prompt, and nothing that stops Gemini CLI"),
    offers: [{ kind: "brief" }],
  });
});

it("a session that was read from a file elsewhere is not called deleted", async () => {
  const home = aCliHome();
  const { id, path } = unrecorded(home, "claude-code");
  const elsewhere = join(home.other, "saved.jsonl");
  renameSync(path, elsewhere);
  expect(await home.json(`rescue ${elsewhere}`)).toMatchObject({
    session: id,
    reason: "invisible",
    why: `SHIM has read it from ${elsewhere}, where Claude Code does not look for it`,
    offers: [{ kind: "brief" }],
  });
  rmSync(elsewhere);
  expect(await home.json(`rescue ${id}`)).toMatchObject({ reason: "deleted" });
});

it("without a session of the project it says so, and how a client's file is searched", async () => {
  const home = aCliHome();
  expect(await home.shim("rescue")).toMatchObject(
    printed(`SHIM has recorded no session of ${home.project}`, "shim rescue <id>"),
  );
});
