import * as journal from "#src/machine/sessions/journal.ts";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { catchUp } from "#src/machine/sessions/transcripts/record-transcript.ts";
import { aChat, aChatAtWork, Claude, journalKinds, stateOf, storedSession } from "#harness/machine/claude.ts";
import { leaked, tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine, aToolResultLine, aUserLine, aToolUse } from "#harness/machine/transcripts.ts";
import { anApiErrorLine, aTranscript, T0 } from "#harness/machine/transcripts.ts";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync, statSync, utimesSync } from "node:fs";
import { dirname, join } from "node:path";
import { finishEvent } from "#src/local-mcp/events/after-answer.ts";
import { clientsWithRows, openCodeExport, writtenRows, type Turn } from "#harness/clients/invented-sessions.ts";
import { importTranscript } from "#src/machine/sessions/transcripts/import-transcript.ts";
import { brief } from "#src/machine/recovery/brief/brief.ts";
import { restoreById } from "#src/machine/recovery/incomplete/restoration.ts";
import * as invented from "#harness/clients/invented-transcripts.ts";
import { pause } from "#src/store/pause.ts";
import { given } from "#harness/coordinator/peers.ts";
import { aSeededHome, failed, type CliHome } from "#harness/machine/cli-home.ts";

function timeOf(runtime: TempRuntime): { readonly timestamp: string } {
  return { timestamp: new Date(runtime.now()).toISOString() };
}

function promptsOf(runtime: TempRuntime, { session }: Claude): string[] | undefined {
  return stateOf(runtime, session)?.prompts.map(({ text }) => text);
}

function count(runtime: TempRuntime, { session }: Claude, kind: string): number {
  return journalKinds(runtime, session).filter((one) => one === kind).length;
}

it("a prompt that the model got in its turn is taken from the transcript, and once where its event came too", () => {
  const { runtime, claude } = aChatAtWork("rename it");
  const transcribe = (prompt: string): void => {
    const attachment = { type: "queued_command", prompt, commandMode: "prompt" };
    claude.transcribe(JSON.stringify({ type: "attachment", attachment, uuid: prompt, ...timeOf(runtime) }));
  };
  runtime.wait(60_000);
  transcribe("also the tests");
  claude.use("Bash", { command: "ls" });
  claude.prompt("and the docs");
  transcribe("and the docs");
  claude.use("Bash", { command: "ls docs" });
  transcribe("then commit");
  claude.prompt("then commit");
  claude.use("Bash", { command: "git status" });
  expect(promptsOf(runtime, claude)).toEqual(["rename it", "also the tests", "and the docs", "then commit"]);
});

it("the prompts of a chat that began before SHIM was there are taken from the transcript, once", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: dirname(runtime.paths.home) });
  for (const text of ["rename it", "go on"]) claude.transcribe(aUserLine(text, { uuid: text, ...timeOf(runtime) }));
  runtime.wait(60_000);
  claude.start("resume");
  claude.prompt("go on");
  claude.transcribe(aUserLine("go on", { uuid: "again", ...timeOf(runtime) }));
  claude.use("Bash", { command: "ls" });
  expect(promptsOf(runtime, claude)).toEqual(["rename it", "go on", "go on"]);
});

it("the brief of a chat that began before SHIM was there says so, and what it does not have of a long transcript", () => {
  const { runtime, claude } = aChat();
  for (const prompt of ["rename it", `read ${"this ".repeat(250_000)}`, "go on"])
    claude.transcribe(aUserLine(prompt, { uuid: prompt.slice(0, 9), ...timeOf(runtime) }));
  runtime.wait(60_000);
  claude.start("resume");
  claude.turn("and the docs");
  claude.kill();
  const from = restoreById(runtime, claude.session);
  const text = from && brief(from, runtime.now(), "brief");
  expect(text).toContain("first seen by SHIM 0 s ago; 1 tool call, 0 failed");
  expect(text).toContain("1 part of its transcript could not be read or is missing (at its beginning)");
  expect(text).toContain("2 of at least 2 prompts quoted");
});

it("the words of a refusal are a prompt once, before the answer to them, and also where they are the chat's last row", () => {
  const { runtime, claude } = aChatAtWork("rename it");
  const refusal =
    "The user doesn't want to proceed with this tool use. The tool use was rejected. To tell you how to proceed, the user said:\n";
  const refuse = (words: string): void => {
    const id = claude.begin("Edit", { file_path: "/nonexistent/project/a.ts" });
    runtime.wait(5_000);
    claude.transcribe(aToolResultLine(id, `${refusal}${words}`, true, timeOf(runtime)));
  };
  refuse("not this file");
  runtime.wait(10);
  claude.say("I leave it as it is.");
  claude.stop("I leave it as it is.");
  claude.prompt("go on");
  refuse("only the tests");
  runtime.store.write((sql) => catchUp(sql, runtime.now(), claude.session));
  expect(promptsOf(runtime, claude)).toEqual(["rename it", "not this file", "go on", "only the tests"]);
  expect(["assistant", "turn_end"].map((kind) => count(runtime, claude, kind))).toEqual([1, 1]);
});

it("an interruption is taken from the transcript with the next prompt, and by the reading after a death", () => {
  const { runtime, claude } = aChatAtWork("rename it");
  const stop = (): number => {
    runtime.wait(5_000);
    claude.transcribe(aUserLine("[Request interrupted by user for tool use]", timeOf(runtime)));
    return runtime.now();
  };
  claude.begin("Bash", { command: "make" });
  stop();
  runtime.wait(5_000);
  claude.prompt("only the tests");
  // The prompt has begun another turn.
  expect(stateOf(runtime, claude.session)).toMatchObject({ life: { calls: [], turn: { over: null } } });
  expect(count(runtime, claude, "interrupted")).toBe(1);
  claude.begin("Bash", { command: "make test" });
  const second = stop();
  runtime.store.write((sql) => catchUp(sql, runtime.now(), claude.session));
  expect(stateOf(runtime, claude.session)).toMatchObject({
    life: { calls: [], turn: { over: { at: second, how: "interrupted" } } },
  });
  expect(count(runtime, claude, "interrupted")).toBe(2);
});

const written = { timestamp: "2030-01-01T00:00:00.000Z", isSidechain: true, agentId: "a1" };

/** A chat with a sub-agent in the background. */
function aChatWithSubagent() {
  const { runtime, claude } = aChatAtWork();
  writeFileSync(claude.transcript, "");
  const file = join(dirname(claude.transcript), claude.session, "subagents", "agent-a1.jsonl");
  mkdirSync(dirname(file), { recursive: true });
  const calls = (...ids: string[]): void => {
    for (const id of ids) {
      const use = aToolUse(id, "Write", { file_path: `${claude.cwd}/${id}.ts` });
      const lines = [anAssistantLine({ content: [use], stop_reason: "tool_use" }, written)];
      appendFileSync(file, aTranscript(...lines, aToolResultLine(id, "ok", false, written)));
    }
  };
  const names = (): string[] =>
    runtime.store
      .read((sql) => journal.list(sql, claude.session, 0), [])
      .flatMap(({ entry }) => (entry.kind === "tool_end" ? [`${entry.id}: ${entry.name}`] : []));
  return { runtime, claude, calls, names };
}

it("a sub-agent's calls without events are read with the next prompt, once, and count in the message", () => {
  const { runtime, claude, calls, names } = aChatWithSubagent();
  const fields = { tool_name: "Write", tool_use_id: "one", tool_input: {}, agent_id: "a1", agent_type: "general" };
  for (const event of ["PreToolUse", "PostToolUse"] as const) claude.tell(event, fields);
  calls("one", "two", "three");
  expect(claude.prompt("go on").systemMessage).toContain("2 tool calls did not reach the MCP process");
  claude.tell("PostToolUse", { ...fields, tool_use_id: "two" });
  expect(claude.prompt("and now?").systemMessage).toBeUndefined();
  expect(names()).toEqual(["one", "two", "three"].map((id) => `${id}: Write (subagent)`));
  expect(storedSession(runtime, claude.session).toolCalls).toBe(3);
  expect(stateOf(runtime, claude.session)?.files).toContainEqual(expect.objectContaining({ action: "edited" }));
});

it.each([true, false])("after a death a sub-agent's calls are read; new words of the chat: %s", (isNew) => {
  const { runtime, claude, calls, names } = aChatWithSubagent();
  calls("one");
  if (isNew) claude.transcribe(anAssistantLine({}, { timestamp: written.timestamp }));
  runtime.store.write((sql) => catchUp(sql, runtime.now(), claude.session));
  expect(names()).toEqual(["one: Write (subagent)"]);
});

it("a transcript that has grown by much is read in steps, between which others have their turns, and nothing is left out", async () => {
  const { runtime, claude } = aChatAtWork();
  claude.prompt("begin");
  const said = Array.from({ length: 90 }, (_, n) => `answer ${n} ${"word ".repeat(2_000)}`);
  claude.transcribe(...said.map((text) => anAssistantLine({ content: [{ type: "text", text }] })));
  const turns = { count: 0, isOver: false };
  const take = (): void => {
    turns.count += 1;
    if (!turns.isOver) setImmediate(take);
  };
  setImmediate(take);
  const { session: sessionId } = claude;
  await finishEvent({ runtime, event: "Stop", sessionId, trigger: null, isTranscriptBehind: true });
  turns.isOver = true;
  expect(turns.count).toBeGreaterThan(10);
  const { transcriptOffset } = storedSession(runtime, claude.session);
  expect(statSync(claude.transcript).size - transcriptOffset).toBeLessThan(65_537);
  const texts = runtime.store
    .read((sql) => journal.list(sql, claude.session, 0), [])
    .flatMap(({ entry }) => (entry.kind === "assistant" ? [entry.text.split(" ")[1]] : []));
  expect(texts).toEqual(said.slice(0, texts.length).map((_, n) => String(n)));
  expect(texts.length).toBeGreaterThan(80);
});

/** What a brief says of an imported file, and how many prompts, where it calls its count complete; null: refused. */
async function shownOf(runtime: TempRuntime, bytes: Buffer, name = "old.jsonl") {
  const path = join(runtime.paths.home, "..", name);
  writeFileSync(path, bytes);
  const imported = await importTranscript(runtime, { path, folder: "/p" });
  if (!imported.ok) return null;
  const from = restoreById(runtime, imported.value.session);
  if (from === null) throw new Error("it was not stored");
  const text = brief(from, runtime.now(), "brief");
  const [, complete = null] = /\d+ of (\d+) prompts quoted/.exec(text) ?? [];
  const hasEnd = text.includes("the end of the conversation is there");
  return { text, complete: complete && Number(complete), hasEnd };
}

/** Words that stand in no other text. */
function turnsOf(count: number): Turn[] {
  return Array.from({ length: count }, (_, index) => ({
    prompt: `Paint boat number ${index} in colour ${index * 7}.`,
    answer: `Boat ${index} is painted.`,
  }));
}

/** Damages a file that has these rows; each way loses something, or nothing. */
type Damage = (rows: readonly string[], at: number, within: number) => Buffer;

const fileOf = (rows: readonly string[]): Buffer => Buffer.from(`${rows.join("\n")}\n`);

/** A point inside of a row, not at its ends. */
const inside = (row: string, within: number): number => 1 + Math.floor(within * (row.length - 2));

function withRow(rows: readonly string[], at: number, change: (row: string) => string): Buffer {
  return fileOf(rows.map((row, index) => (index === at ? change(row) : row)));
}

const losing: Readonly<Record<string, Damage>> = {
  "cut at the end": (rows, at, within) => {
    const last = rows[at] ?? "";
    return Buffer.from([...rows.slice(0, at), last.slice(0, inside(last, within))].join("\n"));
  },
  "cut at the beginning": (rows, at, within) => {
    const first = rows[at] ?? "";
    return fileOf([first.slice(inside(first, within)), ...rows.slice(at + 1)]);
  },
  "a cut row": (rows, at, within) => withRow(rows, at, (row) => row.slice(0, inside(row, within))),
  "a cut row before the next one": (rows, at, within) => {
    const cut = (rows[at] ?? "").slice(0, inside(rows[at] ?? "", within));
    return fileOf([...rows.slice(0, at), `${cut}${rows[at + 1] ?? ""}`, ...rows.slice(at + 2)]);
  },
  "zeros in a row": (rows, at, within) =>
    withRow(rows, at, (row) => {
      const from = inside(row, within);
      return `${row.slice(0, from)}${"\0".repeat(row.length - from)}`;
    }),
  "zeros for a row": (rows, at) => withRow(rows, at, (row) => "\0".repeat(row.length)),
  "bytes that are no text": (rows, at, within) => {
    const bytes = fileOf(rows);
    const start = Buffer.byteLength(rows.slice(0, at).join("\n")) + inside(rows[at] ?? "", within);
    return bytes.fill(0xff, start, Math.min(bytes.length, start + 3));
  },
};

const harmless: Readonly<Record<string, Damage>> = {
  "a byte order mark": (rows) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), fileOf(rows)]),
  "a byte order mark in a line": (rows, at) => withRow(rows, at, (row) => `\u{FEFF}${row}`),
  "lines of Windows": (rows) => Buffer.from(`${rows.join("\r\n")}\r\n`),
  "UTF-16": (rows) => Buffer.from(`\u{FEFF}${rows.join("\n")}\n`, "utf16le"),
  "two rows in one line": (rows, at) =>
    fileOf([...rows.slice(0, at), `${rows[at] ?? ""}${rows[at + 1] ?? ""}`, ...rows.slice(at + 2)]),
  "a row twice": (rows, at) => fileOf([...rows.slice(0, at + 1), ...rows.slice(at)]),
  "the file twice": (rows) => fileOf([...rows, ...rows]),
  "rows in another order": (rows, at) =>
    fileOf([...rows.slice(0, at), ...rows.slice(at, at + 2).toReversed(), ...rows.slice(at + 2)]),
  "empty lines": (rows, at) => fileOf([...rows.slice(0, at), "", "   ", ...rows.slice(at)]),
  "no line break at the end": (rows) => Buffer.from(rows.join("\n")),
};

const cases = fc.record({
  client: fc.constantFrom(...clientsWithRows),
  count: fc.integer({ min: 1, max: 6 }),
  row: fc.nat(),
  /** Share of the row. */
  within: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  lost: fc.constantFrom(...Object.keys(losing)),
  other: fc.constantFrom(...Object.keys(harmless)),
});

type Case = typeof cases extends fc.Arbitrary<infer One> ? One : never;

/** A brief may lack what is lost, and must not say that it has it. */
async function checkLoss(runtime: TempRuntime, { client, count, row, within, lost }: Case): Promise<void> {
  const turns = turnsOf(count);
  const rows = writtenRows(client, turns);
  const shown = await shownOf(runtime, losing[lost]?.(rows, row % rows.length, within) ?? Buffer.alloc(0));
  if (shown === null) return;
  const isThere = ({ prompt }: Turn): boolean => shown.text.includes(prompt);
  if (shown.complete !== null && !turns.every(isThere)) expect(shown).toMatchObject({ complete: null });
  if (!shown.text.includes(turns.at(-1)?.answer ?? "")) expect(shown).toMatchObject({ hasEnd: false });
  expect(shown.text).toContain("could not be read");
}

async function checkNoLoss(runtime: TempRuntime, { client, count, row, within, other }: Case): Promise<void> {
  const turns = turnsOf(count);
  const rows = writtenRows(client, turns);
  const shown = await shownOf(runtime, harmless[other]?.(rows, row % rows.length, within) ?? Buffer.alloc(0));
  expect(shown).toMatchObject({ complete: count });
  for (const { prompt } of turns) expect(shown?.text.split(prompt).length).toBe(2);
}

it.each(Object.entries({ "300 damages": [150, 150], "10,000 damages @night": [6_000, 4_000] } as const))(
  "no brief of a damaged transcript claims what it lacks, and what is whole is read whole: %s",
  async (_, [losses, others]) => {
    const runtime = tempRuntime();
    const lost = fc.asyncProperty(cases, (given) => checkLoss(runtime, given));
    await fc.assert(lost, { numRuns: losses });
    const kept = fc.asyncProperty(cases, (given) => checkNoLoss(runtime, given));
    await fc.assert(kept, { numRuns: others });
  },
  1_800_000,
);

it("a document that is cut, or has zeros behind it, is read as far as it stands", async () => {
  const runtime = tempRuntime();
  const turns = turnsOf(3);
  const whole = Buffer.from(JSON.stringify(openCodeExport(turns)));
  expect(await shownOf(runtime, whole, "export.json")).toMatchObject({ complete: 3, hasEnd: true });
  const padded = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), whole, Buffer.alloc(40)]);
  expect(await shownOf(runtime, padded)).toMatchObject({ complete: 3 });
  for (const share of [0.5, 0.7, 0.9]) {
    const cut = await shownOf(runtime, whole.subarray(0, Math.floor(share * whole.length)), "export.json");
    expect(cut).toMatchObject({ complete: null, hasEnd: false, text: expect.stringContaining("could not be read") });
    expect(cut?.text).toContain(turns[0]?.prompt);
  }
});

const session = "5f0e0e5e-0000-4000-8000-000000000001";

function after(seconds: number): { readonly timestamp: string } {
  return { timestamp: new Date(T0 + seconds * 1_000).toISOString() };
}

const edit = aToolUse("t2", "Edit", { file_path: "/home/ann/app/src/parser.ts" });
const lines = [
  aUserLine("Refactor the parser. Never touch the lexer.", after(1)),
  anAssistantLine({ id: "msg_1", content: [aToolUse("t1", "Bash", { command: "npm test" })] }, after(2)),
  aToolResultLine("t1", "exit code 1", true, after(3)),
  anAssistantLine({ id: "msg_2", content: [edit] }, after(4)),
  aToolResultLine("t2", "ok", false, after(5)),
  anAssistantLine({ id: "msg_3", content: [{ type: "text", text: "Next I will rename parseLine." }] }, after(6)),
  aUserLine("Good. Use the token ghp_0123456789abcdefghijABCDEFGHIJ012345 for the release.", after(7)),
  anApiErrorLine("You have reached your usage limit", after(8)),
];

const jsonLines = (...rows: readonly object[]): string => rows.map((row) => JSON.stringify(row)).join("\n");

function aHome(text: string) {
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

it("prompts that waited in the queue when the client died are said while the tool ran, and are counted", async () => {
  const waiting = join(import.meta.dirname, "../../../harness/clients/recorded/waiting-prompts.jsonl");
  const { home, command } = aHome(readFileSync(waiting, "utf8"));
  const { out } = await home.shim(`${command} --print`);
  const parts = [
    "in mid-turn, running Bash",
    "Also write the changelog.",
    "Then commit both.",
    "3 of 3 prompts quoted",
  ];
  for (const part of parts) expect(out).toContain(part);
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

it("what was said in a pause of all projects, or of its folder, is not imported later", async () => {
  for (const paused of [null, "/home/ann/app", "/home/ann"]) {
    const { home, path, command } = aHome(aTranscript(...lines));
    home.runtime.store.write((sql) => pause(sql, T0 + 6_500, T0 + 7_500, paused));
    expect((await home.shim(`${command} --print`)).out).toContain("Next I will rename parseLine.");
    expect(leaked(home.runtime, ["for the release", "Refactor the parser."])).toEqual(["Refactor the parser."]);
    writeFileSync(path, aTranscript(...lines.slice(6, 7)));
    expect(await home.shim(command)).toMatchObject(failed(1, "nothing was said in it outside of a pause"));
  }
});

it("a file that is no transcript, is empty, or is missing stores nothing, and says why", async () => {
  const { home, path, command } = aHome("hello\n{}\n");
  expect(await home.shim(command)).toMatchObject(failed(1, "no row of a client that SHIM knows can be read in it"));
  writeFileSync(path, jsonLines({ type: "user", sessionId: session, message: { content: [] } }));
  expect(await home.shim(command)).toMatchObject(failed(1, "nothing was said in it"));
  const [both, bare] = [`resume ${session} ${command.slice(7)}`, `resume ${session}`];
  expect(await home.codes("resume --from-transcript missing.jsonl", both, bare)).toEqual([3, 2, 3]);
});

/** The journal after the import of a file, in few words. */
async function imported(text: string) {
  const { home, path } = aHome(text);
  const { client, session: id } = given(await importTranscript(home.runtime, { path, folder: "/home/ann/app" }));
  const entries = home.runtime.store.read((sql) => journal.list(sql, id, 0), []).map(({ entry }) => entry);
  const words = entries.map((entry) => {
    if ("name" in entry) return `${entry.kind} ${entry.name}${"path" in entry ? ` ${entry.action} ${entry.path}` : ""}`;
    return "text" in entry ? `${entry.kind} ${entry.text.split("\n")[0]}` : entry.kind;
  });
  return { client, outline: words.join("; ") };
}

const args = { file_path: "note.txt", content: "x" };
const output = "Successfully created and wrote to new file: note.txt.";
const result = [{ functionResponse: { response: { output } } }];
const note = { id: "write_file-1", name: "write_file", args, status: "success", timestamp: invented.stamp(3), result };

/** Before its files became lines. */
const geminiDocument = {
  sessionId: "0a000000-0000-4000-8000-000000000001",
  projectHash: "00",
  startTime: invented.stamp(0),
  messages: [
    { id: "g1", timestamp: invented.stamp(1), type: "user", content: "write a note" },
    { id: "g2", timestamp: invented.stamp(2), type: "gemini", content: "", model: "gemini-2.5-pro", toolCalls: [note] },
    { id: "g3", timestamp: invented.stamp(4), type: "info", content: "Gemini CLI update available!" },
    { id: "g4", timestamp: invented.stamp(5), type: "user", content: "System: Please continue." },
    { id: "g5", timestamp: invented.stamp(6), type: "gemini", content: "The note is written." },
  ],
};

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
    // It has the hash of another folder.
    "start; prompt write a note; tool_start Write; tool_end Write created note.txt",
    "assistant The note is written.; turn_end",
  ];
  const rollout = jsonLines(...invented.codexOfFunctions);
  expect(await imported(rollout)).toEqual({ client: "codex", outline: codex.join("; ") });
  const document = JSON.stringify(invented.openCodeDocument, null, 2);
  expect(await imported(document)).toEqual({ client: "opencode", outline: opencode.join("; ") });
  const ofGemini = JSON.stringify(geminiDocument);
  expect(await imported(ofGemini)).toEqual({ client: "gemini", outline: gemini.join("; ") });
});

it("a removal is imported where the folder of the session is not known, and names no file", async () => {
  const call = { id: "rm-1", name: "run_shell_command", args: { command: "rm old.txt" }, status: "success", result };
  const messages = [geminiDocument.messages[0], { ...geminiDocument.messages[1], toolCalls: [call] }];
  const { outline } = await imported(JSON.stringify({ ...geminiDocument, messages }));
  expect(outline).toBe("start; prompt write a note; tool_start Bash; tool_end Bash");
});

it("an import has the title that its chat would have: a command of the client is none", async () => {
  const { home, path } = aHome(aTranscript(aUserLine("/model", after(1)), aUserLine("rename it\nnow", after(2))));
  const { session: id } = given(await importTranscript(home.runtime, { path, folder: "/p" }));
  expect(storedSession(home.runtime, id).title).toBe("rename it");
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

const asked = invented.codexRow(1, "event_msg/user_message", { message: "mend the hull" });

function codexMeta(fields: object): object {
  const head = invented.codexHead("0.144.1");
  return { ...head, payload: { ...(head["payload"] as object), ...fields } };
}

it("the session of a subagent is not read as a user's, and the refusal names the chat's", async () => {
  const source = { subagent: { thread_spawn: { parent_thread_id: "ses_chat", depth: 1 } } };
  const ofOpenCode = {
    ...invented.openCodeDocument,
    info: { ...invented.openCodeDocument.info, parentID: "ses_chat" },
  };
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
    invented.codexRow(2, "event_msg/patch_apply_end", { call_id: "p", success: true, changes }),
    invented.codexRow(3, "response_item/custom_tool_call", { call_id: "q", name: "apply_patch", input }),
    invented.codexRow(4, "response_item/custom_tool_call_output", { call_id: "q", output: "Exit code: 0\nSuccess." }),
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
