import * as journal from "#src/machine/sessions/journal.ts";
import * as invented from "#harness/clients/invented-transcripts.ts";
import * as claude from "#harness/machine/transcripts.ts";
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { importTranscript } from "#src/machine/transcripts/import-transcript.ts";
import { sessionDocument } from "#src/machine/transcripts/session-document.ts";
import { codexRow, openCodeDocument } from "#harness/clients/invented-transcripts.ts";
import { given } from "#harness/coordinator/peers.ts";
import { Claude } from "#harness/machine/claude.ts";
import { aSeededHome, failed, type CliHome } from "#harness/machine/cli-home.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine, aToolUse, aTranscript, aUserLine, T0 } from "#harness/machine/transcripts.ts";

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

const writeNote = {
  id: "write_file-1",
  name: "write_file",
  args: { file_path: "note.txt", content: "x" },
  status: "success",
  timestamp: invented.stamp(3),
  result: [{ functionResponse: { response: { output: "Successfully created and wrote to new file: note.txt." } } }],
};

/** Before its files became lines. */
const geminiDocument = {
  sessionId: "0a000000-0000-4000-8000-000000000001",
  projectHash: "00",
  startTime: invented.stamp(0),
  messages: [
    { id: "g1", timestamp: invented.stamp(1), type: "user", content: "write a note" },
    {
      id: "g2",
      timestamp: invented.stamp(2),
      type: "gemini",
      content: "",
      model: "gemini-2.5-pro",
      toolCalls: [writeNote],
    },
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
    "start; prompt write a note; tool_start Write; tool_end Write created /home/ann/app/note.txt",
    "assistant The note is written.; turn_end",
  ];
  expect([
    await imported(jsonLines(...invented.codexOfFunctions)),
    await imported(JSON.stringify(openCodeDocument, null, 2)),
    await imported(JSON.stringify(geminiDocument)),
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

function codexMeta(fields: object): object {
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
