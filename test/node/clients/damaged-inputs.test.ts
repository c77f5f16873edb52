import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { zstdCompressSync } from "node:zlib";
import Database from "better-sqlite3";
import { expect, it } from "vitest";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { eachLine, maxLineBytes } from "#src/local-mcp/front/lines.ts";
import { edit, filesOf, known, refuse, type Break } from "#harness/clients/breaks.ts";
import { invented, writeSession } from "#harness/clients/broken-sessions.ts";
import { codexHead, codexRow } from "#harness/clients/invented-transcripts.ts";
import { openCodeExport, writtenRows } from "#harness/clients/written-sessions.ts";
import { settled } from "#harness/machine/host-rig.ts";
import { aCliHome } from "#harness/machine/cli-home.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

/** Forms of inputs that users of the clients have reported, each with what a user must get. */

const turns = [
  { prompt: "Paint the boat.", answer: "It is painted." },
  { prompt: "And the pier.", answer: "The pier is blue." },
];
const claude = writtenRows("claude-code", turns);
const [first = "", second = "", third = "", fourth = ""] = claude;

function lines(...rows: readonly string[]): string {
  return rows.map((line) => `${line}\n`).join("");
}

/** The rows of a transcript of Claude Code with other fields. */
function changed(change: (row: Record<string, unknown>, at: number) => object): string {
  return lines(
    ...claude.map((row, at) => JSON.stringify({ ...JSON.parse(row), ...change(JSON.parse(row) as never, at) })),
  );
}

const all = ["Paint the boat.", "It is painted.", "And the pier.", "The pier is blue."];
const both = [...all, "2 of 2 prompts quoted"];
const missing = "could not be read or is missing";

const session = "019f0000-0000-7000-8000-000000000001";
const rolloutName = `rollout-2026-11-20T10-00-00-${session}.jsonl`;
const head = JSON.stringify(codexHead("0.169.0"));
const rollout = [
  codexRow(1, "turn_context", { cwd: "/p", model: "gpt" }),
  codexRow(1, "event_msg/user_message", { message: "Mend the hull." }),
  codexRow(2, "event_msg/agent_message", { message: "The hull is mended." }),
  codexRow(3, "event_msg/task_complete", { last_agent_message: "The hull is mended." }),
].map((row) => JSON.stringify(row));
const noise = Array.from({ length: 500 }, (_, n) => JSON.stringify(codexRow(1, "event_msg/noise", { n })));
const hull = ["Mend the hull.", "The hull is mended.", `shim-recovered-session-${session.slice(0, 8)}`];

const [uuidOf, parentOf] = [(row: string) => (JSON.parse(row) as { uuid: string }).uuid, "parentUuid"];
const thirdAgain = third.replace("And the pier.", "And the sail.").replace(uuidOf(third), "of-the-other-chat");

function geminiMessage(id: string, type: string, text: string): object {
  const timestamp = "2023-11-13T10:00:00.000Z";
  return { id, type, timestamp, content: type === "user" ? [{ text }] : text };
}

const openCode2 = [
  { id: "msg_1", type: "user", time: { created: 1_699_000_000_000 }, text: "Paint the boat." },
  { id: "msg_2", type: "synthetic", time: { created: 1_699_000_000_000 }, text: "A reminder of the client." },
  {
    id: "msg_3",
    type: "assistant",
    time: { created: 1_699_000_001_000, completed: 1_699_000_002_000 },
    finish: "stop",
    content: [{ type: "text", text: "It is painted." }],
  },
];

/** What the brief has, and what it has not. */
type Form = readonly [content: string | Uint8Array, has: readonly string[], lacks?: readonly string[], name?: string];

const forms: Readonly<Record<string, Form>> = {
  "a byte order mark": [`\u{FEFF}${lines(...claude)}`, both],
  "two rows in one line": [lines(first + second, third + fourth), both],
  "a cut row with the whole row behind it": [lines(first, second, third.slice(0, 40) + third, fourth), all],
  "zeros behind a row": [lines(first, second + "\0".repeat(64), third, fourth), all],
  "a last row that is cut": [
    lines(first, second, third) + fourth.slice(0, 60),
    ["Paint the boat.", "It is painted.", "And the pier.", missing],
    ["the end of the conversation is there"],
  ],
  "a rollout that Codex has compressed": [zstdCompressSync(lines(head, ...rollout)), hull, [], `${rolloutName}.zst`],
  "a rollout with a byte order mark": [`\u{FEFF}${lines(head, ...rollout)}`, hull, [missing], rolloutName],
  "a rollout without its first row": [lines(...rollout), [...hull, missing, "project: /p;"], [], rolloutName],
  "a rollout whose first row is cut": [lines(head.slice(0, 50), ...rollout), [...hull, missing], [], rolloutName],
  "a rollout whose first row is zeros": [lines("\0".repeat(90), ...rollout), [...hull, missing], [], rolloutName],
  "a prompt behind five hundred other rows": [lines(head, ...noise, ...rollout), hull, [missing], rolloutName],
  "a document of OpenCode": [openCodeExport(turns), both, [], "export.json"],
  "a document of OpenCode 2": [
    JSON.stringify({ info: { id: "ses_1", directory: "/p" }, messages: openCode2 }),
    ["Paint the boat.", "It is painted.", "1 of 1 prompts quoted"],
    ["reminder"],
    "export.json",
  ],
  "two chats that write one session": [
    lines(first, second, third, thirdAgain) +
      lines(fourth, fourth.replace(uuidOf(fourth), "w").replace(uuidOf(third), "of-the-other-chat")),
    ["And the pier.", "And the sail.", "3 of 3 prompts quoted", "as when two chats write one session"],
  ],
  "rows that a compaction has written again with new ids": [
    lines(first, second) +
      lines(first, second).replaceAll(uuidOf(first), "x1").replaceAll(uuidOf(second), "x2") +
      lines(third, fourth),
    both,
  ],
  "each row twice": [lines(...claude, ...claude), both],
  "a hundred rows before the first message": [
    lines(...Array.from({ length: 100 }, (_, n) => JSON.stringify({ type: "summary", summary: `${n}` })), ...claude),
    both,
  ],
  "a row whose parent was never written": [
    changed((_, at) => (at === 2 ? { [parentOf]: "lost" } : {})),
    ["2 of at least 2 prompts quoted", missing],
  ],
  "times that are numbers": [
    changed((row) => ({ timestamp: Date.parse(String(row["timestamp"])) })),
    [...both, "24 h"],
  ],
  "no times": [changed(() => ({ timestamp: undefined })), ["at an unknown time"], [" s ago"]],
  "a first row of the session that this one was forked from": [
    lines(first.replace(/"sessionId":"[^"]+"/, '"sessionId":"of-the-origin"'), ...claude.slice(1)),
    ["<shim-recovered-session-5f0e0e5e>"],
    ["session-of-the-origin"],
  ],
  "messages of Gemini CLI in batches and alone": [
    lines(
      ...[
        { sessionId: "g", projectHash: "p", kind: "main" },
        {
          $set: { messages: [geminiMessage("1", "user", "Paint the boat."), geminiMessage("2", "gemini", "It is p")] },
        },
        geminiMessage("2", "gemini", "It is painted."),
        geminiMessage("3", "user", "And the pier."),
        geminiMessage("4", "gemini", "The pier is blue."),
      ].map((row) => JSON.stringify(row)),
    ),
    both,
  ],
};

it.each(Object.entries(forms))("the brief of a transcript with %s", async (_form, [content, has, lacks = [], name]) => {
  const home = aCliHome();
  const path = join(home.folder, name ?? "old.jsonl");
  writeFileSync(path, content);
  const { code, out, err } = await home.shim(`resume --print --from-transcript ${path}`);
  expect(code, err).toBe(0);
  const isIn = (text: string): boolean => out.includes(text);
  expect({ missing: has.filter((text) => !isIn(text)), wrong: lacks.filter(isIn) }).toEqual({ missing: [], wrong: [] });
});

it("a database of OpenCode 2 is read where it has one session", async () => {
  const home = aCliHome();
  const path = join(home.folder, "opencode.db");
  const db = new Database(path);
  db.exec("CREATE TABLE session_v2 (id text, directory text, parent_id text, time_updated integer)");
  db.exec("CREATE TABLE session_message (id text, session_id text, type text, seq integer, data text)");
  db.exec("INSERT INTO session_v2 VALUES ('ses_1', '/p', NULL, 1)");
  for (const [seq, { id, type, ...data }] of openCode2.entries())
    db.prepare("INSERT INTO session_message VALUES (?, 'ses_1', ?, ?, ?)").run(id, type, seq, JSON.stringify(data));
  db.close();
  expect((await home.shim(`resume --print --from-transcript ${path}`)).out).toContain("1 of 1 prompts quoted");
});

const compressed: Break = (path) => {
  writeFileSync(`${path}.zst`, zstdCompressSync(readFileSync(path)));
  rmSync(path);
};
const unlinked = edit((rows) => {
  const message = { role: "user", content: "the second is plum" };
  const links = { uuid: "0".repeat(36), parentUuid: "f".repeat(36), timestamp: "2026-11-25T10:05:00.000Z" };
  return [...rows, JSON.stringify({ ...(JSON.parse(rows[0] ?? "") as object), ...links, message })];
});

it.each<[string, string, Break, reason: string | null, offers: readonly string[]]>([
  ["a rollout that Codex has compressed", "codex", compressed, null, ["brief"]],
  ["a row whose parent was never written", "claude-code", unlinked, "cut_off", ["copy", "brief"]],
  ["refusals with an overload among them", "claude-code", refuse(400, 529, 400), "poisoned", ["copy", "brief"]],
  ["one refusal", "claude-code", refuse(400), "refused", ["brief", "copy"]],
])("the rescue of a session with %s", async (_form, client, breaks, reason, offers) => {
  const home = aCliHome();
  const made = invented(client, home.project);
  const path = writeSession(home.folder, made);
  known(home, made);
  breaks(path, made);
  const before = filesOf(home);
  const diagnosis = await home.json(`rescue ${made.id}`);
  expect(diagnosis).toMatchObject({ reason, offers: offers.map((kind) => ({ kind })) });
  expect(filesOf(home)).toEqual(before);
});

it("a session that SHIM has not recorded is found in its client's folder and rescued", async () => {
  const home = aCliHome();
  const made = invented("claude-code", home.project);
  refuse(400, 400)(writeSession(home.folder, made), made);
  expect(await home.json(`rescue ${made.id}`)).toMatchObject({ session: made.id, reason: "poisoned" });
});

const event = JSON.stringify({ session_id: "s1", cwd: "/p", prompt: "Paint the boat." });

it("a hook's input with a byte order mark is read; of one that is cut all complete fields are; what is wrong is logged without its content", () => {
  const unfit = "input is not what Claude Code sends: session_id";
  for (const [input, prompts, why] of [
    [`\u{FEFF}${event}`, 1, null],
    [event.slice(0, -2), 1, "input ends in the middle of its JSON object"],
    ["", 0, "input is empty"],
    ["secret", 0, "input is not JSON"],
    ["[1]", 0, "input is not a JSON object"],
    ["{}", 0, `${unfit} is missing or is not text`],
    ['{"session_id":["secret"]}', 0, `${unfit} is missing or is not text`],
    ['{"session_id":""}', 0, `${unfit} is empty`],
    [`{"session_id":"${"secret".repeat(40)}"}`, 0, `${unfit} has more than 200 characters`],
  ] as const) {
    const runtime = tempRuntime();
    answerHook(runtime, "UserPromptSubmit", () => input, 1);
    const kept = runtime.store.read((sql) => sql.all("SELECT 1 FROM journal WHERE kind = 'prompt'"), []);
    expect([input, kept.length]).toEqual([input, prompts]);
    const logged = runtime.logged.join("\n");
    if (why !== null) expect(logged).toContain(why);
    expect(logged).not.toContain("secret");
  }
});

it("a line of MCP behind a byte order mark is a message; one that is too long names its request", async () => {
  const stream = new PassThrough();
  const found: unknown[] = [];
  eachLine(stream, { onLine: (line) => found.push(line), onLongLine: ({ id }) => found.push({ tooLong: id }) });
  const long = `{"jsonrpc":"2.0","id":5,"method":"x","params":"${"x".repeat(maxLineBytes)}"}\n`;
  stream.write(`\u{FEFF}{"id":1}\n${long}{"id":6}\n`);
  await settled();
  expect(found).toEqual(['{"id":1}', { tooLong: 5 }, '{"id":6}']);
});
