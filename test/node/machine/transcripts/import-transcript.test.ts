import * as journal from "#src/machine/sessions/journal.ts";
import { writeFileSync, mkdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import {
  codexOfFunctions,
  geminiDocument,
  openCodeDocument,
  codexHead,
  codexRow,
} from "#harness/clients/invented-transcripts.ts";
import { aSeededHome, failed, type CliHome } from "#harness/machine/cli-home.ts";
import { importTranscript } from "#src/machine/transcripts/import-transcript.ts";
import {
  anApiErrorLine,
  anAssistantLine,
  aToolResultLine,
  aToolUse,
  aTranscript,
  aUserLine,
  T0,
} from "#harness/machine/transcripts.ts";
import { sessionDocument } from "#src/machine/transcripts/session-document.ts";
import { Claude } from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

const session = "5f0e0e5e-0000-4000-8000-000000000001";

function after(seconds: number): { readonly timestamp: string } {
  return { timestamp: new Date(T0 + seconds * 1_000).toISOString() };
}

const lines = [
  aUserLine("Refactor the parser. Never touch the lexer.", after(1)),
  anAssistantLine({ id: "msg_1", content: [aToolUse("t1", "Bash", { command: "npm test" })] }, after(2)),
  aToolResultLine("t1", "exit code 1", true, after(3)),
  anAssistantLine(
    { id: "msg_2", content: [aToolUse("t2", "Edit", { file_path: "/home/ann/app/src/parser.ts" })] },
    after(4),
  ),
  aToolResultLine("t2", "ok", false, after(5)),
  anAssistantLine({ id: "msg_3", content: [{ type: "text", text: "Next I will rename parseLine." }] }, after(6)),
  aUserLine("Good. Use the token ghp_0123456789abcdefghijABCDEFGHIJ012345 for the release.", after(7)),
  anApiErrorLine("You have reached your usage limit", after(8)),
];

function aHome(text: string): { readonly home: CliHome; readonly path: string } {
  const home = aSeededHome();
  const path = join(home.folder, "old.jsonl");
  writeFileSync(path, text);
  return { home, path };
}

it("a session that died before SHIM was there is read from its transcript, and continued with a brief", async () => {
  const { home, path } = aHome(aTranscript(...lines));
  const ran = await home.json(`resume --json --from-transcript ${path}`);
  expect(ran).toMatchObject({ session, start: { kind: "new", reason: expect.stringContaining("read from a file") } });
  const brief = String(ran["brief"]);
  expect(brief).toContain("Refactor the parser.");
  expect(brief).toContain("Never touch the lexer.");
  expect(brief).toContain("Next I will rename parseLine.");
  expect(brief).toContain("src/parser.ts");
  expect(brief).not.toContain("ghp_");
  // The last row, and not the first, is the end of what is known.
  expect(brief).toContain("was last active 52 s ago, by its imported transcript");
  expect(brief).toContain("the client failed (52 s ago)");
});

it("an import again has what was added, once, and so has a resume by the id", async () => {
  const { home, path } = aHome(aTranscript(...lines));
  await home.json(`resume --json --from-transcript ${path}`);
  writeFileSync(path, aTranscript(...lines, aUserLine("Then bump the version.", after(9))));
  const again = await home.shim(`resume --print --from-transcript ${path}`);
  expect(again.err).toContain(`Read session ${session} from ${path} again.`);
  expect(again.out).toContain("Then bump the version.");
  expect(again.out).toContain("3 of 3 prompts quoted");
  writeFileSync(
    path,
    aTranscript(...lines, aUserLine("Then bump the version.", after(9)), aUserLine("And tag it.", after(10))),
  );
  const resumed = await home.shim(`resume --print ${session}`);
  expect(resumed.out).toContain("And tag it.");
  expect(resumed.out).toContain("4 of 4 prompts quoted");
});

it("a file that is no transcript, is empty, or is missing stores nothing, and says why", async () => {
  const { home, path } = aHome("hello\n{}\n");
  const given = `resume --from-transcript ${path}`;
  expect(await home.shim(given)).toMatchObject(failed(1, "not a transcript of a client that SHIM knows"));
  writeFileSync(path, aTranscript(JSON.stringify({ type: "user", sessionId: session, message: { content: [] } })));
  expect(await home.shim(given)).toMatchObject(failed(1, "nothing was said in it"));
  expect((await home.shim("resume --from-transcript missing.jsonl")).code).toBe(3);
  expect((await home.shim(`resume ${session} --from-transcript ${path}`)).code).toBe(2);
  expect((await home.shim(`resume ${session}`)).code).toBe(3);
});

type Entry = journal.JournalRow["entry"];

/** Entries of the journal after the import of a file. */
async function imported(text: string): Promise<{ readonly client: string; readonly entries: readonly Entry[] }> {
  const { home, path } = aHome(text);
  const result = await importTranscript(home.runtime, { path, folder: "/home/ann/app" });
  if (!result.ok) throw new Error(result.error);
  const { client, session: id } = result.value;
  return { client, entries: home.runtime.store.read((sql) => journal.list(sql, id, 0), []).map(({ entry }) => entry) };
}

function outline({ entries }: { readonly entries: readonly Entry[] }): string[] {
  return entries.map((entry) => {
    if (entry.kind === "turn_end") return "turn end";
    if ("name" in entry)
      return `${entry.kind} ${entry.name} ${"path" in entry ? `${entry.action} ${entry.path}` : ""}`.trim();
    return "text" in entry ? `${entry.kind} ${entry.text.split("\n")[0]}` : entry.kind;
  });
}

function jsonLines(rows: readonly object[]): string {
  return rows.map((row) => JSON.stringify(row)).join("\n");
}

it("a rollout of Codex 0.118 is stored with its words, calls, files of patches and the end of its turn", async () => {
  const { client, entries } = await imported(jsonLines(codexOfFunctions));
  expect(client).toBe("codex");
  expect(outline({ entries })).toEqual([
    "start",
    "prompt sort the imports",
    "assistant I look at the imports.",
    "tool_start Bash",
    "tool_error Bash",
    "tool_start Bash",
    "tool_end Bash",
    "tool_start Write",
    "tool_start Edit",
    "tool_end Write created /p/src/new.ts",
    "tool_end Edit edited /p/src/old.ts",
    "tool_start TodoWrite",
    "tool_end TodoWrite",
    "todos",
    "assistant They are sorted.",
    "turn end",
  ]);
});

it("documents of OpenCode and Gemini CLI are stored with their words", async () => {
  const opencode = await imported(JSON.stringify(openCodeDocument, null, 2));
  expect(opencode.client).toBe("opencode");
  expect(outline(opencode)).toEqual([
    "start",
    "prompt build it",
    "assistant I build it.",
    "tool_start Bash",
    "tool_error Bash",
    "tool_start Edit",
    "tool_end Edit edited /p/src/a.ts",
    "tool_start AskUserQuestion",
    "tool_end AskUserQuestion",
    "answers",
    "compacting",
    "compacted",
    "assistant It is built.",
    "turn end",
    "prompt and test it",
    "tool_start Bash",
    "interrupted",
  ]);
  const gemini = await imported(JSON.stringify(geminiDocument));
  expect(outline(gemini)).toEqual([
    "start",
    "prompt write a note",
    "tool_start Write",
    "tool_end Write created /home/ann/app/note.txt",
    "assistant The note is written.",
    "turn end",
  ]);
});

it("a prompt typed during a turn ends nothing, and a command of the client leaves no turn open", async () => {
  const attachment = { type: "queued_command", prompt: "also the tests", commandMode: "prompt" };
  const command = "<command-name>/compact</command-name>\n<command-args>keep the plan</command-args>";
  const { entries } = await imported(
    aTranscript(
      aUserLine("rename it", after(1)),
      JSON.stringify({ type: "attachment", attachment, uuid: "q", ...after(2) }),
      anAssistantLine({ content: [{ type: "text", text: "Renamed." }] }, after(3)),
      aUserLine(command, after(4)),
      aUserLine("<local-command-stdout>Compacted</local-command-stdout>", after(5)),
    ),
  );
  expect(outline({ entries })).toEqual([
    "start",
    "prompt rename it",
    "prompt also the tests",
    "assistant Renamed.",
    "turn end",
    "prompt /compact keep the plan",
    "turn end",
  ]);
});

function written(text: string): { readonly home: CliHome; readonly command: string } {
  const home = aSeededHome();
  const path = join(home.folder, "old.jsonl");
  writeFileSync(path, text);
  return { home, command: `resume --json --from-transcript ${path}` };
}

const asked = codexRow(1, "event_msg/user_message", { message: "mend the hull" });

function codexMeta(fields: Readonly<Record<string, unknown>>): object {
  const head = codexHead("0.144.1");
  return { ...head, payload: { ...(head["payload"] as object), ...fields } };
}

it("the session of a subagent is not read as a user's, and the refusal names the chat's", async () => {
  const { info } = openCodeDocument;
  const source = { subagent: { thread_spawn: { parent_thread_id: "ses_chat", depth: 1 } } };
  const transcripts = [
    JSON.stringify({ ...openCodeDocument, info: { ...info, parentID: "ses_chat" } }),
    [codexMeta({ source }), asked].map((row) => JSON.stringify(row)).join("\n"),
  ];
  for (const text of transcripts) {
    const { home, command } = written(text);
    expect(await home.shim(command)).toMatchObject(failed(1, "import that chat's, ses_chat, instead"));
    expect((await home.shim("sessions --incomplete")).out).not.toContain("mend the hull");
  }
  const { home, command } = written([codexMeta({ source: "cli" }), asked].map((row) => JSON.stringify(row)).join("\n"));
  expect((await home.json(command))["brief"]).toContain("mend the hull");
});

it("a file that the transcript edited is judged by its date", async () => {
  const home = aSeededHome();
  const names = ["before.ts", "since.ts"];
  const patch = names.map((name) => `*** Update File: ${join(home.folder, name)}`).join("\n");
  for (const name of names) writeFileSync(join(home.folder, name), "");
  const before = new Date(0);
  utimesSync(join(home.folder, "before.ts"), before, before);
  const rows = [
    codexMeta({ cwd: home.folder }),
    asked,
    codexRow(2, "response_item/custom_tool_call", { call_id: "p", name: "apply_patch", input: patch }),
    codexRow(3, "response_item/custom_tool_call_output", { call_id: "p", output: "Exit code: 0\nSuccess." }),
  ];
  const path = join(home.folder, "old.jsonl");
  writeFileSync(path, jsonLines(rows));
  const brief = String((await home.json(`resume --json --from-transcript ${path}`))["brief"]);
  expect(brief).toContain("before.ts (edited): not written since, by its date\n");
  expect(brief).toContain("since.ts (edited): WRITTEN since the chat's last event, by its date\n");
});

it("files that a patch deletes or moves away are deleted, and named as such", async () => {
  const home = aSeededHome();
  const folder = join(home.folder, "harbour");
  mkdirSync(folder);
  writeFileSync(join(folder, "made-anew.ts"), "");
  const changes = {
    [join(folder, "gone.ts")]: { type: "delete" },
    [join(folder, "made-anew.ts")]: { type: "delete" },
    [join(folder, "old.ts")]: { type: "update", move_path: join(folder, "new.ts") },
  };
  const rows = [
    codexMeta({ cwd: folder }),
    asked,
    codexRow(2, "event_msg/patch_apply_end", { call_id: "p", success: true, changes }),
    codexRow(3, "response_item/custom_tool_call", {
      call_id: "q",
      name: "apply_patch",
      input: "*** Delete File: last.ts\n",
    }),
    codexRow(4, "response_item/custom_tool_call_output", { call_id: "q", output: "Exit code: 0\nSuccess." }),
  ];
  const path = join(home.folder, "old.jsonl");
  writeFileSync(path, rows.map((row) => JSON.stringify(row)).join("\n"));
  const brief = String((await home.json(`resume --json --from-transcript ${path}`))["brief"]);
  const files = brief.split("\n").filter((line) => /^- .*\.ts \(/.test(line));
  expect(files.map((line) => line.replace(/^- .*\//, "- "))).toEqual([
    "- new.ts (edited): MISSING",
    "- made-anew.ts (deleted): there AGAIN",
    "- last.ts (deleted): deleted, as the chat left it",
    "- old.ts (deleted): deleted, as the chat left it",
    "- gone.ts (deleted): deleted, as the chat left it",
  ]);
});

function aWorkedChat() {
  const runtime = tempRuntime();
  const claude = new Claude(runtime);
  claude.start();
  claude.prompt("fix the parser\n# not a heading");
  claude.use("Bash", { command: "echo `date`" });
  claude.fail("Bash", { command: "make" }, "exit code 2");
  claude.stop("The parser is fixed.");
  claude.begin("Edit", { file_path: "src/a.ts" });
  return { runtime, session: claude.session };
}

it("a session becomes Markdown whose texts are quotations", () => {
  const { runtime, session } = aWorkedChat();
  const text = sessionDocument(runtime, session) ?? "";
  expect(text).toMatch(/^# fix the parser\n\n- Session: /);
  expect(text).toContain("> fix the parser\n> # not a heading");
  expect(text).toContain("- Bash: `` echo `date` ``");
  expect(text).toContain("- Bash failed: `make`\n\n> exit code 2");
  expect(text).toContain("> The parser is fixed.");
  expect(text).not.toMatch(/^# not a heading/m);
  expect(sessionDocument(runtime, "unknown")).toBeNull();
});
