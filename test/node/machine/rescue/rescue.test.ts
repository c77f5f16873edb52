import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { expect, it, onTestFinished, vi } from "vitest";
import { detailsOf } from "#src/clients/details.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { fakeOpenCode, filesOf, invented, refuse, writeSession } from "#harness/clients/invented-sessions.ts";
import type { InventedSession } from "#harness/clients/invented-sessions.ts";
import { aDeadClaude, storedSession } from "#harness/machine/claude.ts";
import { aCliHome, addSession, failed, holding, printed, type CliHome, known } from "#harness/machine/cli-home.ts";
import { connect } from "#harness/machine/mcp-process.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { callAs, fakeBundle, servePage, signIn } from "#harness/web/live-page.ts";

const clients = ["claude-code", "codex", "copilot", "qwen", "gemini"];
const answering = (reply: string) => ({ isTty: true, isInteractive: true, ask: async () => reply });
const openCodeId = "ses_deadb5e3effe5J6ePB0OODywj2";

/** A session that its client has written; where it is poisoned, with two refused prompts. */
function written(client: string, isPoisoned = false) {
  const home = aCliHome();
  const session = invented(client, home.project);
  const path = writeSession(home.folder, session);
  known(home, session);
  if (isPoisoned) refuse(400, 400)(path, session);
  const lock = join(home.folder, ".codex", "thread-writer-locks", `${session.id}.lock`);
  mkdirSync(dirname(lock), { recursive: true });
  return { home, id: session.id, session, path, lock };
}

type Copy = Readonly<{ session: string; file: string; start: object }>;

async function rescued(home: CliHome, id: string): Promise<Copy> {
  const { done, reason } = await home.json(`rescue ${id} --yes`);
  expect(reason).toBe("poisoned");
  return (done as { readonly copy: Copy }).copy;
}

it("the process that holds Codex's lock is named, and nothing is done to it", async () => {
  const { home, id, lock } = written("codex");
  const stdio = ["ignore" as const, "pipe" as const, "ignore" as const];
  const holder = spawn("flock", [lock, "sh", "-c", "echo held; exec sleep 600"], { stdio, detached: true });
  onTestFinished(() => void process.kill(-(holder.pid ?? 0), "SIGKILL"));
  await once(holder.stdout ?? holder, "data");
  const { why, ...rest } = await home.json(`rescue ${id}`);
  expect(rest).toMatchObject({ reason: "locked", offers: [{ kind: "copy" }, { kind: "brief" }] });
  expect(why).toMatch(/\(pid \d+\) holds .*\.lock: continue there, or end that process$/);
  expect(holder.exitCode).toBeNull();
});

it("a lock that no process holds and Codex cannot open is renamed with consent, and stays as the backup", async () => {
  const { home, id, lock } = written("codex");
  mkdirSync(lock);
  const before = filesOf(home);
  expect(await home.shim(`rescue ${id}`)).toMatchObject(printed("is locked: ", "EISDIR", "1  rename that file"));
  expect(filesOf(home)).toEqual(before);
  expect((await home.shimWith(answering("1"), `rescue ${id}`)).err).toContain("That is out of the way");
  expect(home.started).toMatchObject([{ command: "codex", args: ["resume", id] }]);
  const locks = [...filesOf(home).keys()].filter((name) => name.includes("thread-writer-locks/"));
  expect(locks).toEqual([`.codex/thread-writer-locks/${id}.lock.before-rescue-${home.now}`]);
  expect(await home.json(`rescue ${id}`)).toMatchObject({ reason: null });
});

it("OpenCode's own export and import make the copy, with ids that it has not, also of a session that SHIM has not recorded", async () => {
  const home = aCliHome();
  fakeOpenCode(home.folder, openCodeId, [400, 400]);
  const ran = await home.shimWith({ versionOf: () => "1.18.33" }, `rescue ${openCodeId} --json`);
  const offers = [{ kind: "copy" }, { kind: "brief" }];
  expect(ran.json()).toMatchObject({ session: openCodeId, reason: "poisoned", offers });
  expect(ran.err).toContain(`SHIM had not recorded session ${openCodeId}: it was read from its client.`);
  const start = { kind: "resume", args: ["-s", openCodeId] };
  expect(await home.json(`resume ${openCodeId}`)).toMatchObject({ start });
  const copy = await rescued(home, openCodeId);
  expect(copy.session).toMatch(/^ses_/);
  expect(copy.start).toMatchObject({ command: "opencode", newId: copy.session });
  const text = readFileSync(join(home.folder, "imported.json"), "utf8");
  expect(text).toContain("pear");
  for (const absent of [openCodeId, "Ran one.", "refused", "msg_a100000000"]) expect(text).not.toContain(absent);
});

it("a part of a copy whose process was killed goes with the next copy", async () => {
  const { home, id, path } = written("claude-code", true);
  const { pid } = spawnSync("true");
  writeFileSync(join(dirname(path), `.copy.jsonl.shim-${pid}.tmp`), "{");
  const { file } = await rescued(home, id);
  expect(readdirSync(dirname(file)).toSorted()).toEqual([basename(path), basename(file)].toSorted());
});

it("where a client has a folder for each session, that of a copy is there once the copy is whole", async () => {
  const { home, id, path } = written("copilot", true);
  const all = dirname(dirname(path));
  const { pid } = spawnSync("true");
  writeFileSync(join(all, `.copy.shim-${pid}.tmp`), "{");
  const folders = (): string[] =>
    readdirSync(all, { withFileTypes: true }).flatMap((one) => (one.isDirectory() ? [one.name] : []));
  const seen = new Set<string>();
  const files = detailsOf("copilot")?.sessions;
  if (!files?.accepts) throw new Error("it accepts every row");
  const { accepts } = files;
  const watch = (row: Parameters<typeof accepts>[0]): boolean => {
    for (const name of folders()) seen.add(name);
    return accepts(row);
  };
  const spy = vi.spyOn(files as Required<typeof files>, "accepts").mockImplementation(watch);
  onTestFinished(() => spy.mockRestore());
  const { session, file } = await rescued(home, id);
  expect([...seen]).toEqual([id]);
  expect(readdirSync(all).toSorted()).toEqual([id, session].toSorted());
  expect(readdirSync(dirname(file))).toEqual([basename(file)]);
});

it("a chat that still runs is named, and neither copied nor replaced", async () => {
  const { home, id } = written("claude-code", true);
  home.alive.add(77);
  const before = filesOf(home);
  expect(await home.shim("rescue --yes")).toMatchObject(printed("is poisoned", "It still runs: end that chat first."));
  const call = ["call", "recovery.rescue", `session=${id}`, `folder=${home.project}`, "offer=copy"];
  expect(await home.shim("", ...call)).toMatchObject(failed(1, "still runs (pid 77): end that chat first."));
  expect(filesOf(home)).toEqual(before);
});

it("a chat that has said nothing yet is no patient, and of one that runs without a file it is not said that the file is gone", async () => {
  const { home, id } = written("claude-code");
  home.now += 1_000;
  addSession(home, { id: "aaaa7777", pid: 78, entries: [], transcriptPath: join(home.folder, "none-yet.jsonl") });
  home.alive.add(79);
  addSession(home, { id: "aaaa8888", pid: 79, transcriptPath: join(home.folder, "none-yet.jsonl") });
  const { out } = await home.shim("rescue");
  expect(out).toContain("that stops the newest 2 sessions");
  expect(out).toContain(`\`shim rescue ${id.slice(0, 8)}\` offers a new chat`);
  for (const absent of ["aaaa7777", "no longer there"]) expect(out).not.toContain(absent);
  const why = "it runs, and no file of Claude Code has it yet";
  expect(await home.json("rescue aaaa8888")).toMatchObject({ reason: null, why, isAlive: true });
});

it("without a yes nothing is changed, and a wrong number is wrong usage", async () => {
  const { home } = written("codex", true);
  const before = filesOf(home);
  expect(await home.shimWith(answering(""), "rescue")).toMatchObject(printed("Nothing was changed."));
  expect(await home.shimWith(answering("7"), "rescue")).toMatchObject(failed(2, '"7" is none of them'));
  expect(await home.shim("rescue unknown")).toMatchObject(failed(3, 'there is no session "unknown"'));
  expect([filesOf(home), home.started]).toEqual([before, []]);
});

it("resume offers the rescue where the client ends with an error within seconds, and not later", async () => {
  const { home, id } = written("claude-code", true);
  const started: string[] = [];
  const endingAfter = (ms: number) => ({
    ...answering("1"),
    startProcess: async ({ args }: { args: readonly string[] }) => {
      started.push(String(args.at(-1)));
      home.now += ms;
      return args.at(-1) === id ? 1 : 0;
    },
  });
  const late = await home.shimWith(endingAfter(60_000), `resume ${id}`);
  expect(late).toMatchObject(failed(1, "ended with exit code 1"));
  const early = await home.shimWith(endingAfter(900), `resume ${id}`);
  expect(early).toMatchObject({ code: 0, err: holding("is poisoned: the API has refused its last 2 prompts") });
  expect([started.slice(0, 2), started.length, started[2] === id]).toEqual([[id, id], 3, false]);
});

const versionText = "Claude Code 2.1.300 wrote it, and the one on the PATH is 2.1.200";
const wholeText = "Claude Code ended at once, and what it has stored of the session looks whole";

it.each([
  ["2.1.300", "version", versionText],
  ["2.1.200", "unknown", wholeText],
  ["2.1.99", "unknown", wholeText],
  ["next", "unknown", wholeText],
])("a client that ends at once, where %s wrote the session: %s", async (clientVersion, reason, why) => {
  const { home, id } = written("claude-code");
  home.runtime.store.write((sql) => sessions.update(sql, id, { clientVersion }));
  const diagnosed = `call recovery.diagnose session=${id} folder=${home.project} hasFailed=true`;
  expect(await home.json(diagnosed)).toMatchObject({ diagnosis: { reason, why, offers: [{ kind: "brief" }] } });
  expect(await home.json(`rescue ${id}`)).toMatchObject({ reason: null });
});

it("a session that Codex has archived is taken out by its own command, whose refusal is said", async () => {
  const { home, id, path } = written("codex");
  const archived = join(home.folder, ".codex", "archived_sessions", basename(path));
  mkdirSync(dirname(archived));
  renameSync(path, archived);
  const text = `\`codex unarchive ${id}\`, then resume it`;
  const offers = [{ kind: "unarchive", text }, { kind: "brief" }];
  const why = "Codex has archived it";
  expect(await home.json(`rescue ${id}`)).toMatchObject({ reason: "invisible", why, offers });
  const ask = (offer: string) => [
    "call",
    "recovery.rescue",
    `session=${id}`,
    `folder=${home.project}`,
    `offer=${offer}`,
  ];
  const refused = `${id}: codex unarchive ${id}: `;
  const end = ". Nothing was changed.";
  const absent = failed(1, `${refused}codex is not on the PATH${end}`);
  expect(await home.shim("", ...ask("unarchive"))).toMatchObject(absent);
  const ran: string[] = [];
  const ending = (code: number) => ({
    runQuietly: (command: string, args: readonly string[]) => (
      ran.push([command, ...args].join(" ")),
      { code, text: "no\n" }
    ),
  });
  expect(await home.shimWith(ending(1), "", ...ask("unarchive"))).toMatchObject(failed(1, `${refused}no${end}`));
  const done = await home.shimWith(ending(0), "", ...ask("unarchive"));
  expect([done.json(), ran]).toEqual([
    { session: id, copy: null, backup: null },
    Array(2).fill(`codex unarchive ${id}`),
  ]);
  const notOffered = `nothing to do so for ${id}: ${why}.`;
  expect(await home.shim("", ...ask("copy"))).toMatchObject(failed(1, notOffered));
});

it("the page has the reason and the command, and starts no program of a client", async () => {
  const { home, id } = written("codex", true);
  fakeOpenCode(home.folder, openCodeId, [400, 400]);
  addSession(home, { id: openCodeId, client: "opencode", pid: 77 });
  fakeBundle(home);
  const page = await servePage(home);
  const authorization = await signIn(page);
  const input = { folder: home.project };
  const diagnosed = async (session: string) =>
    (await callAs(page, authorization, { name: "recovery.diagnose", input: { ...input, session } })).value;
  const command = `shim rescue ${id.slice(0, 8)}`;
  expect(await diagnosed(id)).toMatchObject({ diagnosis: { reason: "poisoned", command } });
  expect(await diagnosed(openCodeId)).toMatchObject({ diagnosis: { reason: null } });
  const rescue = { name: "recovery.rescue", input: { ...input, session: id, offer: "copy" } };
  expect(await callAs(page, authorization, rescue)).toMatchObject({ status: 404 });
});

it("the brief of such a session comes with the reason and the command", async () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime);
  const { ask } = await connect(runtime);
  const { output, text } = await ask("shim_check_recovery", { of: dead.session });
  const { message } = output as { message: string };
  expect(message).toMatch(/^Its client cannot continue it \(deleted\): .* is no longer there.*`shim rescue \w+`\.$/);
  expect(text).toContain(message);
  const transcript = storedSession(runtime, dead.session).transcriptPath ?? "";
  mkdirSync(dirname(transcript), { recursive: true });
  const { rows } = invented("claude-code", "/p");
  writeFileSync(transcript, rows.map((row) => JSON.stringify(row)).join("\n"));
  expect((await ask("shim_check_recovery", { of: dead.session })).output).not.toHaveProperty("message");
});

/** With an id that shares its beginning with no other one of the test. */
function unrecorded(home: CliHome, client: string, begins = "5f0e0e5e"): InventedSession & { readonly path: string } {
  const made = invented(client, home.project);
  const id = `${begins}${made.id.slice(begins.length)}`;
  const text = JSON.stringify(made.rows).replaceAll(made.id, id);
  const file = made.file.replaceAll(made.id, id).replaceAll(made.id.slice(0, 8), begins.slice(0, 8));
  const session = { ...made, id, file, rows: JSON.parse(text) as InventedSession["rows"] };
  return { ...session, path: writeSession(home.folder, session) };
}

it.each(clients)("an unrecorded session of %s is found by its id, also by its beginning", async (client) => {
  const finding = { rescue: "Nothing is wrong with", "resume --print": "the word is pear" };
  for (const [command, what] of Object.entries(finding))
    for (const length of [36, 8]) {
      const home = aCliHome();
      const { id, path } = unrecorded(home, client);
      const before = filesOf(home);
      const err = holding(`SHIM had not recorded session ${id}: it was read from ${path}.`);
      expect(await home.shim(`${command} ${id.slice(0, length)}`)).toMatchObject({ ...printed(what), err });
      expect(filesOf(home)).toEqual(before);
      const stored = home.runtime.store.read((sql) => sessions.get(sql, id), null);
      expect(stored).toMatchObject({ client, origin: "import", transcriptPath: path });
      expect((await home.shim(`${command} ${id}`)).err).toBe("");
    }
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

it("a session of Gemini CLI whose first row, which names it, is lost is found by the end of its file's name", async () => {
  const home = aCliHome();
  const { path } = unrecorded(home, "gemini");
  writeFileSync(path, readFileSync(path, "utf8").replace(/^.*\n/, ""));
  expect(await home.shim("resume --print 5f0e0e5e")).toMatchObject(printed("the word is pear", "or is missing"));
});

it("where no client has it, the answer names the folders that were searched", async () => {
  const home = aCliHome();
  unrecorded(home, "claude-code");
  const [there, absent] = [".claude/projects", ".codex/sessions"].map((name) => join(home.folder, name));
  const why: Record<string, string> = {
    "7f0e0e5e": `No client's file of it is in ${there}`,
    "5f0e": "8 characters of an id and more",
    "../5f0e0e5e.jsonl": "there is no file",
    "..%2f5f0e0e5e*": "letters, digits, - and _",
  };
  for (const command of ["rescue", "resume"]) {
    for (const [id, part] of Object.entries(why))
      expect(await home.shim(`${command} ${id}`)).toMatchObject(failed(3, part));
    expect((await home.shim(`${command} 7f0e0e5e`)).err).toContain(absent);
  }
});

it("a session that Codex has compressed is where it was, and can be copied", async () => {
  const { home, id, session, path } = written("codex");
  const compress = (): void => {
    writeFileSync(`${path}.zst`, zstdCompressSync(readFileSync(path)));
    rmSync(path);
  };
  compress();
  expect(await home.json(`rescue ${id}`)).toMatchObject({ reason: null, file: `${path}.zst`, isRead: true });
  expect(await home.json(`resume ${id}`)).toMatchObject({ start: { kind: "resume" } });
  writeSession(home.folder, session);
  refuse(400, 400)(path, session);
  compress();
  const { file } = await rescued(home, id);
  expect([file.endsWith(".jsonl"), readFileSync(file, "utf8").includes("pear")]).toEqual([true, true]);
  writeFileSync(`${path}.zst`, "no frame");
  expect(await home.json(`rescue ${id}`)).toMatchObject({ reason: "unreadable", offers: [{ kind: "brief" }] });
});

it("a session that was read from a file elsewhere is not called deleted", async () => {
  const home = aCliHome();
  const { id, path } = unrecorded(home, "claude-code");
  const elsewhere = join(home.other, "saved.jsonl");
  renameSync(path, elsewhere);
  const why = `SHIM has read it from ${elsewhere}, where Claude Code does not find it by its id`;
  expect(await home.json(`rescue ${elsewhere}`)).toMatchObject({ session: id, reason: "invisible", why });
  rmSync(elsewhere);
  expect(await home.json(`rescue ${id}`)).toMatchObject({ reason: "deleted" });
});
