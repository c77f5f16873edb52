import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, it } from "vitest";
import type { ConversationRow } from "#src/contract/machine/conversation.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import { maxPhoneFrameChars } from "#src/contract/phone-frames.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as news from "#src/machine/sessions/news.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { shownRow } from "#src/machine/view/conversation/rows.ts";
import { readConversation } from "#src/machine/view/conversation/source.ts";
import { aCliHome, addSession, type CliHome } from "#harness/machine/cli-home.ts";
import { ClaudeTranscript } from "#harness/machine/claude-transcript.ts";
import { aUserLine, anAssistantLine } from "#harness/machine/transcripts.ts";

const id = "5f0e0e5e-0000-4000-8000-000000000001";
const pid = 4_711;

interface Page {
  readonly rows: readonly ConversationRow[];
  readonly hasEarlier: boolean;
  readonly hasLater: boolean;
  readonly isReset: boolean;
  readonly isPartial: boolean;
}

/** A chat that lives, with its transcript. */
function aChat(entries: JournalEntry[] = [], home = aCliHome()) {
  const path = join(home.folder, `${id}.jsonl`);
  const transcript = new ClaudeTranscript(path, home.now);
  home.alive.add(pid);
  addSession(home, { id, pid, transcriptPath: path, entries });
  const call = (name: string, ...args: string[]) => home.json(`call ${name} session=${id}`, ...args);
  const read = async (...args: string[]) => (await call("conversation.read", ...args)) as unknown as Page;
  return { home, transcript, call, read };
}

function noted(home: CliHome, at: number, entry: JournalEntry): void {
  home.runtime.store.write((sql) => journal.append(sql, id, at, `${entry.kind}-${at}`, entry));
}

const textsOf = ({ rows }: Page): string[] =>
  rows.map((row) => ("text" in row ? row.text : `${row.tool} ${row.subject}`));

it("a conversation is read oldest first, with whole texts; a call and its result are one row", async () => {
  const { transcript, read } = aChat();
  const answer = `# Result\n\n| a | b |\n| - | - |\n| 1 | 2 |\n\n${"A long line of the answer. ".repeat(200)}\n\nWhich one: **A or B**?`;
  transcript.asks("Paint the hull red.");
  transcript.calls("Bash", { command: "npm test", description: "Run tests" }, "1 failed\nExit code 1", true);
  transcript.calls("Edit", { file_path: "/p/hull.ts", old_string: "a\nblue\nb", new_string: "a\nred\nb\nc" });
  transcript.says(answer);
  transcript.calls("Bash", { command: "sleep 9" }, null);
  const page = await read();
  expect(page).toMatchObject({ hasEarlier: false, hasLater: false, isReset: false, isPartial: false });
  expect(page.rows).toMatchObject([
    { kind: "prompt", text: "Paint the hull red.", from: null, isWaiting: false },
    { kind: "call", tool: "Bash", subject: "npm test", outcome: "failed", result: "1 failed", lines: null },
    { kind: "call", tool: "Edit", subject: "/p/hull.ts", outcome: "done", lines: { added: 2, removed: 1 } },
    { kind: "answer", text: answer },
    { kind: "call", tool: "Bash", outcome: "running", result: "" },
  ]);
});

it("words of the user are in it from wherever they came: by phone, in the queue, and those that wait", async () => {
  const { home, transcript, read } = aChat();
  transcript.asks("Paint the hull.").says("Done.");
  const { at } = transcript;
  noted(home, at + 10, { kind: "prompt", text: "And the mast.", from: "Pixel 9" });
  noted(home, at + 20, { kind: "failure", text: "API Error: 529 overloaded" });
  noted(home, at + 30_000, { kind: "prompt", text: "Paint the hull." });
  home.runtime.store.write((sql) =>
    news.add(sql, at + 40_000, id, "words", { kind: "user_message", by: "Pixel 9", text: "Then stop." }),
  );
  expect((await read()).rows).toMatchObject([
    { kind: "prompt", text: "Paint the hull." },
    { kind: "answer", text: "Done." },
    { kind: "prompt", text: "And the mast.", from: "Pixel 9", isWaiting: false },
    { kind: "note", text: "failed: API Error: 529 overloaded", isBad: true },
    { kind: "prompt", text: "Paint the hull.", from: null },
    { kind: "prompt", text: "Then stop.", from: "Pixel 9", isWaiting: true },
  ]);
});

it("a prompt that both the event and the transcript report is one row", async () => {
  const { home, transcript, read } = aChat();
  transcript.asks("continue").says("One.").asks("continue").says("Two.");
  for (const at of [transcript.at - 3_000, transcript.at - 1_000])
    noted(home, at, { kind: "prompt", text: "continue" });
  expect(textsOf(await read())).toEqual(["continue", "One.", "continue", "Two."]);
});

/** A chat of so many rows, whose texts are long. */
function aLongChat(rows: number) {
  const chat = aChat();
  chat.transcript.asks("Count.");
  for (let n = 1; n < rows; n++) chat.transcript.says(`number ${n} ${"x".repeat(400)}`);
  return chat;
}

it("a long conversation comes in parts that follow each other in both directions, each within its bound", async () => {
  const { read } = aLongChat(2_500);
  const newest = await read("chars=20000");
  expect(newest).toMatchObject({ hasEarlier: true, hasLater: false });
  expect(JSON.stringify(newest.rows).length).toBeLessThan(25_000);
  const all = [...newest.rows];
  for (let page = newest; page.hasEarlier;) {
    page = await read(`before=${all[0]?.id}`, "chars=150000");
    all.unshift(...page.rows);
  }
  expect(all.length).toBe(2_500);
  expect(new Set(all.map((row) => row.id)).size).toBe(2_500);
  const from = await read(`from=${all[1_000]?.id}`, "chars=20000");
  expect(from).toMatchObject({ hasEarlier: true, hasLater: true });
  expect(from.rows.map((row) => row.id)).toEqual(all.slice(1_000, 1_000 + from.rows.length).map((row) => row.id));
  expect(await read("from=answer:1", "chars=1000")).toMatchObject({ isReset: true, hasLater: false, hasEarlier: true });
});

it("rows keep their ids as the chat goes on, so that what is new is read from the last one on", async () => {
  const { transcript, read } = aLongChat(2_500);
  const last = (await read()).rows.at(-1)?.id;
  transcript.calls("Bash", { command: "make" }, null);
  const [known, call] = (await read(`from=${last}`)).rows;
  expect([known?.id, call]).toMatchObject([last, { outcome: "running" }]);
});

it("a part from a row on has the one after it, too, however long they are", async () => {
  const { transcript, read } = aChat();
  transcript.asks("Count.").says("x".repeat(90_000)).says("y".repeat(90_000));
  const [long] = (await read("chars=1000")).rows;
  transcript.says("z".repeat(90_000)).says("End.");
  const page = await read(`from=${long?.id}`, "chars=1000");
  expect([page.rows.length, page.rows[0]?.id, page.hasLater]).toEqual([2, long?.id, true]);
});

it("a prompt keeps its id when its row of the transcript comes", async () => {
  const { home, transcript, read } = aChat();
  const idOf = async (text: string) => (await read()).rows.find((row) => "text" in row && row.text === text)?.id;
  transcript.asks("Paint the hull.").says("Done.");
  noted(home, transcript.at + 200, { kind: "prompt", text: "And the mast." });
  const first = await idOf("And the mast.");
  transcript.asks("And the mast.").says("Done, too.");
  expect(await idOf("And the mast.")).toBe(first);
});

it("rows without a time have the same ids however much of the session is read", async () => {
  const { transcript, read } = aChat();
  const lines = Array.from({ length: 1_600 }, (_, n) => {
    const content = n % 2 ? "again" : `again ${n} ${"x".repeat(800)}`;
    return `${JSON.stringify({ type: "user", message: { role: "user", content } })}\n`;
  });
  writeFileSync(transcript.path, lines.join(""));
  const newest = await read("chars=20000");
  expect(newest.rows.every((row) => row.ageMs === null)).toBe(true);
  const all = [...newest.rows];
  for (let page = newest; page.hasEarlier;) {
    page = await read(`before=${all[0]?.id}`, "chars=150000");
    expect(page.isReset).toBe(false);
    all.unshift(...page.rows);
  }
  expect(all.length).toBe(1_600);
  expect(new Set(all.map((row) => row.id)).size).toBe(1_600);
});

const nothing = { path: "", added: 0, removed: 0, diff: "", left: 0 };
const numbered = (of: number, odd: string): string =>
  Array.from({ length: of }, (_, n) => (n % 50 === 7 ? odd : `line ${n} ${"x".repeat(60)}`)).join("\n");

it("an edit has the same numbers of lines in its row and when it is opened, also where its lines are too many to be shown", async () => {
  const { transcript, read, call } = aChat();
  transcript.asks("Edit.").calls("Edit", { file_path: "/p/a.ts", old_string: "a\nb\na", new_string: "a\na\nb" });
  transcript.calls("Edit", {
    file_path: "/p/b.ts",
    old_string: numbered(2_000, "old"),
    new_string: `${numbered(2_000, "new")}\nmore`,
  });
  const [, small, large] = (await read()).rows;
  const opened = async (row?: ConversationRow) => (await call("conversation.call", `row=${row?.id}`))["edits"];
  expect(small).toMatchObject({ lines: { added: 1, removed: 1 } });
  expect(await opened(small)).toEqual([{ path: "/p/a.ts", added: 1, removed: 1, diff: " a\n-b\n a\n+b", left: 0 }]);
  expect(large).toMatchObject({ lines: { added: 41, removed: 40 } });
  const [{ diff, left, ...counts } = nothing] = (await opened(large)) as (typeof nothing)[];
  expect(counts).toEqual({ path: "/p/b.ts", added: 41, removed: 40 });
  expect(diff.length).toBeLessThanOrEqual(60_000);
  expect(diff.split("\n").length + left).toBe(2_000 + 41);
});

it("the rows of a chat that does nothing are read once", () => {
  const { home, transcript } = aChat();
  const readRows = (part: "newest" | "all") => {
    const session = home.runtime.store.read((sql) => sessions.get(sql, id), null);
    return session ? readConversation(home.runtime, session, part).rows : [];
  };
  transcript.asks("Paint the hull red.");
  transcript.calls("Edit", { file_path: "/p/hull.ts", old_string: "blue", new_string: "red" });
  for (const part of ["newest", "all"] as const) {
    const rows = readRows(part);
    expect(readRows(part)).toBe(rows);
  }
  transcript.says("Red.");
  expect(readRows("newest")).toHaveLength(3);
});

it("an edit is compared once, however often its row is read", () => {
  let times = 0;
  const input = {
    file_path: "/p/hull.ts",
    new_string: "red",
    get old_string() {
      times += 1;
      return "blue";
    },
  };
  const call = { kind: "call", id: "c", name: "Edit", input, at: null } as const;
  const row = { kind: "call", id: "call:c", at: null, call, result: null, isRunning: false } as const;
  expect(shownRow(row, 0)).toMatchObject({ lines: { added: 1, removed: 1 } });
  const once = times;
  expect(shownRow(row, 0)).toEqual(shownRow(row, 1));
  expect(times).toBe(once);
});

it("a file of thousands of lines has the number of its lines; an edit that changes too many to be compared has none", async () => {
  const { transcript, read } = aChat();
  const text = numbered(3_000, "odd");
  transcript.asks("Write.").calls("Write", { file_path: "/p/a.ts", content: text });
  const edit = { file_path: "/p/a.ts", old_string: text, new_string: text.replaceAll("line", "row") };
  transcript.calls("Edit", edit);
  expect((await read()).rows.slice(1)).toMatchObject([{ lines: { added: 3_000, removed: 0 } }, { lines: null }]);
});

it("a patch of hundreds of files has no number of lines; it is opened within the bound of a frame, and says how many it leaves out", async () => {
  const { transcript, read, call } = aChat();
  const files = Array.from(
    { length: 400 },
    (_, n) => `*** Update File: src/${n}.ts\n-${"界".repeat(200)}\n+${"字".repeat(200)}`,
  );
  transcript.asks("Patch.").calls("apply_patch", { patch: `*** Begin Patch\n${files.join("\n")}\n*** End Patch` });
  const row = (await read()).rows.at(-1);
  expect(row).toMatchObject({ lines: null });
  const opened = await call("conversation.call", `row=${row?.id}`);
  const edits = opened["edits"] as { added: number }[];
  expect(edits.length + Number(opened["moreEdits"])).toBe(400);
  expect(edits.length).toBe(100);
  expect(Buffer.byteLength(JSON.stringify(opened)) * (4 / 3)).toBeLessThan(maxPhoneFrameChars);
});

it("no row is larger than a phone's frame, however long its text is", async () => {
  const { transcript, read, call } = aChat();
  transcript.asks("Print all.").says("界".repeat(400_000)).calls("Bash", { command: "cat" }, "界".repeat(400_000));
  const page = await read("chars=150000");
  const opened = await call("conversation.call", `row=${page.rows.at(-1)?.id}`);
  for (const answer of [page, opened])
    expect(Buffer.byteLength(JSON.stringify(answer)) * (4 / 3)).toBeLessThan(maxPhoneFrameChars);
  expect(textsOf(page)[1]).toMatch(/界 \[cut, \d+ more characters\]$/);
});

it("an opened call has its input by field, its edits line by line, and its output; nothing that is shown has a secret", async () => {
  const { transcript, read, call } = aChat();
  const key = "sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijk-abcdefAA";
  transcript.asks(`Use ${key}.`);
  transcript.calls("Bash", { command: `curl -H 'x: ${key}'`, timeout: 5 }, `sent ${key}`);
  transcript.calls("Edit", { file_path: "/p/a.ts", old_string: "one", new_string: "two" }, "updated");
  const page = await read();
  const open = (at: number) => call("conversation.call", `row=${page.rows[at]?.id}`);
  expect(await open(2)).toMatchObject({
    input: "",
    edits: [{ path: "/p/a.ts", added: 1, removed: 1, diff: "-one\n+two", left: 0 }],
    output: "updated",
  });
  const found = await call("conversation.search", "words=curl");
  const shown = JSON.stringify([page, await open(1), found]);
  expect(shown).toContain("timeout: 5");
  expect(shown).not.toContain(key.slice(20, 60));
  expect(await call("conversation.call", "row=call:none")).toMatchObject({ error: { code: "not_found" } });
});

it("a search finds rows by all of its words, over the whole session and in what calls were given and printed", async () => {
  const { transcript, call } = aLongChat(2_500);
  transcript.calls("Bash", { command: "grep Anchor" }, "the anchor is up\nnothing else");
  const search = (words: string) => call("conversation.search", `words=${words}`);
  expect(await search("NUMBER 7")).toMatchObject({ found: 637 });
  expect(((await search("NUMBER 7"))["hits"] as unknown[]).length).toBe(100);
  expect(await search("up anchor")).toMatchObject({ found: 1, hits: [{ kind: "call", excerpt: expect.anything() }] });
  expect(await search("anchor down")).toEqual({ found: 0, hits: [] });
});

it("without its transcript the journal stands for a session, which the answer says", async () => {
  const home = aCliHome();
  const entries: JournalEntry[] = [
    { kind: "prompt", text: "Paint the hull.", from: "Pixel 9" },
    { kind: "tool_end", id: "t1", name: "Bash", input: "npm test", output: "2 passed" },
    { kind: "assistant", text: "Done." },
  ];
  addSession(home, { id, entries });
  const page = (await home.json(`call conversation.read session=${id}`)) as unknown as Page;
  expect(page.isPartial).toBe(true);
  expect(page.rows).toMatchObject([
    { kind: "prompt", from: "Pixel 9" },
    { kind: "call", subject: "npm test", outcome: "done", result: "2 passed" },
    { kind: "answer" },
  ]);
});

it("the rows of a sub-agent are read by the call that started it", async () => {
  const { home, transcript, read } = aChat();
  const prompt = 'Find all "berths".\nBe quick.';
  transcript.asks("Go.").calls("Task", { description: "Find berths", prompt }, "There are two.");
  const folder = join(home.folder, id, "subagents");
  mkdirSync(folder, { recursive: true });
  const about = { isSidechain: true, agentId: "a1", timestamp: new Date(transcript.at).toISOString() };
  const found = anAssistantLine({ content: [{ type: "text", text: "Two berths." }] }, about);
  writeFileSync(join(folder, "agent-a1.jsonl"), `${aUserLine(prompt, about)}\n${found}\n`);
  writeFileSync(join(folder, "agent-a0.jsonl"), `${aUserLine("Another one.", about)}\n`);
  const [, call] = (await read()).rows;
  expect(call).toMatchObject({ kind: "call", isAgent: true, result: "There are two." });
  expect(textsOf(await read(`agent=${call?.id}`))).toEqual([prompt, "Two berths."]);
});

it("the rows of sub-agents with the same prompt, or the same beginning of it, are told apart", async () => {
  const { home, transcript, read } = aChat();
  const folder = join(home.folder, id, "subagents");
  mkdirSync(folder, { recursive: true });
  const started = (agentId: string, prompt: string): void => {
    const about = { isSidechain: true, agentId, timestamp: new Date(transcript.at).toISOString() };
    const answer = anAssistantLine({ content: [{ type: "text", text: `I am ${agentId}.` }] }, about);
    writeFileSync(join(folder, `agent-${agentId}.jsonl`), `${aUserLine(prompt, about)}\n${answer}\n`);
  };
  transcript.asks("Go.");
  for (const [agentId, prompt] of [
    ["a1", "Find berths."],
    ["a2", "Find berths."],
  ] as const) {
    transcript.calls("Task", { description: "Find", prompt }, "Done.", false, { toolUseResult: { agentId, prompt } });
    started(agentId, prompt);
  }
  transcript.calls("Task", { description: "Find", prompt: "Find berths. Be quick." }, null);
  started("a0", "Find berths. Be quick. And quiet.");
  started("a3", "Find berths. Be quick.");
  const calls = (await read()).rows.slice(1);
  const answers = await Promise.all(calls.map(async (call) => textsOf(await read(`agent=${call.id}`)).at(-1)));
  expect(answers).toEqual(["I am a1.", "I am a2.", "I am a3."]);
});

it("the rows of a sub-agent of OpenCode are read from the session of its own that it has in the database", async () => {
  const home = aCliHome();
  const folder = join(home.folder, ".local", "share", "opencode");
  mkdirSync(folder, { recursive: true });
  const db = new Database(join(folder, "opencode.db"));
  db.exec(`CREATE TABLE session (id text, directory text, parent_id text, time_updated integer);
    CREATE TABLE message (id text, session_id text, time_created integer, data text);
    CREATE TABLE part (id text, message_id text, session_id text, data text);
    INSERT INTO session VALUES ('ses_boat', '/p', NULL, 2), ('ses_crew', '/p', 'ses_boat', 1)`);
  const write = (session: string, n: number, role: string, part: object): void => {
    const at = home.now + n;
    const info = JSON.stringify({ role, time: { created: at } });
    db.prepare("INSERT INTO message VALUES (?, ?, ?, ?)").run(`m${n}`, session, at, info);
    db.prepare("INSERT INTO part VALUES (?, ?, ?, ?)").run(`p${n}`, `m${n}`, session, JSON.stringify(part));
  };
  const input = { description: "Find berths", prompt: "Find all berths." };
  const state = { status: "completed", input, output: "There are two.", metadata: { sessionId: "ses_crew" } };
  write("ses_boat", 1, "user", { type: "text", text: "Go." });
  write("ses_boat", 2, "assistant", { type: "tool", callID: "c1", tool: "task", state });
  write("ses_crew", 3, "user", { type: "text", text: input.prompt });
  write("ses_crew", 4, "assistant", { type: "text", text: "Two berths." });
  db.close();
  addSession(home, { id: "ses_boat", client: "opencode", entries: [] });
  const read = async (...args: string[]) =>
    (await home.json("call conversation.read session=ses_boat", ...args)) as unknown as Page;
  const call = (await read()).rows[1];
  expect(call).toMatchObject({ kind: "call", isAgent: true, outcome: "done" });
  expect(textsOf(await read(`agent=${call?.id}`))).toEqual(["Find all berths.", "Two berths."]);
});

it("the rows of a sub-agent of Qwen Code are read from its file", async () => {
  const home = aCliHome();
  const path = join(home.folder, ".qwen", "projects", "-p", "chats", `${id}.jsonl`);
  const agents = join(path, "..", "..", "subagents", id);
  for (const folder of [join(path, ".."), agents]) mkdirSync(folder, { recursive: true });
  let n = 0;
  const row = (type: string, parts: readonly object[], more: object = {}): string => {
    n += 1;
    const about = { uuid: `u${n}`, parentUuid: null, sessionId: id, timestamp: new Date(home.now + n).toISOString() };
    const role = type === "assistant" ? "model" : "user";
    return `${JSON.stringify({ ...about, type, cwd: "/p", message: { role, parts }, ...more })}\n`;
  };
  const args = { description: "Find berths", prompt: "Find all berths." };
  const result = { functionResponse: { id: "t1", name: "agent", response: { output: "There are two." } } };
  const ended = { toolCallResult: { callId: "t1", status: "success" } };
  const rows = [
    row("user", [{ text: "Go." }]),
    row("assistant", [{ functionCall: { id: "t1", name: "agent", args } }]),
    row("tool_result", [result], ended),
  ];
  writeFileSync(path, rows.join(""));
  const own = [row("user", [{ text: args.prompt }]), row("assistant", [{ text: "Two berths." }])];
  writeFileSync(join(agents, "agent-explore-1.jsonl"), own.join(""));
  addSession(home, { id, client: "qwen", transcriptPath: path, entries: [] });
  const read = async (...args: string[]) =>
    (await home.json(`call conversation.read session=${id}`, ...args)) as unknown as Page;
  const call = (await read()).rows[1];
  expect(call).toMatchObject({ kind: "call", isAgent: true, outcome: "done" });
  expect(textsOf(await read(`agent=${call?.id}`))).toEqual(["Find all berths.", "Two berths."]);
});

it("words from elsewhere keep the id of their row when the chat gets them, as its prompt or beside a later turn", async () => {
  const { home, transcript, read } = aChat();
  transcript.asks("Go.").says("Done.");
  const write = (at: number, key: string, text: string): void =>
    home.runtime.store.write((sql) => void news.add(sql, at, id, key, { kind: "user_message", by: "Pixel 9", text }));
  const ids = async (): Promise<string[]> => (await read()).rows.slice(2).map((row) => row.id);
  const { at } = transcript;
  write(at + 10, "words-1", "Stop.");
  write(at + 20, "words-2", "Stop.");
  const waiting = await ids();
  expect(waiting).toHaveLength(2);
  for (const [key, after] of [
    ["words-1", 1_000],
    ["words-2", 2_000],
  ] as const) {
    home.runtime.store.write((sql) => news.markKeyDelivered(sql, at + after, id, key));
    noted(home, at + after, { kind: "prompt", text: "Stop.", from: "Pixel 9" });
  }
  expect(await ids()).toEqual(waiting);
});

it("a picture is counted in its row, and read by itself", async () => {
  const { transcript, read, call } = aChat();
  const data = Buffer.from("a picture").toString("base64");
  const picture = { type: "image", source: { type: "base64", media_type: "image/png", data } };
  transcript.asks("What is this?", [picture]).calls("Read", { file_path: "/p/a.png" }, [picture]);
  const page = await read();
  expect(page.rows).toMatchObject([{ pictures: 1 }, { pictures: 1 }]);
  for (const { id: row } of page.rows)
    expect(await call("conversation.picture", `row=${row}`, "number=0")).toEqual({ type: "image/png", data });
  expect(await call("conversation.picture", `row=${page.rows[0]?.id}`, "number=1")).toMatchObject({
    error: { code: "not_found" },
  });
});
