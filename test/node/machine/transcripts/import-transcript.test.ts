import * as journal from "#src/machine/sessions/journal.ts";
import * as invented from "#harness/clients/invented-transcripts.ts";
import * as claude from "#harness/machine/transcripts.ts";
import * as zlib from "node:zlib";
import Database from "better-sqlite3";
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { importTranscript } from "#src/machine/transcripts/import-transcript.ts";
import { sessionDocument } from "#src/machine/transcripts/session-document.ts";
import { codexRow, openCodeDocument, codexHead } from "#harness/clients/invented-transcripts.ts";
import { Claude } from "#harness/machine/claude.ts";
import { aSeededHome, failed, type CliHome } from "#harness/machine/cli-home.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine, aToolUse, aTranscript, aUserLine, T0 } from "#harness/machine/transcripts.ts";
import { clientsWithRows, writtenRows } from "#harness/clients/invented-sessions.ts";

const session = "5f0e0e5e-0000-4000-8000-000000000001";

function after(seconds: number): { readonly timestamp: string } {
  return { timestamp: new Date(T0 + seconds * 1_000).toISOString() };
}

const edit = aToolUse("t2", "Edit", { file_path: "/home/ann/app/src/parser.ts" });
const lines = [
  aUserLine("Refactor the parser. Never touch the lexer.", after(1)),
  anAssistantLine({ id: "msg_1", content: [aToolUse("t1", "Bash", { command: "npm test" })] }, after(2)),
  claude.aToolResultLine("t1", "exit code 1", true, after(3)),
  anAssistantLine({ id: "msg_2", content: [edit] }, after(4)),
  claude.aToolResultLine("t2", "ok", false, after(5)),
  anAssistantLine({ id: "msg_3", content: [{ type: "text", text: "Next I will rename parseLine." }] }, after(6)),
  aUserLine("Good. Use the token ghp_0123456789abcdefghijABCDEFGHIJ012345 for the release.", after(7)),
  claude.anApiErrorLine("You have reached your usage limit", after(8)),
];

function jsonLines(...rows: readonly object[]): string {
  return rows.map((row) => JSON.stringify(row)).join("\n");
}

function aHome(text: string): { readonly home: CliHome; readonly path: string; readonly command: string } {
  const home = aSeededHome();
  const path = join(home.folder, "old.jsonl");
  writeFileSync(path, text);
  return { home, path, command: `resume --from-transcript ${path}` };
}

it("a session that died before SHIM was there is read from its transcript, and continued with a brief", async () => {
  const { home, command } = aHome(aTranscript(...lines));
  const ran = await home.json(command);
  expect(ran).toMatchObject({ session, start: { kind: "new", reason: expect.stringContaining("read from a file") } });
  const brief = String(ran["brief"]);
  // The last row, and not the first, is the end of what is known.
  const known = ["Refactor the parser.", "Never touch the lexer.", "Next I will rename parseLine.", "src/parser.ts"];
  for (const part of [...known, "was last active 52 s ago, by its imported transcript", "the client failed (52 s ago)"])
    expect(brief).toContain(part);
  expect(brief).not.toContain("ghp_");
});

it("an import again has what was added, once, and so has a resume by the id", async () => {
  const { home, path, command } = aHome(aTranscript(...lines));
  await home.json(command);
  const more = [aUserLine("Then bump the version.", after(9)), aUserLine("And tag it.", after(10))];
  writeFileSync(path, aTranscript(...lines, ...more.slice(0, 1)));
  const again = await home.shim(`${command} --print`);
  expect(again.err).toContain(`Read session ${session} from ${path} again.`);
  expect(again.out).toMatch(/2 tool calls, 1 failed[^]*Then bump the version\.[^]*3 of 3 prompts quoted/);
  writeFileSync(path, aTranscript(...lines, ...more));
  expect((await home.shim(`resume --print ${session}`)).out).toMatch(/And tag it\.[^]*4 of 4 prompts quoted/);
});

it("a file that is no transcript, is empty, or is missing stores nothing, and says why", async () => {
  const { home, path, command } = aHome("hello\n{}\n");
  expect(await home.shim(command)).toMatchObject(failed(1, "not a transcript of a client that SHIM knows"));
  writeFileSync(path, jsonLines({ type: "user", sessionId: session, message: { content: [] } }));
  expect(await home.shim(command)).toMatchObject(failed(1, "nothing was said in it"));
  const others = [
    "resume --from-transcript missing.jsonl",
    `resume ${session} ${command.slice(7)}`,
    `resume ${session}`,
  ];
  expect(await home.codes(...others)).toEqual([3, 2, 3]);
});

/** The journal after the import of a file, in few words. */
async function imported(text: string): Promise<{ readonly client: string; readonly outline: string }> {
  const { home, path } = aHome(text);
  const result = await importTranscript(home.runtime, { path, folder: "/home/ann/app" });
  if (!result.ok) throw new Error(result.error);
  const { client, session: id } = result.value;
  const entries = home.runtime.store.read((sql) => journal.list(sql, id, 0), []).map(({ entry }) => entry);
  const words = entries.map((entry) => {
    if ("name" in entry) return `${entry.kind} ${entry.name}${"path" in entry ? ` ${entry.action} ${entry.path}` : ""}`;
    return "text" in entry ? `${entry.kind} ${entry.text.split("\n")[0]}` : entry.kind;
  });
  return { client, outline: words.join("; ") };
}

it("rollouts of Codex, documents of OpenCode and Gemini CLI are stored with words, calls, files and ends of turns", async () => {
  const codex = [
    "start; prompt sort the imports; assistant I look at the imports.; tool_start Bash; tool_error Bash; tool_start Bash; tool_end Bash",
    "tool_start Write; tool_start Edit; tool_end Write created /p/src/new.ts; tool_end Edit edited /p/src/old.ts",
    "tool_start TodoWrite; tool_end TodoWrite; todos; assistant They are sorted.; turn_end",
  ];
  const opencode = [
    "start; prompt build it; assistant I build it.; tool_start Bash; tool_error Bash",
    "tool_start Edit; tool_end Edit edited /p/src/a.ts; tool_start AskUserQuestion; tool_end AskUserQuestion; answers",
    "compacting; compacted; assistant It is built.; turn_end; prompt and test it; tool_start Bash; interrupted",
  ];
  const gemini = [
    "start; prompt write a note; tool_start Write; tool_end Write created /home/ann/app/note.txt",
    "assistant The note is written.; turn_end",
  ];
  expect([
    await imported(jsonLines(...invented.codexOfFunctions)),
    await imported(JSON.stringify(openCodeDocument, null, 2)),
    await imported(JSON.stringify(invented.geminiDocument)),
  ]).toEqual([
    { client: "codex", outline: codex.join("; ") },
    { client: "opencode", outline: opencode.join("; ") },
    { client: "gemini", outline: gemini.join("; ") },
  ]);
});

it("a prompt typed during a turn ends nothing, and a command of the client leaves no turn open", async () => {
  const attachment = { type: "queued_command", prompt: "also the tests", commandMode: "prompt" };
  const { outline } = await imported(
    aTranscript(
      aUserLine("rename it", after(1)),
      JSON.stringify({ type: "attachment", attachment, uuid: "q", ...after(2) }),
      anAssistantLine({ content: [{ type: "text", text: "Renamed." }] }, after(3)),
      aUserLine("<command-name>/compact</command-name>\n<command-args>keep the plan</command-args>", after(4)),
      aUserLine("<local-command-stdout>Compacted</local-command-stdout>", after(5)),
    ),
  );
  const turn = "start; prompt rename it; prompt also the tests; assistant Renamed.; turn_end";
  expect(outline).toBe(`${turn}; prompt /compact keep the plan; turn_end`);
});

const asked = codexRow(1, "event_msg/user_message", { message: "mend the hull" });

function codexMeta(fields: Readonly<Record<string, unknown>>): object {
  const head = invented.codexHead("0.144.1");
  return { ...head, payload: { ...(head["payload"] as object), ...fields } };
}

it("the session of a subagent is not read as a user's, and the refusal names the chat's", async () => {
  const source = { subagent: { thread_spawn: { parent_thread_id: "ses_chat", depth: 1 } } };
  const ofOpenCode = { ...openCodeDocument, info: { ...openCodeDocument.info, parentID: "ses_chat" } };
  for (const text of [jsonLines(ofOpenCode), jsonLines(codexMeta({ source }), asked)]) {
    const { home, command } = aHome(text);
    expect(await home.shim(command)).toMatchObject(failed(1, "import that chat's, ses_chat, instead"));
    expect((await home.shim("sessions --incomplete")).out).not.toContain("mend the hull");
  }
});

/** A patch of Codex, and what its client recorded of another one. */
async function filesAfter(home: CliHome, folder: string, input: string, changes: object): Promise<string[]> {
  const path = join(home.folder, "old.jsonl");
  const rows = [
    codexRow(2, "event_msg/patch_apply_end", { call_id: "p", success: true, changes }),
    codexRow(3, "response_item/custom_tool_call", { call_id: "q", name: "apply_patch", input }),
    codexRow(4, "response_item/custom_tool_call_output", { call_id: "q", output: "Exit code: 0\nSuccess." }),
  ];
  writeFileSync(path, jsonLines(codexMeta({ cwd: folder }), asked, ...rows));
  const brief = String((await home.json(`resume --from-transcript ${path}`))["brief"]);
  const files = brief.split("\n").filter((line) => /^- .*\.ts \(/.test(line));
  return files.map((line) => line.replace(/^- (?:.*\/)?/, ""));
}

it("files of a transcript are judged by their dates; those that a patch deletes or moves away are deleted", async () => {
  const home = aSeededHome();
  const folder = join(home.folder, "harbour");
  mkdirSync(folder);
  const at = (name: string): string => join(folder, name);
  for (const name of ["before.ts", "since.ts", "again.ts"]) writeFileSync(at(name), "");
  utimesSync(at("before.ts"), 0, 0);
  const patch = "*** Update File: before.ts\n*** Update File: since.ts\n*** Delete File: last.ts\n";
  const moved = { type: "update", move_path: at("new.ts") };
  const changes = { [at("gone.ts")]: { type: "delete" }, [at("again.ts")]: { type: "delete" }, [at("old.ts")]: moved };
  const files = await filesAfter(home, folder, patch, changes);
  expect(files.toSorted()).toEqual([
    "again.ts (deleted): there AGAIN",
    "before.ts (edited): not written since, by its date",
    "gone.ts (deleted): deleted, as the chat left it",
    "last.ts (deleted): deleted, as the chat left it",
    "new.ts (edited): MISSING",
    "old.ts (deleted): deleted, as the chat left it",
    "since.ts (edited): WRITTEN since the chat's last event, by its date",
  ]);
});

it("a session becomes Markdown whose texts are quotations", () => {
  const runtime = tempRuntime();
  const chat = new Claude(runtime);
  chat.prompt("fix the parser\n# not a heading");
  chat.use("Bash", { command: "echo `date`" });
  chat.fail("Bash", { command: "make" }, "exit code 2");
  chat.stop("The parser is fixed.");
  const text = sessionDocument(runtime, chat.session) ?? "";
  expect(text).toMatch(/^# fix the parser\n\n- Session: /);
  const parts = ["> fix the parser\n> # not a heading", "- Bash: `` echo `date` ``", "> The parser is fixed."];
  for (const part of [...parts, "- Bash failed: `make`\n\n> exit code 2"]) expect(text).toContain(part);
  expect(text).not.toMatch(/^# not a heading/m);
  expect(sessionDocument(runtime, "unknown")).toBeNull();
});

const day = T0 - 86_400_000;

/** What `shim resume --print` prints of a file. */
async function briefOf(content: string | Uint8Array, name = "old.jsonl"): Promise<string> {
  const home = aSeededHome();
  const path = join(home.folder, name);
  writeFileSync(path, content);
  const ran = await home.shim(`resume --print --from-transcript ${path}`);
  expect(ran.code, ran.err).toBe(0);
  return ran.out;
}

type Link = Readonly<Record<"uuid" | "parentUuid" | "timestamp", string | null>>;

function linked(uuid: string, parentUuid: string | null, second: number): Link {
  return { uuid, parentUuid, timestamp: new Date(day + second * 1_000).toISOString() };
}

function said(text: string, link: Link): string {
  return anAssistantLine({ id: `m-${link.uuid}`, content: [{ type: "text", text }] }, link);
}

it("a whole session of each client is over, and its brief says that the end is there", async () => {
  for (const client of clientsWithRows) {
    const rows = writtenRows(client, [{ prompt: "Paint the boat.", answer: "It is painted." }]);
    const brief = await briefOf(rows.join("\n"));
    expect(brief, client).toContain("the turn was over, and the chat waited for the user");
    expect(brief, client).toContain("1 of 1 prompts quoted; the end of the conversation is there");
  }
});

it("a row whose parent is nowhere shows that rows are missing; a progress row shows nothing", async () => {
  const rows = [aUserLine("Paint the boat.", linked("a", null, 0)), said("It is painted.", linked("b", "a", 1))];
  const progress = JSON.stringify({ type: "progress", sessionId: "s", ...linked("p", "never-written", 2) });
  expect(await briefOf(aTranscript(...rows, progress))).toContain("1 of 1 prompts quoted");
  const later = [aUserLine("And the pier.", linked("d", "lost", 60)), said("Done.", linked("e", "d", 61))];
  const brief = await briefOf(aTranscript(...rows, ...later));
  expect(brief).toContain("1 part of its transcript could not be read or is missing");
  expect(brief).toContain("2 of at least 2 prompts quoted");
});

it("a compaction that writes earlier rows again, with new ids and the old times, doubles no prompt", async () => {
  const rows = (prefix: string, parent: string | null): string[] => [
    aUserLine("Paint the boat.", linked(`${prefix}1`, parent, 0)),
    said("It is painted.", linked(`${prefix}2`, `${prefix}1`, 1)),
  ];
  const next = aUserLine("And the pier.", linked("n", "y2", 60));
  const brief = await briefOf(aTranscript(...rows("x", null), ...rows("y", "x2"), next));
  expect(brief).toContain("2 of 2 prompts quoted");
});

it("where both of two prompts after one row go on, two chats write the file, and all is quoted", async () => {
  const start = [aUserLine("Paint the boat.", linked("a", null, 0)), said("It is painted.", linked("b", "a", 1))];
  const prompts = [
    aUserLine("Paint the oars.", linked("c", "b", 2)),
    aUserLine("Paint the sail.", linked("d", "b", 3)),
  ];
  const answers = [said("The oars are red.", linked("e", "c", 4)), said("The sail is white.", linked("f", "d", 5))];
  const brief = await briefOf(aTranscript(...start, ...prompts, ...answers));
  expect(brief).toContain("3 of 3 prompts quoted");
  expect(brief).toContain("goes on along two branches, as when two chats write one session");
  const edited = await briefOf(aTranscript(...start, ...prompts, ...answers.slice(1)));
  expect(edited).not.toContain("Paint the oars.");
  expect(edited).not.toContain("two branches");
});

function timed(timestamps: readonly unknown[]): string {
  return aTranscript(
    aUserLine("Paint the boat.", { timestamp: timestamps[0] }),
    anAssistantLine({ id: "m" }, { timestamp: timestamps[1] }),
  );
}

it("a time may be a number; one that is missing or to come is unknown", async () => {
  for (const unit of [1, 1_000])
    expect(await briefOf(timed([day / unit, (day + 2_000) / unit]))).toContain("was last active 24 h ago");
  for (const times of [
    [undefined, undefined],
    [new Date(T0 + 86_400_000).toISOString(), new Date(T0 + 86_500_000).toISOString()],
  ]) {
    const brief = await briefOf(timed(times));
    expect(brief).toContain("was last active at an unknown time");
    expect(brief).toContain("- at an unknown time: Paint the boat.");
    expect(brief).not.toMatch(/\d s ago/);
  }
});

const rollout = [
  codexHead("0.169.0"),
  codexRow(1, "turn_context", { cwd: "/p", model: "gpt" }),
  codexRow(1, "event_msg/user_message", { message: "Mend the hull." }),
  codexRow(2, "event_msg/agent_message", { message: "The hull is mended." }),
  codexRow(3, "event_msg/task_complete", { last_agent_message: "The hull is mended." }),
].map((row) => JSON.stringify(row));
const rolloutName = "rollout-2026-11-20T10-00-00-019f0000-0000-7000-8000-000000000001.jsonl";

it("a rollout that Codex has compressed is read, as far as it goes where it is cut", async () => {
  const packed = zlib.zstdCompressSync(Buffer.from(`${rollout.join("\n")}\n`));
  const whole = await briefOf(packed, `${rolloutName}.zst`);
  expect(whole).toContain("1 of 1 prompts quoted; the end of the conversation is there");
  const noise = Array.from({ length: 40_000 }, (_, n) =>
    JSON.stringify(codexRow(4 + n, "event_msg/noise", { n: n * n })),
  );
  const long = zlib.zstdCompressSync(Buffer.from([...rollout, ...noise].join("\n")));
  const cut = await briefOf(long.subarray(0, Math.floor(0.7 * long.length)), `${rolloutName}.zst`);
  expect(cut).toContain("Mend the hull.");
  expect(cut).toContain("1 of at least 1 prompts quoted; the end of the conversation could not be read");
});

it("a session is found behind a long head, by the file's name without its own row, and by most of its rows", async () => {
  const head = Array.from({ length: 120 }, (_, n) =>
    JSON.stringify({ type: "summary", summary: `${n}`, leafUuid: "x" }),
  );
  expect(await briefOf(aTranscript(...head, aUserLine("Paint the boat.")))).toContain("1 of 1 prompts quoted");
  const headless = await briefOf(rollout.slice(1).join("\n"), rolloutName);
  expect(headless).toContain("shim-recovered-session-019f0000");
  expect(headless).toContain("project: /p;");
  expect(headless).toContain("could not be read or is missing (at its beginning)");
  const own = { sessionId: "11111111-0000-4000-8000-000000000012" };
  const forked = [
    aUserLine("Paint the boat.", { sessionId: "of-the-origin" }),
    aUserLine("And the pier.", own),
    anAssistantLine({}, own),
  ];
  expect(await briefOf(aTranscript(...forked))).toContain("<shim-recovered-session-11111111>");
});

function geminiMessage(id: string, type: string, text: string): object {
  return { id, type, timestamp: new Date(day).toISOString(), content: type === "user" ? [{ text }] : text };
}

it("messages of Gemini CLI are read from batches and alone, and those before which the user went back are left out", async () => {
  const rows = [
    { sessionId: "g", projectHash: "p", kind: "main" },
    { $set: { messages: [geminiMessage("1", "user", "Paint the boat."), geminiMessage("2", "gemini", "It is pain")] } },
    geminiMessage("2", "gemini", "It is painted."),
    geminiMessage("3", "user", "Paint the oars."),
    { $rewindTo: "3" },
    geminiMessage("4", "user", "Paint the sail."),
  ];
  const brief = await briefOf(rows.map((row) => JSON.stringify(row)).join("\n"));
  expect(brief).toContain("2 of 2 prompts quoted");
  expect(brief).toContain("It is painted.");
  expect(brief).not.toContain("Paint the oars.");
  // The folder is not named, so nothing of this one is listed.
  expect(brief).toContain("project: none;");
});

const second = [
  { id: "msg_1", type: "user", time: { created: day }, text: "Paint the boat." },
  { id: "msg_2", type: "synthetic", time: { created: day }, text: "A reminder that no user wrote." },
  {
    id: "msg_3",
    type: "assistant",
    time: { created: day + 1_000, completed: day + 2_000 },
    finish: "stop",
    content: [
      { type: "tool", id: "call_1", name: "bash", state: { status: "completed", input: { command: "ls" } } },
      { type: "text", text: "It is painted." },
    ],
  },
];

function expectSecondVersion(brief: string): void {
  expect(brief).toContain("1 of 1 prompts quoted; the end of the conversation is there");
  expect(brief).toContain("1 tool call,");
  expect(brief).not.toContain("reminder");
}

it("a database of OpenCode 2 is read where it has one session, and else names its sessions", async () => {
  const home = aSeededHome();
  const path = join(home.folder, "opencode.db");
  const db = new Database(path);
  db.exec("CREATE TABLE session_v2 (id text, directory text, parent_id text, time_updated integer)");
  db.exec("CREATE TABLE session_message (id text, session_id text, type text, seq integer, data text)");
  const session = (id: string): void => void db.prepare("INSERT INTO session_v2 VALUES (?, '/p', NULL, 1)").run(id);
  session("ses_1");
  for (const [seq, { id, type, ...data }] of second.entries())
    db.prepare("INSERT INTO session_message VALUES (?, 'ses_1', ?, ?, ?)").run(id, type, seq, JSON.stringify(data));
  const read = await home.shim(`resume --print --from-transcript ${path}`);
  expectSecondVersion(read.out);
  session("ses_2");
  db.close();
  const several = await home.shim(`resume --print --from-transcript ${path}`);
  expect(several).toMatchObject(failed(1, "a database of OpenCode with 2 sessions"));
  expect(several.err).toContain("ses_2");
  writeFileSync(path, Buffer.from("SQLite format 3\0 and no more"));
  expect((await home.shim(`resume --print --from-transcript ${path}`)).code).toBe(1);
});
