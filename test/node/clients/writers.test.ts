import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { uuidv4 } from "#src/shared/ids.ts";
import type { JsonObject } from "#src/shared/json-fields.ts";
import { detailsOf } from "#src/clients/details.ts";
import { readConversation } from "#src/clients/read-conversation.ts";
import type { Conversation, Item, NewSession, WrittenSession } from "#src/clients/conversation/conversation.ts";
import { writeSession } from "#src/machine/recovery/native/native-session.ts";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { codexHead, codexRow } from "#harness/clients/invented-transcripts.ts";
import { recordedSession } from "#harness/clients/recorded-client.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";

const now = Date.parse("2026-11-25T12:00:00.000Z");
const begun = now - 3_600_000;

function aTarget(changes: Partial<NewSession> = {}): NewSession {
  let serial = 0;
  const uuid = (): string => uuidv4(Uint8Array.from({ length: 16 }, (_, at) => (at === 15 ? serial++ : at) % 256));
  return { env: { HOME: temporaryFolder() }, cwd: "/home/ann/app", now, uuid, model: null, ...changes };
}

function conversationOf(items: readonly Item[]): Conversation {
  return { session: "s1", parent: null, model: "m1", items, lost: new Map(), damages: 0 };
}

function written(client: string, items: readonly Item[], to = aTarget()): WrittenSession {
  const writer = detailsOf(client)?.writer;
  if (!writer) throw new Error(`no writer of ${client}`);
  return writer.write(conversationOf(items), to);
}

const textOf = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

async function readText(text: string, name = "session.jsonl"): Promise<Conversation> {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, text);
  const read = await readConversation(path, openNodeSqlite);
  if (!read.ok) throw new Error(read.error);
  return read.value;
}

/** What the client's reader makes of it. */
const readAgain = (session: WrittenSession): Promise<Conversation> =>
  readText(textOf(session.rows), session.path?.split("/").at(-1));

const at = (minute: number): number => begun + minute * 60_000;
const prompt = (text: string, minute = 0): Item => ({ kind: "prompt", text, at: at(minute) });
const answer = (text: string, minute = 0): Item => ({ kind: "answer", text, at: at(minute) });
const call = (id: string, name: string, input: unknown, minute = 0): Item => {
  return { kind: "call", id, name, input, at: at(minute) };
};
const result = (of: string, text: string, isError = false, minute = 0): Item => {
  return { kind: "result", of, text, isError, at: at(minute) };
};

const items: readonly Item[] = [
  prompt("the word is pear", 0),
  answer("I run one.", 1),
  call("call_1", "Bash", { command: "echo one" }, 2),
  result("call_1", "one", false, 3),
  call("call_2", "Edit", { file_path: "/home/ann/app/a.ts", old_string: "a", new_string: "b" }, 4),
  result("call_2", "no such text", true, 5),
  call("call_3", "TodoWrite", { todos: [{ content: "lex", status: "pending" }] }, 6),
  result("call_3", "noted", false, 7),
  call("call_4", "mcp__shim__brief", { of: "s0" }, 8),
  result("call_4", "", false, 9),
  answer("Ran them.", 10),
  prompt("and the second is plum", 11),
  answer("Noted.", 12),
];

const wordsOf = (item: Item): string => ("text" in item ? item.text : item.id);
const outline = (all: readonly Item[]) => all.map((item) => [item.kind, item.at, wordsOf(item)]);
const clients = ["claude-code", "codex", "opencode"];

it.each(clients)("a session that is written for %s reads as the conversation that it was", async (client) => {
  const again = await readAgain(written(client, items));
  expect([again.damages, [...again.lost]]).toEqual([0, []]);
  expect(outline(again.items)).toEqual(outline(items));
  const calls = again.items.flatMap((item) => (item.kind === "call" ? [item] : []));
  expect(calls.slice(0, 3)).toMatchObject(items.filter(({ kind }) => kind === "call").slice(0, 3));
});

it.each(clients)(
  "a summary in a session of %s stands for what precedes it, and is not lost; times never go back",
  async (client) => {
    const summary: Item = { kind: "summary", text: "It was about pears.", at: at(4) };
    const all = [prompt("pear", 0), answer("Noted.", 1), summary, prompt("plum", 5), answer("Noted, too.", 4)];
    const again = await readAgain(written(client, all));
    expect(again.items.map(({ kind }) => kind)).toEqual(["prompt", "answer", "summary", "prompt", "answer"]);
    expect(again.items.map((item) => item.at)).toEqual([0, 1, 4, 5, 5].map(at));
    expect(again.items[2]).toMatchObject({ text: expect.stringContaining("It was about pears.") });
  },
);

it("rows of Claude Code name the row before them, but for one that a summary begins", () => {
  const summary: Item = { kind: "summary", text: "It was about pears.", at: null };
  const { rows, path, id } = written("claude-code", [prompt("pear"), summary, prompt("plum")]);
  expect(path).toMatch(new RegExp(`/\\.claude/projects/-home-ann-app/${id}\\.jsonl$`));
  const ids = rows.map((row) => row["uuid"]);
  expect(rows.map((row) => row["parentUuid"])).toEqual([null, null, ids[1], ids[2]]);
  expect(rows[1]).toMatchObject({ subtype: "compact_boundary", logicalParentUuid: ids[0] });
});

it("beside a summary a rollout keeps the newest prompts, of 60,000 characters at most", () => {
  const [old, newer] = ["old ".repeat(10_000), "new ".repeat(10_000)];
  const summary: Item = { kind: "summary", text: "It was about pears.", at: null };
  const { rows } = written("codex", [prompt(old), prompt(newer), summary]);
  const kept = JSON.stringify(rows.find((row) => row["type"] === "compacted"));
  expect([kept.includes(old), kept.includes(newer)]).toEqual([false, true]);
});

it("Claude Code's limit of a folder's name is a refusal", () => {
  expect(() => written("claude-code", items, aTarget({ cwd: `/${"a".repeat(200)}` }))).toThrow(/is too long$/);
});

it("names and ids that an API refuses are made plain, also where calls and results name each other", () => {
  for (const client of clients) {
    const text = textOf(written(client, [prompt("p"), call("a.1", "a tool!", null), result("a.1", "done")]).rows);
    expect(text).toContain("a_tool_");
    expect(text.match(/"(?:id|tool_use_id|call_id|callID)":"a_1"/g)).toHaveLength(client === "opencode" ? 1 : 2);
    expect(text).not.toContain("a.1");
  }
});

it.each([
  ["Bash", { command: "ls" }, { type: "function_call", name: "exec_command", arguments: '{"cmd":"ls"}' }],
  ["AskUserQuestion", { a: 1 }, { type: "function_call", name: "request_user_input", arguments: '{"a":1}' }],
  ["apply_patch", { input: "*** Begin" }, { type: "custom_tool_call", name: "apply_patch", input: "*** Begin" }],
  ["exec", { a: 1 }, { type: "custom_tool_call", name: "exec", input: '{"a":1}' }],
  ["wait", { ms: 9 }, { type: "function_call", name: "wait", arguments: '{"ms":9}' }],
  ["write_stdin", { chars: "y" }, { type: "function_call", name: "write_stdin", arguments: '{"chars":"y"}' }],
])("a rollout has Codex's own form of a call: %s", (name, input, payload) => {
  const { rows } = written("codex", [prompt("p"), call("c1", name, input), result("c1", "done")]);
  const form = expect.objectContaining({ ...payload, call_id: "c1" }) as unknown;
  expect(rows).toContainEqual(expect.objectContaining({ payload: form }));
});

it.each([
  ["", "openai"],
  ['model_provider = "own"\n[profiles.p]\nmodel_provider = "other"\n', "own"],
  ['profile = "p"\nmodel_provider = "own"\n[profiles.p]\nmodel_provider = "other"\n', "other"],
  ['[model_providers.x]\nmodel_provider = "no"\n', "openai"],
])("a rollout names the provider that Codex's settings name: %j", async (settings, provider) => {
  const home = temporaryFolder();
  writeFileSync(join(home, "config.toml"), settings);
  const env = { CODEX_HOME: home };
  const model = await detailsOf("codex")?.modelOf?.({ env, cwd: home });
  const { rows, path } = written("codex", items, aTarget({ env, model: model ?? null }));
  expect(rows[0]).toMatchObject({ type: "session_meta", payload: { model_provider: provider, cwd: "/home/ann/app" } });
  expect(path).toContain(join(home, "sessions", "2026", "11", "25", "rollout-2026-11-25T12-00-00-"));
});

it.each([
  ["12h", 0.5],
  ["2w", 14],
  ["for ever", 30],
])("Gemini CLI keeps its sessions for the time of its settings: %s", (maxAge, days) => {
  const root = temporaryFolder();
  writeFileSync(join(root, "settings.json"), JSON.stringify({ general: { sessionRetention: { maxAge } } }));
  expect(detailsOf("gemini")?.sessions?.store?.cleanUp?.(root)?.afterMs).toBe(days * 86_400_000);
});

it.each(["copilot", "qwen", "gemini"])("a session that %s wrote is read with its results", async (client) => {
  const { items: read, lost } = await readText(recordedSession(client), `${client}.jsonl`);
  const calls = read.filter(({ kind }) => kind === "call");
  expect(calls.length).toBeGreaterThan(2);
  const results = read.flatMap((item) => (item.kind === "result" ? [item] : []));
  expect(results.map(({ of }) => of)).toEqual(calls.map((item) => (item.kind === "call" ? item.id : "")));
  expect(results[0]?.text).toMatch(/\bone\b/);
  expect([...lost.keys()]).not.toContain("cut_result");
});

const claudeRow = (type: string, content: unknown, more: JsonObject = {}): JsonObject => {
  const message = { role: type, content, ...(type === "assistant" ? { id: "m", model: "m1" } : {}) };
  return { type, sessionId: "s1", cwd: "/p", timestamp: "2026-11-25T10:00:00.000Z", message, ...more };
};

const say = (text: string) => claudeRow("user", text);
const use = (id: string) => claudeRow("assistant", [{ type: "tool_use", id, name: "Bash", input: { command: id } }]);
const done = (id: string) => claudeRow("user", [{ type: "tool_result", tool_use_id: id, content: `ran ${id}` }]);

const readRows = (...rows: readonly JsonObject[]): Promise<Conversation> => readText(textOf(rows));

it("a result moves up to its call, and a call without one gets one that says so", async () => {
  const rows = [say("go"), use("a"), use("b"), say("also this"), done("b"), done("nothing"), use("c")];
  const { items: read, lost } = await readRows(...rows);
  const words = read.map((item) => (item.kind === "call" ? item.id : item.kind === "result" ? item.text : item.kind));
  const none = expect.stringContaining("No result was recorded");
  expect(words).toEqual(["prompt", "a", "b", none, "ran b", "prompt", "c", none]);
  expect([...lost]).toEqual([["missing_result", 2]]);
});

it("what no other client's session holds is counted", async () => {
  const persisted = { type: "text", text: "<persisted-output>" };
  const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "" } };
  const { lost, items: read } = await readRows(
    claudeRow("user", [{ type: "text", text: "see" }, image]),
    claudeRow("assistant", [{ type: "thinking", thinking: "hm" }]),
    claudeRow("assistant", [{ type: "tool_use", id: "a", name: "Bash", input: {} }]),
    claudeRow("user", [{ type: "tool_result", tool_use_id: "a", content: [persisted, image] }]),
    claudeRow("user", "inner", { isSidechain: true }),
    claudeRow("user", "<command-name>/model</command-name>\n<command-args>opus</command-args>"),
    claudeRow("user", "[Request interrupted by user]"),
    { type: "system", subtype: "compact_boundary", sessionId: "s1" },
  );
  const others = { thought: 1, cut_result: 1, subagent_row: 1, local_command: 1, interruption: 1, summary: 1 };
  expect(Object.fromEntries(lost)).toEqual({ image: 2, ...others });
  expect(read.map(({ kind }) => kind)).toEqual(["prompt", "call", "result"]);
});

it("the same words without a time are said again", async () => {
  const timeless = claudeRow("user", "go on", { timestamp: undefined });
  expect((await readRows(timeless, timeless)).items.map(wordsOf)).toEqual(["go on", "go on"]);
});

it("what the user took back is not written: an edited prompt of Claude Code, a rollback of Codex", async () => {
  const edited = await readRows(
    claudeRow("user", "root", { uuid: "u0", parentUuid: null }),
    claudeRow("assistant", [{ type: "text", text: "Yes?" }], { uuid: "u1", parentUuid: "u0" }),
    claudeRow("user", "wrong", { uuid: "u2", parentUuid: "u1" }),
    claudeRow("assistant", [{ type: "tool_use", id: "a", name: "Bash", input: {} }], { uuid: "u3", parentUuid: "u2" }),
    claudeRow("user", "right", { uuid: "u4", parentUuid: "u1" }),
  );
  expect(edited.items.map(wordsOf)).toEqual(["root", "Yes?", "right"]);
  const rolledBack = await readRows(
    codexHead("0.169.0"),
    codexRow(1, "event_msg/user_message", { message: "root" }),
    codexRow(2, "event_msg/user_message", { message: "wrong" }),
    codexRow(3, "response_item/function_call", { call_id: "a", name: "exec_command", arguments: "{}" }),
    codexRow(4, "event_msg/thread_rolled_back", { num_turns: 1 }),
    codexRow(5, "event_msg/user_message", { message: "right" }),
  );
  expect(rolledBack.items.map(wordsOf)).toEqual(["root", "right"]);
});

it("a session is written to a file of its own, and never over another one", async () => {
  const details = detailsOf("codex");
  if (!details?.writer) throw new Error("no writer");
  const target = aTarget();
  const to = (): NewSession => ({ ...aTarget(), env: target.env });
  const client = { ...details, writer: details.writer };
  const { file } = await writeSession(client, conversationOf(items), to());
  const bytes = readFileSync(file ?? "");
  await expect(writeSession(client, conversationOf([prompt("other")]), to())).rejects.toMatchObject({ code: "EEXIST" });
  expect(readFileSync(file ?? "")).toEqual(bytes);
});
