import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { constants, zstdCompressSync } from "node:zlib";
import Database from "better-sqlite3";
import { expect, it } from "vitest";
import { codexHead, codexRow } from "#harness/clients/invented-transcripts.ts";
import { clientsWithRows, writtenRows } from "#harness/clients/invented-sessions.ts";
import { detailsOf } from "#src/clients/details.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { aCliHome, failed, holding } from "#harness/machine/cli-home.ts";
import { T0 } from "#harness/machine/git-project.ts";

/** Forms of inputs that users of the clients have reported, each with what a user must get. */

const turns = [
  { prompt: "Paint the boat.", answer: "It is painted." },
  { prompt: "And the pier.", answer: "The pier is blue." },
];
const claude = writtenRows("claude-code", turns);
const [first = "", second = "", third = "", fourth = ""] = claude;

const lines = (...rows: readonly string[]): string => rows.map((line) => `${line}\n`).join("");

/** The rows of a transcript of Claude Code with other times. */
function timed(change: (time: number) => unknown): string {
  const ofRow = (key: string, value: unknown): unknown =>
    key === "timestamp" ? change(Date.parse(value as string)) : value;
  return jsonLines(...claude.map((row) => JSON.parse(row, ofRow) as object));
}

/** The same with other fields. */
function changed(fields: object): string {
  return jsonLines(...claude.map((row) => Object.assign(JSON.parse(row) as object, fields)));
}

const userWords = (content: unknown): object => ({ role: "user", content });

/** The first answer, as a call that has not ended. */
function withCall(name: string): object {
  const content = [{ type: "tool_use", id: "t1", name, input: {} }];
  return JSON.parse(second.replace('"end_turn"', "null"), (key, value: unknown) =>
    key === "content" ? content : value,
  ) as object;
}

/** As Claude Code 2.1.29 begins the file of a session that carries out a plan. */
const ending = [
  {
    ...JSON.parse(first),
    uuid: "e",
    parentUuid: "lost",
    toolUseResult: "User rejected tool use",
    message: userWords([]),
  },
  {
    ...JSON.parse(first),
    uuid: "f",
    parentUuid: "e",
    message: userWords("[Request interrupted by user for tool use]"),
  },
];

const all = ["Paint the boat.", "It is painted.", "And the pier.", "The pier is blue."];
const both = [...all, "2 of 2 prompts quoted"];
const whole = ["the turn was over, and the chat waited for the user", "the end of the conversation is there"];
const missing = "could not be read or is missing";
/** With a byte that is no UTF-8 before the words. */
const noText = (text: string, words: string): Buffer => {
  const at = Buffer.from(text).indexOf(words);
  return Buffer.concat([Buffer.from(text).subarray(0, at), Buffer.from([0xff]), Buffer.from(text).subarray(at)]);
};

const session = "019f0000-0000-7000-8000-000000000001";
const rolloutName = `rollout-2026-11-20T10-00-00-${session}.jsonl`;
const head = JSON.stringify(codexHead("0.169.0"));
const rollout = [
  codexRow(1, "turn_context", { cwd: "/p", model: "gpt" }),
  codexRow(1, "event_msg/user_message", { message: "Mend the hull." }),
  codexRow(2, "event_msg/agent_message", { message: "The hull is mended." }),
  codexRow(3, "event_msg/task_complete", { last_agent_message: "The hull is mended." }),
].map((row) => JSON.stringify(row));
const result = codexRow(1, "response_item", { type: "function_call_output", call_id: "c1", output: "7 boats" });
const noise = Array.from({ length: 500 }, (_, n) => JSON.stringify(codexRow(1, "event_msg/noise", { n })));
const hull = ["Mend the hull.", "The hull is mended.", `shim-recovered-session-${session.slice(0, 8)}`];

const uuidOf = (row: string): string => (JSON.parse(row) as { uuid: string }).uuid;
const thirdAgain = third.replace("And the pier.", "And the sail.").replace(uuidOf(third), "of-the-other-chat");

function geminiMessage(id: string, text: string, isUsers = false): object {
  const said = isUsers ? { type: "user", content: [{ text }] } : { type: "gemini", content: text };
  return { id, timestamp: "2023-11-13T10:00:00.000Z", ...said };
}

const openCode2 = [
  { id: "msg_1", type: "user", time: { created: 1_699_000_000_000 }, text: "Paint the boat." },
  { id: "msg_2", type: "synthetic", time: { created: 1_699_000_000_000 }, text: "A reminder of the client." },
  {
    id: "msg_3",
    type: "assistant",
    time: { created: 1_699_000_001_000, completed: 1_699_000_002_000 },
    finish: "stop",
    content: [
      { type: "tool", id: "call_1", name: "bash", state: { status: "completed", input: { command: "ls" } } },
      { type: "text", text: "It is painted." },
    ],
  },
];

/** What the brief has, and what it has not. */
type Form = readonly [content: string | Uint8Array, has: readonly string[], lacks?: readonly string[], name?: string];

const jsonLines = (...all: readonly object[]): string => lines(...all.map((row) => JSON.stringify(row)));
const zst = `${rolloutName}.zst`;
const packed = zstdCompressSync(lines(head, ...rollout));
const frames = Buffer.concat([head, ...rollout].map((row) => zstdCompressSync(lines(row))));
const withRubbish = Buffer.concat([packed, Buffer.from("rubbish")]);
const checked = zstdCompressSync(lines(head, ...rollout), { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
const cutHull = [...hull.slice(0, 2), "the end of the conversation could not be read"];
const manyRows = Array.from({ length: 40_000 }, (_, n) => codexRow(4 + n, "event_msg/noise", { n: n * n }));
const longRollout = zstdCompressSync(lines(head, ...rollout) + jsonLines(...manyRows));
const answerOfTheOther = fourth.replace(uuidOf(fourth), "w").replace(uuidOf(third), "of-the-other-chat");
const summaries = Array.from({ length: 100 }, (_, n) => ({ type: "summary", summary: `${n}` }));
const ofOrigin = (row: string): string => row.replace(/"sessionId":"[^"]+"/, '"sessionId":"of-the-origin"');
const copies = [first, second].map((row) => row.replace(uuidOf(first), "x1").replace(uuidOf(second), "x2"));

const forms: Readonly<Record<string, Form>> = {
  ...Object.fromEntries(
    clientsWithRows.map((client): [string, Form] => [
      `nothing wrong, of ${client}`,
      [writtenRows(client, turns).join("\n"), [...both, ...whole], [missing]],
    ]),
  ),
  "UTF-16 of the other order": [Buffer.from(`\u{FEFF}${lines(...claude)}`, "utf16le").swap16(), both],
  "a cut row with the whole row behind it": [
    lines(first, second, third.slice(0, 40) + third, fourth),
    [...all, ...whole.slice(1)],
  ],
  "a last row that is cut": [
    lines(...claude) + third.slice(0, 40),
    ["where its transcript cannot be read on: the turn was over", "2 of at least 2 prompts quoted"],
    whole.slice(1),
  ],
  "zeros behind a row": [lines(first, second + "\0".repeat(64), third, fourth), all],
  "a rollout that Codex has compressed": [packed, hull, [], zst],
  "a compressed rollout of several frames": [frames, hull, [missing], zst],
  "a compressed rollout with rubbish behind it": [withRubbish, cutHull, whole.slice(1), zst],
  "a compressed rollout that is cut": [
    longRollout.subarray(0, Math.floor(0.7 * longRollout.length)),
    ["Mend the hull.", "1 of at least 1 prompts quoted; the end of the conversation could not be read"],
    [],
    zst,
  ],
  "a compressed rollout that is cut behind its last row": [checked.subarray(0, -2), cutHull, whole.slice(1), zst],
  "a rollout without its first row": [lines(...rollout), [...hull, missing, "project: /p;"], [], rolloutName],
  "a rollout whose first row is cut": [lines(head.slice(0, 50), ...rollout), [...hull, missing], [], rolloutName],
  "a prompt behind five hundred other rows": [lines(head, ...noise, ...rollout), hull, [missing], rolloutName],
  "texts that were pasted into Codex's app": [
    lines(head) +
      jsonLines(
        codexRow(1, "event_msg/user_message", {
          message:
            "# Files mentioned by the user:\n\n## Plan: boats: Paint the hull, then the mast: /tmp/p/pasted-text.txt\n\n## src/oar.ts: /p/src/oar.ts\n\n## My request for Codex:\n",
        }),
      ),
    ["Plan: boats: Paint the hull, then the mast", "[attached: /tmp/p/pasted-text.txt, src/oar.ts]"],
    [],
    rolloutName,
  ],
  "a document of OpenCode 2": [
    JSON.stringify({ info: { id: "ses_1", directory: "/p" }, messages: openCode2 }),
    ["Paint the boat.", "It is painted.", "1 of 1 prompts quoted", "1 tool call,"],
    ["reminder"],
    "export.json",
  ],
  "a document with bytes that are no UTF-8 in an answer": [
    noText(JSON.stringify({ info: { id: "ses_1", directory: "/p" }, messages: openCode2 }), "It is painted."),
    ["Paint the boat.", "1 of at least 1 prompts quoted", `1 part of its transcript ${missing}`],
    ["the end of the conversation is there"],
    "export.json",
  ],
  "a document with bytes that are no UTF-8 beside its messages": [
    noText(JSON.stringify({ info: { id: "ses_1", directory: "/p", title: "Boats" }, messages: openCode2 }), "Boats"),
    ["Paint the boat.", "It is painted.", missing],
    [],
    "export.json",
  ],
  "a document of Gemini CLI with bytes that are no UTF-8": [
    noText(
      JSON.stringify({
        sessionId: "g",
        projectHash: "p",
        messages: [geminiMessage("1", "Paint the boat.", true), geminiMessage("2", "It is painted.")],
      }),
      "the boat.",
    ),
    ["It is painted.", "of at least 1 prompts quoted", missing],
    [],
    "old.json",
  ],
  "a document that has the sign of such bytes by itself": [
    JSON.stringify({ info: { id: "ses_1", directory: "/p" }, messages: openCode2 }).replace(
      "painted.",
      "painted \u{FFFD}.",
    ),
    ["Paint the boat.", "1 of 1 prompts quoted"],
    [missing],
    "export.json",
  ],
  "a document that is cut within a prompt": [
    JSON.stringify({ info: { id: "ses_1" }, messages: [...openCode2, { ...openCode2[0], text: "Sink it" }] }).slice(
      0,
      -6,
    ),
    ["It is painted.", "1 of at least 1 prompts quoted", missing],
    ["Sink"],
    "export.json",
  ],
  "two chats that write one session": [
    lines(first, second, third, thirdAgain, fourth, answerOfTheOther),
    ["And the pier.", "And the sail.", "3 of 3 prompts quoted", "as when two chats write one session"],
  ],
  "a prompt that the user edited before its answer": [
    lines(first, second, third, thirdAgain, answerOfTheOther),
    ["And the sail.", "2 of 2 prompts quoted"],
    ["And the pier.", "two chats write one session"],
  ],
  "rows of progress and of a sub-agent whose parent was never written": [
    lines(...claude) +
      jsonLines(
        { type: "progress", sessionId: "s", uuid: "p", parentUuid: "lost" },
        { type: "user", isSidechain: true, sessionId: "s", uuid: "q", parentUuid: "lost" },
      ),
    both,
    [missing],
  ],
  "rows that a compaction has written again with new ids": [lines(first, second, ...copies, third, fourth), both],
  "rows that name no session": [
    changed({ sessionId: 5 }),
    both,
    [missing],
    "5f0e0e5e-0000-4000-8000-0000000000d2.jsonl",
  ],
  "an id that a command would read as an option": [changed({ sessionId: "--help" }), ["<shim-recovered-session-id_"]],
  "a folder that no system has": [changed({ cwd: "/tmp/a\0b" }), [...both, "project: none"]],
  "a folder that is no whole path": [changed({ cwd: "src/app" }), [...both, "project: none"]],
  "a secret as the name of a tool": [
    lines(first) + jsonLines(withCall(`ghp_${"0aB1cD2eF3".repeat(4).slice(4)}`)),
    ["[redacted"],
    ["ghp_"],
  ],
  "a hundred rows before the first message": [jsonLines(...summaries) + lines(...claude), both],
  "the rejected plan of the session before": [jsonLines(...ending) + lines(...claude), both, [missing]],
  "a rejected call in the midst of a session": [
    jsonLines(...ending, { ...JSON.parse(fourth), uuid: "g", parentUuid: "f" }) + lines(...claude),
    ["2 of at least 2 prompts quoted", missing],
  ],
  "a rejected call, and a compaction behind it": [
    jsonLines(
      ...ending.slice(0, 1),
      {
        type: "system",
        subtype: "compact_boundary",
        sessionId: "s",
        uuid: "b",
        parentUuid: null,
        logicalParentUuid: "e",
      },
      { ...JSON.parse(first), parentUuid: "b" },
    ) + lines(...claude.slice(1)),
    ["2 of at least 2 prompts quoted", missing],
  ],
  "what was noted at the end of the session before": [
    jsonLines(
      { type: "system", subtype: "stop_hook_summary", sessionId: "s", uuid: "e", parentUuid: "lost" },
      { type: "system", subtype: "turn_duration", sessionId: "s", uuid: "e2", parentUuid: "e" },
      { ...JSON.parse(first), parentUuid: "e2" },
    ) + lines(...claude.slice(1)),
    [...both, "2 of 2 prompts quoted"],
    [missing],
  ],
  "a prompt behind what was noted, and one that names a row that is elsewhere": [
    jsonLines(
      { type: "system", subtype: "stop_hook_summary", sessionId: "s", uuid: "e", parentUuid: "lost" },
      {
        ...JSON.parse(first),
        parentUuid: "e",
      },
    ) + lines(...claude.slice(1, 2), third.replace(uuidOf(second), "gone"), fourth),
    ["2 of at least 2 prompts quoted", missing],
  ],
  "a row whose parent was never written": [
    lines(first, second, third.replace(uuidOf(second), "lost"), fourth),
    ["2 of at least 2 prompts quoted", missing],
  ],
  "a result of Codex whose call is lost": [
    lines(head, ...rollout.slice(0, 2), JSON.stringify(result), ...rollout.slice(2)),
    ["1 of at least 1 prompts quoted", missing],
  ],
  "an answer that was never written, and a hook's progress behind it": [
    lines(first, second) +
      jsonLines({ type: "progress", sessionId: "s", uuid: "p", parentUuid: "lost" }) +
      lines(third.replace(uuidOf(second), "p"), fourth),
    ["2 of at least 2 prompts quoted", missing],
  ],
  "times that are numbers": [timed((time) => time), [...both, "24 h"]],
  "times that are numbers of seconds": [timed((time) => time / 1_000), [...both, "24 h"]],
  "times before all clocks": [timed((time) => -time), [...both, ...whole, "at an unknown time"]],
  "times behind all clocks": [timed((time) => time * 1e90), [...both, ...whole, "at an unknown time"]],
  "times to come": [timed((time) => new Date(time + 2 * 86_400_000).toISOString()), ["at an unknown time"], [" s ago"]],
  "no times, and words that are said again": [
    timed(() => undefined) + timed(() => undefined).replaceAll("00000000-", "again-"),
    ["at an unknown time", "4 of 4 prompts quoted"],
    [" s ago"],
  ],
  "a first row of the session that this one was forked from": [
    lines(ofOrigin(first), ...claude.slice(1)),
    ["<shim-recovered-session-5f0e0e5e>"],
    ["session-of-the-origin"],
  ],
  "rows of another session for the most part, in a file that its own names": [
    lines(...claude.slice(0, 3).map(ofOrigin), fourth),
    ["<shim-recovered-session-5f0e0e5e>"],
    ["session-of-the-origin"],
    "5f0e0e5e-0000-4000-8000-0000000000d1.jsonl",
  ],
  "messages of Gemini CLI in batches and alone, some of which the user took back": [
    jsonLines(
      { sessionId: "g", projectHash: "p", kind: "main" },
      { $set: { messages: [geminiMessage("1", "Paint the boat.", true), geminiMessage("2", "It is p")] } },
      geminiMessage("2", "It is painted."),
      geminiMessage("0", "Paint the oars.", true),
      { $rewindTo: "0" },
      geminiMessage("3", "And the pier.", true),
      geminiMessage("4", "The pier is blue."),
    ),
    both,
    ["Paint the oars."],
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

const unsaid = jsonLines({ type: "user", sessionId: "s", message: { content: [] } });

it.each([
  ["", "it is empty"],
  ["\0\0", "it holds nothing but zeros"],
  [`${unsaid}${first.slice(0, 40)}`, "nothing of what was said in it can be read"],
  [first.slice(0, 40), "no row of a client that SHIM knows can be read in it"],
])("a file that holds %j stores nothing, and says why", async (content, why) => {
  const home = aCliHome();
  writeFileSync(join(home.folder, "old.jsonl"), content);
  const refused = failed(1, `${why}. Nothing was stored.`);
  expect(await home.shim(`resume --from-transcript ${join(home.folder, "old.jsonl")}`)).toMatchObject(refused);
});

it("beside a compressed rollout the plain one is read, with which its client goes on", async () => {
  const home = aCliHome();
  const path = join(home.folder, rolloutName);
  writeFileSync(`${path}.zst`, zstdCompressSync(lines(head)));
  writeFileSync(path, lines(head, ...rollout));
  expect((await home.shim(`resume --print --from-transcript ${path}.zst`)).out).toContain("The hull is mended.");
});

/** A database of OpenCode, and the brief of it. */
function aDatabase() {
  const home = aCliHome();
  const path = join(home.folder, "opencode.db");
  return { home, path, db: new Database(path), read: () => home.shim(`resume --print --from-transcript ${path}`) };
}

it("a database of OpenCode 1 is read with its parts in their order, and of a damaged one it is said that it is missing", async () => {
  const { path, db, read } = aDatabase();
  db.exec(`CREATE TABLE session (id text, directory text, parent_id text, time_updated integer);
    CREATE TABLE message (id text, session_id text, time_created integer, data text);
    CREATE TABLE part (id text, message_id text, session_id text, data text);
    INSERT INTO session VALUES ('ses_1', '/p', NULL, 1)`);
  for (const [at, role, ...parts] of [
    [1, "user", '{"type":"text","text":"Paint the boat."}', '{"type":"text","text":"Then the pier."}'],
    [2, "assistant", '{"type":"text","text":"It is painted."}'],
  ] as const) {
    const info = JSON.stringify({ role, time: { created: T0 + at } });
    db.prepare("INSERT INTO message VALUES (?, 'ses_1', ?, ?)").run(`m${at}`, at, info);
    for (const [n, part] of parts.entries())
      db.prepare("INSERT INTO part VALUES (?, ?, 'ses_1', ?)").run(`p${n}`, `m${at}`, part);
  }
  const sound = (await read()).out;
  expect(sound).toMatch(/Paint the boat\.\s+Then the pier\.[^]*It is painted\./);
  expect(sound).not.toContain(missing);
  // Sub-agents that have begun each other in a circle are listed all the same.
  db.exec(`UPDATE part SET data = '{' WHERE message_id = 'm2';
    INSERT INTO session VALUES ('a', '/p', 'c', 1), ('b', '/p', 'a', 1), ('c', '/p', 'b', 1)`);
  db.close();
  expect(detailsOf("opencode")?.database?.list(path, openBetterSqlite3)).toMatchObject({
    value: { sessions: [{ id: "ses_1" }, { id: "a", subagents: 2 }] },
  });
  expect((await read()).out).toContain(missing);
});

it("a session of OpenCode that SHIM has not recorded is found by its id in OpenCode's database, where no OpenCode is installed", async () => {
  const home = aCliHome();
  const folder = join(home.folder, ".local", "share", "opencode");
  mkdirSync(folder, { recursive: true });
  const db = new Database(join(folder, "opencode.db"));
  db.exec("CREATE TABLE session_v2 (id text, directory text, parent_id text, time_updated integer)");
  db.exec("CREATE TABLE session_message (id text, session_id text, type text, seq integer, data text)");
  for (const name of ["ses_boat0001", "ses_boat0002"]) {
    db.prepare("INSERT INTO session_v2 VALUES (?, '/p', NULL, 1)").run(name);
    for (const [seq, { id, type, ...data }] of openCode2.entries())
      db.prepare("INSERT INTO session_message VALUES (?, ?, ?, ?, ?)").run(id, name, type, seq, JSON.stringify(data));
  }
  db.close();
  expect(await home.shim("resume ses_boat --print")).toMatchObject({ code: 2, err: holding("ses_boat0001") });
  expect((await home.shim("resume ses_boat0002 --print")).out).toContain("1 of 1 prompts quoted");
  expect(await home.json("resume ses_boat0002")).toMatchObject({ session: "ses_boat0002", client: "opencode" });
});

it("a database of OpenCode 2 is read where it has one session, and else names its sessions, and how one is resumed", async () => {
  const { home, path, db, read } = aDatabase();
  db.exec("CREATE TABLE session_v2 (id text, directory text, parent_id text, time_updated integer)");
  db.exec("CREATE TABLE session_message (id text, session_id text, type text, seq integer, data text)");
  const session = (id: string): void => void db.prepare("INSERT INTO session_v2 VALUES (?, '/p', NULL, 1)").run(id);
  session("ses_1");
  for (const [seq, { id, type, ...data }] of openCode2.entries())
    db.prepare("INSERT INTO session_message VALUES (?, 'ses_1', ?, ?, ?)").run(id, type, seq, JSON.stringify(data));
  expect((await read()).out).toContain("1 of 1 prompts quoted");
  session("ses_2");
  db.close();
  const listed = detailsOf("opencode")?.database?.list(path, openBetterSqlite3);
  expect(listed).toMatchObject({ value: { sessions: [{ prompts: 1, damages: [] }, {}] } });
  const several = await read();
  expect(several).toMatchObject(failed(1, "a database of OpenCode with 2 sessions"));
  const [, command = ""] = /`shim (resume ses_1 --from-transcript [^`]+)`/.exec(several.err) ?? [];
  expect((await home.shim(`${command} --print`)).out).toContain("1 of 1 prompts quoted");
  writeFileSync(path, Buffer.from("SQLite format 3\0 and no more"));
  expect((await read()).code).toBe(1);
});
