import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as zlib from "node:zlib";
import Database from "better-sqlite3";
import { expect, it } from "vitest";
import { codexHead, codexRow } from "#harness/clients/invented-transcripts.ts";
import { clientsWithRows, writtenRows } from "#harness/clients/invented-sessions.ts";
import { aSeededHome, failed } from "#harness/machine/cli-home.ts";
import { anAssistantLine, aTranscript, aUserLine, T0 } from "#harness/machine/transcripts.ts";

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
