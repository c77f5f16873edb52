import { rmSync, writeFileSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { given } from "#harness/coordinator/peers.ts";
import { addSession, aSeededHome, type CliHome, failed, holding, known } from "#harness/machine/cli-home.ts";
import { ids, printed, throwing, withStore } from "#harness/machine/cli-home.ts";
import { aChat, loseSession, sync, twoCliHomes, type CliMachines, ForkRig } from "#harness/machine/cli-rigs.ts";
import { commitAll, git, write } from "#harness/machine/git-project.ts";
import {
  cut,
  edit,
  empty,
  folder,
  gone,
  invented,
  rows,
  writeSession,
  writtenRows,
} from "#harness/clients/invented-sessions.ts";
import type { Break, InventedSession } from "#harness/clients/invented-sessions.ts";
import { anAssistantLine, aTranscript, aUserLine } from "#harness/machine/transcripts.ts";
import type { Io } from "#src/cli/io.ts";
import { codex } from "#src/clients/codex/codex.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import type { Fork } from "#src/contract/machine/forks.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { claimOf, type Claim } from "#src/machine/sessions/recoveries.ts";
import { sessions as sessionRows } from "#src/store/session-tables.ts";
import { append } from "#src/store/spool.ts";
import { StoreError } from "#src/store/store-error.ts";
import { reportEnd } from "#harness/machine/report-end.ts";

const terminal: Partial<Io> = { isTty: true, isInteractive: true };

function claimHere(home: CliHome): Claim | null {
  return home.runtime.store.read((sql) => claimOf(sql, ids.dead), null);
}

/** A new chat of Claude Code begins, under the id that it is given. */
function beginning(home: CliHome): Partial<Io> {
  const startProcess: Io["startProcess"] = async (start) => {
    home.started.push(start);
    addSession(home, { id: start.args[1] ?? "", pid: 700 });
    return 0;
  };
  return { ...terminal, startProcess };
}

/** Its client has written this of it. */
function withTranscript(home: CliHome, text = aTranscript(aUserLine("fix the parser", { sessionId: ids.dead }))): void {
  const path = join(home.folder, "transcript.jsonl");
  writeFileSync(path, text);
  home.runtime.store.write((sql) => sql.run("UPDATE sessions SET transcriptPath = ? WHERE id = ?", path, ids.dead));
}

it("the brief of a session that ended in order does not say that it died, whether its client reports its end or not", async () => {
  const home = aSeededHome();
  const turn: JournalEntry[] = [{ kind: "prompt", text: "go" }, { kind: "turn_end" }];
  addSession(home, { id: "eeee5555", client: "qwen", pid: 500, entries: turn });
  home.runtime.store.write((sql) => reportEnd(sql, home.runtime, "eeee5555", "stdin_end"));
  for (const id of [ids.finished, "eeee5555"]) {
    const { out } = await home.shim("resume --print", id);
    expect(out).toContain("SHIM: an earlier session ended ");
    expect(out).not.toContain("died");
  }
});

it("without a session the one that died in this project is meant; outside a terminal its brief is printed", async () => {
  const home = aSeededHome();
  expect(await home.shim("resume")).toMatchObject(printed(ids.dead, "fix the parser"));
  expect(home.started).toEqual([]);
  const json = (await home.shimWith(terminal, "resume --json")).json();
  const start = { kind: "new", command: "claude", cwd: home.project };
  expect(json).toMatchObject({
    session: ids.dead,
    cause: "killed",
    start,
    brief: holding("1 of at least 1 prompts quoted (no transcript was read)"),
  });
  expect((await home.shimWith(terminal, "resume --print")).out).toContain(
    "1 of at least 1 prompts quoted (no transcript was read)",
  );
  expect(home.started).toEqual([]);
});

it("several are listed with numbers: asked for in a terminal, else answered with 2", async () => {
  const home = aSeededHome();
  home.now += 1;
  addSession(home, { id: "dddd", pid: 500 });
  const listed = await home.shim("resume --json");
  expect(listed).toMatchObject(failed(2, /1 {2}dddd .*\n2 {2}bbbb2222/));
  expect(listed.json()).toMatchObject({ error: { code: "ambiguous", candidates: ["dddd", ids.dead] } });
  const chosen = await home.shimWith({ ...terminal, ask: async () => "2" }, "resume");
  expect(chosen).toMatchObject({ code: 0, err: holding("2  bbbb2222") });
  const none = await home.shimWith({ ...terminal, ask: async () => "3" }, "resume");
  expect(none).toMatchObject(failed(2, '"3" is none of them'));
  expect(home.started).toHaveLength(1);
});

it("without a whole transcript a new chat gets the brief, and the offer once it has begun", async () => {
  const home = aSeededHome();
  const ran = await home.shimWith(beginning(home), "resume", ids.dead);
  expect(ran).toMatchObject({ code: 0, err: holding("no transcript of it is known") });
  const [option, newId, brief] = home.started[0]?.args ?? [];
  expect([option, newId]).toEqual(["--session-id", holding(/^[0-9a-f]{8}-[0-9a-f]{4}-4/)]);
  expect(brief).toContain("Continue this work now");
  // Its first checkpoint made it recovered.
  expect(claimHere(home)).toMatchObject({ is: "recovered", by: newId });
  const shown = printed(`taken by session ${newId}`, "died: killed");
  expect(await home.shim("sessions show", ids.dead)).toMatchObject(shown);
  // Its client keeps sessions itself, and has none of another machine.
  addSession(home, { id: "given", client: "opencode" });
  home.runtime.store.write((sql) => sql.run("UPDATE sessions SET origin = 'given', owner = NULL WHERE id = 'given'"));
  const start = { kind: "new", reason: holding("its transcript is on the machine that handed it over") };
  expect(await home.json("resume given")).toMatchObject({ start });
});

it("a session with a whole transcript is resumed by Claude Code, in its own folder; another client gets the brief in a new chat, and the session once its own id is known", async () => {
  const home = aSeededHome();
  withTranscript(home);
  expect((await home.shimWith({ ...terminal, cwd: "/" }, "resume bbbb2")).code).toBe(0);
  expect(home.started.splice(0)).toEqual([{ command: "claude", args: ["--resume", ids.dead], cwd: home.project }]);
  expect(claimHere(home)).toBeNull();
  const startProcess: Io["startProcess"] = async (start) => {
    home.started.push(start);
    const runtime = { ...home.runtime, env: { ...home.runtime.env, ...start.env } };
    const event = { session_id: "codex-chat", cwd: home.project, source: "startup" };
    answerHook(runtime, "SessionStart", () => JSON.stringify(event), 700, codex);
    return 0;
  };
  const ran = await home.shimWith({ ...terminal, startProcess }, `resume --in codex ${ids.dead}`);
  expect(ran).toMatchObject({ code: 0, err: holding("the session was Claude Code's") });
  expect(home.started).toMatchObject([{ command: "codex", args: [holding("Continue this work now")] }]);
  expect(claimHere(home)).toMatchObject({ is: "taken", by: "codex-chat" });
  const unknown = await home.shim(`resume --in emacs ${ids.dead}`);
  expect(unknown).toMatchObject(failed(2, "Allowed choices are claude-code, codex"));
});

it("when the client cannot be started, or the new chat never begins, nothing has changed; a session that runs, one of another client and one whose folder is gone are not started", async () => {
  const home = aSeededHome();
  const run = (startProcess: Io["startProcess"]) => home.shimWith({ ...terminal, startProcess }, "resume", ids.dead);
  const missing = Object.assign(new Error("spawn claude ENOENT"), { code: "ENOENT" });
  expect(await run(() => Promise.reject(missing))).toMatchObject(failed(1, "`claude` was not found on the PATH"));
  expect(await run(async () => 7)).toMatchObject(failed(1, "exit code 7"));
  expect(claimHere(home)).toBeNull();
  withTranscript(home);
  const yourself = ["could not be started", `start it yourself: claude --resume ${ids.dead}`];
  expect(await run(() => Promise.reject(new Error("EACCES")))).toMatchObject(failed(1, ...yourself));
  expect(claimHere(home)).toBeNull();
  expect(await home.shimWith(terminal, "resume aaaa")).toMatchObject(failed(1, "still running (pid 100)"));
  addSession(home, { id: "dddd", pid: 500, client: "claude-ai" });
  const desktop = await home.shimWith(terminal, "resume dddd");
  const err = holding("claude-ai cannot be started from here");
  expect(desktop).toMatchObject({ ...printed("1 of at least 1 prompts quoted (no transcript was read)"), err });
  rmSync(home.other, { recursive: true });
  const gone = await home.shimWith(terminal, "resume bbbb3");
  expect(gone).toMatchObject(failed(1, `the folder of the session (${home.other}) is gone`));
  expect(home.started).toEqual([]);
});

it("what is in the spool or in the transcript only is in the brief; a store that takes nothing gives one without", async () => {
  const home = aSeededHome();
  const input = { session_id: ids.dead, cwd: home.project, prompt: "waiting words", prompt_id: "p9" };
  append(home.paths.spool, { at: home.now, event: "UserPromptSubmit", clientPid: 200, input });
  const content = [{ type: "text", text: "last words" }];
  withTranscript(home, aTranscript(anAssistantLine({ content }, { sessionId: ids.dead })));
  expect((await home.shim("resume")).out).toEqual(holding("waiting words", "last words"));
  const write = throwing(new StoreError("store_readonly", "the folder is read-only"));
  const err = holding("Some of the last events are missing: the folder is read-only");
  const brief = { ...printed("fix the parser"), err };
  expect(await home.shimWith(withStore(home, { write }), "resume")).toMatchObject(brief);
});

it("--dismiss and --undo remove a session from the offers and put it back", async () => {
  const home = aSeededHome();
  expect((await home.shim("resume --undo", ids.dead)).code).toBe(1);
  const titled = `"work of bbbb" (${ids.dead})`;
  expect((await home.shim("resume --dismiss bbbb2")).out).toContain(`${titled} is not offered any more`);
  expect(claimHere(home)?.is).toBe("dismissed");
  expect((await home.shim("resume")).code).toBe(3);
  expect((await home.shim("resume --undo bbbb2")).out).toContain(`${titled} counts as incomplete again`);
  expect((await home.shim("resume")).code).toBe(0);
  expect(await home.codes("resume --dismiss nope", `resume ${ids.dead} --undo ${ids.dead}`)).toEqual([3, 2]);
});

/** A session of the other machine has died. */
async function aPair(): Promise<CliMachines> {
  const machines = await twoCliHomes((...homes) => {
    for (const { project } of homes) {
      git(project, "init", "-q", "-b", "main");
      git(project, "remote", "add", "origin", "git@example.com:ann/app.git");
    }
  });
  await loseSession(machines, () => sync(machines.there));
  return machines;
}

it("what is not here is searched on the other machines; it starts a new chat in the project's folder, and is recorded once that begins", async () => {
  const { here } = await aPair();
  for (const asked of ["", ids.dead.slice(0, 8)]) {
    const brief = printed("on another machine (desk)", "fix the parser of bbbb2222");
    expect(await here.shim(`resume ${asked}`)).toMatchObject({ ...brief, err: "" });
  }
  const row = { id: ids.dead, shortId: "bbbb2222", machine: "desk", state: "died" };
  const resumeCommand = "shim resume bbbb2222";
  expect(await here.json("call page.fleet")).toMatchObject({ rows: [{ ...row, resumeCommand }], chats: [] });
  const note = () => here.runtime.store.read((sql) => claimOf(sql, ids.dead), null);
  expect([(await here.shimWith(terminal, "resume", ids.dead)).code, note()]).toEqual([0, null]);
  const ran = await here.shimWith(beginning(here), "resume", ids.dead);
  expect(ran).toMatchObject({ code: 0, err: holding("its transcript is on desk") });
  const { command, cwd, args } = here.started.at(-1) ?? {};
  expect([command, cwd, args?.[2]]).toEqual(["claude", here.project, holding("Continue this work now")]);
  expect(note()).toMatchObject({ is: "taken", by: args?.[1] });
});

it("--undo returns it for all machines, --dismiss is of this one @night", async () => {
  const { here, there, server } = await aPair();
  expect((await here.shim("resume --dismiss", ids.dead)).out).toContain("is not offered on this machine any more");
  expect((await here.shim("resume")).code).toBe(3);
  expect(await here.codes(`resume --undo ${ids.dead}`, `resume --undo ${ids.dead}`)).toEqual([0, 1]);
  const laptop = { machine: "laptop", isAdmin: false };
  const { incarnation } = given(await server.host.call("chats.register", aChat("heir", "laptop"), laptop));
  const self = { chat: "heir", incarnation };
  const lease = { self, resource: `session:${ids.dead}`, requestId: "r", isBound: true };
  const acquired = given(await server.host.call("leases.acquire", lease, laptop));
  const [row] = given(await server.host.call("sync.list", {}, laptop)).sessions;
  const token = acquired.state === "granted" ? acquired.lease.token : 0;
  given(await server.host.call("sync.take", { self, device: row?.device ?? "", session: ids.dead, token }, laptop));
  const taken = { id: ids.dead, state: "ended", detail: "continued by chat heir on laptop", machine: "desk" };
  expect(await here.json("sessions --all-machines")).toMatchObject({ sessions: [taken] });
  await sync(there);
  expect(claimHere(there)?.is).toBe("recovered");
  expect((await here.shim("resume --undo", ids.dead)).code).toBe(0);
  await sync(there);
  expect(claimHere(there)).toBeNull();
});

it("one whose chat lives, that was finished or is continued elsewhere, or has no project here, is not started", async () => {
  const { here, there, server } = await aPair();
  const refused = async (why: string, cwd = here.project): Promise<void> =>
    expect(await here.shimWith({ ...terminal, cwd }, "resume", ids.dead)).toMatchObject(failed(1, why));
  await refused("this folder is not its project", here.other);
  const rival = { machine: "tower", isAdmin: false };
  const { incarnation } = given(await server.host.call("chats.register", aChat("rival", "tower"), rival));
  const self = { chat: "rival", incarnation };
  const lease = { self, resource: `session:${ids.dead}`, requestId: "r", ttlMs: 60_000 };
  given(await server.host.call("leases.acquire", lease, rival));
  await refused("is continued by chat rival on tower");
  given(await server.host.call("chats.unregister", { self }, rival));
  given(await server.host.call("chats.register", aChat(ids.dead, "desk"), { machine: "desk", isAdmin: false }));
  await refused("on desk: It is idle");
  there.runtime.store.write((sql) => reportEnd(sql, there.runtime, ids.dead, "prompt_input_exit"));
  await sync(there);
  await refused("was finished on desk");
  expect(here.started).toEqual([]);
});

it("while the coordinator does not answer nothing is started, and this is said", async () => {
  const { here, server } = await aPair();
  await here.shim("resume");
  server.isDown = true;
  const unknown = failed(1, "Other machines as of the last sync", "is not known now");
  expect(await here.shimWith(terminal, "resume", ids.dead)).toMatchObject(unknown);
  expect((await here.shim("resume", ids.dead)).code).toBe(0);
  expect(here.started).toEqual([]);
});

/** A session of Claude Code of twenty turns, a minute apart, of which SHIM has a checkpoint. */
function ofTwentyTurns(home: CliHome, change: Break, client = "claude-code") {
  const turns = Array.from({ length: 20 }, (_, at) => ({ prompt: `prompt ${at}`, answer: `answer ${at}` }));
  const written = writtenRows(client, turns).map((row, at) => {
    const timestamp = new Date(home.now + (at - 100) * 60_000).toISOString();
    return Object.assign(JSON.parse(row) as Record<string, unknown>, { timestamp });
  });
  const session = { ...invented(client, home.project), rows: written };
  const id = /[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/.exec(JSON.stringify(written))?.[0] ?? "";
  const own = { ...session, id, file: session.file.replaceAll(session.id, id) };
  const path = writeSession(home.folder, own);
  known(home, own);
  change(path, own);
  return { id, path };
}

const middle = 19;
const inTheMiddle = (change: (row: string) => readonly string[]): Break =>
  edit((all) => all.flatMap((row, at) => (at === middle ? change(row) : [row])));

it.each<readonly [string, Break]>([
  ["a row in the middle is missing", inTheMiddle(() => [])],
  ["a row in the middle is torn", inTheMiddle((row) => [row.slice(0, 40)])],
  ["a row in the middle is zeroed", inTheMiddle((row) => ["\0".repeat(row.length)])],
  [
    "a row is missing before the last eight megabytes",
    (path, session) => {
      inTheMiddle(() => [])(path, session);
      edit((all) => all.toSpliced(30, 0, JSON.stringify({ type: "mode", mode: "x".repeat(9_000_000) })))(path, session);
    },
  ],
])(
  "where %s and its client loses what stands before, resume begins a new chat, and says why as rescue does",
  async (_, change) => {
    const home = aSeededHome();
    const { id } = ofTwentyTurns(home, change);
    const { reason, why } = await home.json(`rescue ${id}`);
    expect(reason).toBe("cut_off");
    const start = { kind: "new", reason: holding(String(why), "`shim rescue` makes a copy") };
    expect(await home.json(`resume ${id}`)).toMatchObject({ start });
  },
);

it("resume continues a session of which its client loses nothing, and calls no transcript whole that is not", async () => {
  for (const [change, reason] of [
    [edit((all) => all), "its transcript is whole, so"],
    [(path: string) => writeFileSync(path, readFileSync(path, "utf8").trimEnd()), "its transcript is whole, so"],
    [
      edit((all) => [...all, "\0".repeat(64)]),
      "1 line holds none: each of the conversation names one that is there, and Claude Code sends all 20 prompts, so",
    ],
    // The rows on both sides are so near in time that the client takes the one for the other's.
    [
      rows((row, at) => ({ ...row, ...(at > middle ? { timestamp: new Date(at).toISOString() } : {}) })),
      "its transcript is whole, so",
    ],
    [edit((all) => [...all.slice(0, -1), (all.at(-1) ?? "").slice(0, 50)]), "sends all 20 prompts, so"],
  ] as const) {
    const home = aSeededHome();
    const { id } = ofTwentyTurns(home, change);
    expect(await home.json(`resume ${id}`)).toMatchObject({ start: { kind: "resume", reason: holding(reason) } });
  }
});

it("a session whose transcript is empty, gone, unreadable or of other content begins again with the brief", async () => {
  for (const [change, reason] of [
    [empty, "its transcript is empty"],
    [gone, "is no longer there"],
    [folder, "cannot be read (not_a_file)"],
    [(path: string) => writeFileSync(path, "12\n"), "no row of a conversation can be read"],
  ] as const) {
    const home = aSeededHome();
    const { id } = ofTwentyTurns(home, change);
    expect(await home.json(`resume ${id}`)).toMatchObject({ start: { kind: "new", reason: holding(reason) } });
  }
  const home = aSeededHome();
  const { id } = ofTwentyTurns(home, cut, "qwen");
  expect(await home.json(`resume ${id}`)).toMatchObject({ start: { kind: "new", reason: holding("shim rescue") } });
});

/** What is said of a session that has written a file, and is written again for Codex. */
async function writtenForCodex(change: (file: string, transcript: string, session: InventedSession) => void) {
  const home = aSeededHome();
  const session = invented("claude-code", home.project);
  const path = join(home.project, "kept.ts");
  writeFileSync(path, "const one = 1;\n");
  const call = { id: "t1", name: "Write", input: path };
  const entries: JournalEntry[] = [
    { kind: "prompt", text: "the word is pear" },
    { kind: "tool_start", ...call },
    { kind: "tool_end", ...call, action: "created", path, durationMs: 5 },
  ];
  const transcriptPath = writeSession(home.folder, session);
  addSession(home, { id: session.id, pid: 77, entries, transcriptPath });
  change(path, transcriptPath, session);
  return (await home.shimWith({ versionOf: () => "0.171.0" }, `resume ${session.id} --in codex --native`)).out;
}

it("--native says which files changed since, and how long a conversation is that a model may not take", async () => {
  const unchanged = await writtenForCodex(() => undefined);
  expect(unchanged).toContain("is a session of Codex");
  expect(unchanged).not.toMatch(/changed since|tokens/);
  const text = await writtenForCodex((file, transcript, session) => {
    writeFileSync(file, "const two = 2;\n");
    edit((all) => all.map((row) => row.replace("Ran one.", "word ".repeat(150_000))))(transcript, session);
  });
  expect(text).toContain("1 file changed since, which the new session does not know: ");
  expect(text).toMatch(/It has about 150,\d{3} tokens: a model that takes fewer refuses it/);
});

/** Three turns that write a.txt and b.txt, with a hand edit between the second and the third. */
async function threeTurns(): Promise<ForkRig> {
  const rig = new ForkRig();
  for (const [prompt, name, content, words] of [
    ["Write the parser", "a.txt", "1\n", "The parser is there."],
    ["Now the lexer", "b.txt", "2\n", "The lexer is there."],
    ["Write the docs", "a.txt", "3\n", "Done."],
  ] as const) {
    const isLast = words === "Done.";
    if (isLast) write(rig.home.project, { "by-hand.txt": "mine\n" });
    rig.prompt(prompt);
    await rig.edit(name, content, isLast ? "before_tool" : undefined);
    rig.say(words);
    await rig.turnEnd();
  }
  return rig;
}

async function forked(rig: ForkRig, ...args: string[]): Promise<Fork> {
  return (await rig.home.json("fork", ...args)) as unknown as Fork;
}

function filesIn(folder: string): Record<string, string> {
  const names = readdirSync(folder).filter((name) => name.endsWith(".txt"));
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

it("prompts are listed by number, and --at takes a number, the beginning of the words, or last; the client starts in the fork with the brief, as a chat that succeeds none", async () => {
  const rig = await threeTurns();
  const rows =
    /1 .*not saved +Write the parser\n.*2 .*saved 1 s before +Now the lexer\n.*3 .*saved 1 s after +Write the docs/;
  expect(await rig.home.shim("fork --list")).toMatchObject(printed(rows));
  expect((await forked(rig, rig.id.slice(0, 8), "--at", "now  the LEX")).prompt.number).toBe(2);
  expect((await forked(rig, "--at", "last")).prompt.number).toBe(3);
  const several = failed(2, "several prompts begin with", "1  Write the parser", "3  Write the docs");
  expect(await rig.home.shim("fork --at", "write the")).toMatchObject(several);
  expect(await rig.home.codes("fork --at 9", "fork --at never")).toEqual([3, 3]);
  await rig.home.misuses("fork", [
    ["", "name the prompt with --at"],
    ["--at 2 --list", "give one of --at and --list"],
  ]);
  const own = { ...terminal, ask: async () => "2" };
  const err = holding(/2 .*Now the lexer[^]*Fork of \w+ at prompt 2 of 3: Now the lexer[^]*Branch: shim\/fork-/);
  expect(await rig.home.shimWith(own, "fork --in codex")).toMatchObject({ code: 0, err });
  const [start] = rig.home.started;
  const cwd = join(rig.home.paths.home, "work", "fork-bbbb2222-3", "project");
  expect(start).toMatchObject({ command: "codex", cwd });
  expect(start?.args[0]).toContain("this chat is a fork of session");
  expect(start?.env?.["SHIM_SUCCESSOR"]).toBeUndefined();
  expect((await rig.home.json("sessions show", rig.id))["session"]).toMatchObject({ offer: null });
  const shown = printed("Folder: ", "Branch: ", "git worktree remove --force", "<shim-recovered-session-");
  expect(await rig.home.shimWith(own, "fork --at 2 --print")).toMatchObject(shown);
  expect((await rig.home.shimWith(terminal, "fork")).code).toBe(2);
  expect(rig.home.started).toHaveLength(1);
});

it("the files are those saved before the turn's first change, else those saved before the prompt, and the brief is that of the moment", async () => {
  const rig = await threeTurns();
  const third = await forked(rig, "--at", "3");
  expect(filesIn(third.folder)).toEqual({ "a.txt": "1\n", "b.txt": "2\n", "by-hand.txt": "mine\n" });
  const head = git(rig.home.project, "rev-parse", "HEAD").trim();
  expect(third).toMatchObject({ prompt: { files: { isBefore: false } }, base: head, branch: "shim/fork-bbbb2222-1" });
  expect(third.brief).toContain("- by-hand.txt (by a command or by hand)");
  expect(third.brief).not.toContain("Done.");
  const second = await forked(rig, "--at", "2");
  expect(filesIn(second.folder)).toEqual({ "a.txt": "1\n" });
  expect(second).toMatchObject({ prompt: { files: { isBefore: true } }, branch: "shim/fork-bbbb2222-2" });
  const texts = [
    "SHIM: this chat is a fork of session bbbb2222 at its prompt 2 of 3, sent ",
    "Write the parser",
    "Now the lexer",
    "The parser is there.",
    "- a.txt (edited): unchanged since the checkpoint",
    "git: shim/fork-bbbb2222-2 at ",
    `project: ${second.folder}`,
    "files of this folder: as saved 1 s before that prompt",
    "the user's last prompt had no answer yet",
  ];
  expect(second.brief).toEqual(holding(...texts));
  for (const text of ["Write the docs", "The lexer is there.", "b.txt", "CHANGED since the checkpoint", "shim restore"])
    expect(second.brief).not.toContain(text);
  // A folder that git does not keep.
  const cwd = join(rig.home.project, "empty");
  rig.home.runtime.store.write((sql) => sessionRows.update(sql, { id: rig.id }, { cwd }));
  rig.home.now += 1_000;
  addSession(rig.home, { id: ids.finished, pid: 400, entries: [] });
  const copy = await forked(rig, "--at", "2", "--into", join(rig.home.folder, "copy"));
  expect(copy).toMatchObject({ session: rig.id, branch: null, base: null, start: { cwd: copy.folder } });
  expect(filesIn(rig.home.project)).toEqual({ "a.txt": "3\n", "b.txt": "2\n", "by-hand.txt": "mine\n" });
  expect(git(rig.home.project, "symbolic-ref", "--short", "HEAD").trim()).toBe("main");
});

it("what a killed process has left of a fork half made is removed, but no branch with commits of its own", async () => {
  const rig = await threeTurns();
  const first = await forked(rig, "--at", "2");
  const path = join(dirname(first.folder), "files.json");
  const record = JSON.parse(readFileSync(path, "utf8")) as object;
  const halfMade = JSON.stringify({ ...record, owner: { boot: "boot-1", pid: 999, start: "s999" }, notRestored: null });
  write(first.folder, { "late.txt": "" });
  writeFileSync(path, halfMade);
  const again = await forked(rig, "--at", "2");
  expect(again).toMatchObject({ folder: first.folder, branch: first.branch });
  expect(filesIn(again.folder)).toEqual({ "a.txt": "1\n" });
  writeFileSync(path, halfMade);
  const own = commitAll(again.folder, "by hand");
  expect(await forked(rig, "--at", "2")).toMatchObject({ branch: "shim/fork-bbbb2222-2" });
  expect(git(rig.home.project, "rev-parse", String(first.branch)).trim()).toBe(own);
  expect(filesIn(again.folder)).toEqual({ "a.txt": "1\n" });
});

it("a prompt whose files no snapshot has for certain is refused with the nearest prompts, and nothing is made", async () => {
  const rig = await threeTurns();
  const refused = failed(1, "no saved files are certain to be those of prompt 1", "with saved files: 2.");
  expect(await rig.home.shim("fork --at 1")).toMatchObject(refused);
  for (const prompt of ["Write the tests", "Write more tests"]) {
    rig.prompt(prompt);
    await rig.edit("tests.txt", `${prompt}\n`);
  }
  await rig.turnEnd();
  rig.prompt("Write the changelog");
  expect(await rig.home.shim("fork --at 5")).toMatchObject(failed(1, "with saved files: 4, 6."));
  expect(existsSync(join(rig.home.paths.home, "work"))).toBe(false);
  expect(git(rig.home.project, "branch", "--list", "shim/*")).toBe("");
  const { PATH } = rig.home.runtime.env;
  Object.assign(rig.home.runtime.env, { PATH: rig.home.folder });
  const noGit = failed(1, "git is not installed, or not on the PATH of this process. Nothing was changed.");
  expect(await rig.home.shim("fork --at 2")).toMatchObject(noGit);
  Object.assign(rig.home.runtime.env, { PATH });
  const { runtime } = rig.home;
  const second = "SELECT journalSeq FROM checkpoints ORDER BY seq LIMIT 1 OFFSET 1";
  runtime.store.write((sql) => sql.run(`DELETE FROM journal WHERE seq < (${second})`));
  expect(await rig.home.shim("fork --at 3 --print")).toMatchObject(printed("at its prompt 3 of 6", "Now the lexer"));
  runtime.store.write((sql) => {
    sql.run("DELETE FROM checkpoints WHERE seq < (SELECT max(seq) FROM checkpoints)");
    sql.run("DELETE FROM journal WHERE seq < (SELECT max(seq) FROM journal WHERE kind = 'prompt')");
  });
  for (const at of ["2", "6"])
    expect(await rig.home.shim("fork --at", at)).toMatchObject(failed(1, `until prompt ${at} are deleted by now.`));
});
