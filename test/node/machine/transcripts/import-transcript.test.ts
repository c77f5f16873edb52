import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import * as journal from "#src/machine/sessions/journal.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import {
  codexHead,
  codexRow,
  codexOfFunctions,
  codexOfPlans,
  codexOfPrograms,
  geminiDocument,
  openCodeDocument,
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
  const kinds = home.runtime.store.read(
    (sql) =>
      sql
        .all<{ kind: string }>("SELECT kind FROM journal WHERE session = ? ORDER BY seq", session)
        .map(({ kind }) => kind),
    [],
  );
  expect(kinds).toEqual([
    "start",
    "prompt",
    "tool_start",
    "tool_error",
    "tool_start",
    "tool_end",
    "assistant",
    "turn_end",
    "prompt",
    "failure",
  ]);
  expect((await home.shim("sessions")).out).toContain("Refactor the parser");
});

it("an imported prompt without an answer is said to have none, after a turn without an end too", async () => {
  const { home, path } = aHome(
    aTranscript(
      aUserLine("Refactor the parser.", after(1)),
      anAssistantLine({ id: "msg_1", stop_reason: null, content: [{ type: "text", text: "It is done." }] }, after(5)),
      aUserLine("Now the lexer, and its tests.", after(90)),
    ),
  );
  const ran = await home.json(`resume --json --from-transcript ${path}`);
  expect(String(ran["brief"])).toContain("the user's last prompt had no answer yet");
});

it("the transcript of each client is known by its lines @night", async () => {
  const harness = new URL("../../../harness/clients/", import.meta.url);
  const files = {
    codex: "rollouts/codex-tools.jsonl",
    copilot: "transcripts/copilot.jsonl",
    gemini: "transcripts/gemini.jsonl",
    qwen: "transcripts/qwen.jsonl",
  };
  for (const [client, file] of Object.entries(files)) {
    const { home, path } = aHome(readFileSync(new URL(file, harness), "utf8"));
    const { session, brief } = await home.json(`resume --json --from-transcript ${path}`);
    const stored = home.runtime.store.read((sql) => sessions.get(sql, String(session)), null);
    expect(stored, client).toMatchObject({ client, origin: "import", cwd: expect.any(String) });
    expect(String(brief).length, client).toBeGreaterThan(400);
    const asked = home.runtime.store.read((sql) => journal.newest(sql, String(session), ["prompt"], 5), []);
    expect(asked.length, client).toBeGreaterThan(0);
  }
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

it("a plan of Codex that the user approves is the approved plan, and another one is not", async () => {
  const { entries } = await imported(jsonLines(codexOfPlans));
  expect(entries.filter(({ kind }) => kind === "plan")).toEqual([{ kind: "plan", text: "# Move\n\n- in two steps" }]);
});

/** Entries of a chat of Codex after its prompt. */
async function saidByCodex(text: string): Promise<readonly Entry[]> {
  const row = codexRow(2, "event_msg/agent_message", { message: text });
  const rows = [codexHead("0.144.2"), codexRow(1, "event_msg/user_message", { message: "go" }), row];
  return (await imported(jsonLines(rows))).entries.slice(2);
}

it("lines of Codex's app among the chat's words are left out, and words about them stay", async () => {
  const directives = '::git-stage{cwd="/p"}\n::git-push{cwd="/p" branch="move"}';
  expect(await saidByCodex(`It is pushed.\n\n${directives}\n\nNext: the docs.`)).toEqual([
    { kind: "assistant", text: "It is pushed.\n\nNext: the docs." },
  ]);
  expect(await saidByCodex(directives)).toEqual([]);
  const about = 'The line ::git-push{cwd="/p"} is written by the app.';
  expect(await saidByCodex(about)).toEqual([{ kind: "assistant", text: about }]);
});

it("a turn that the user stopped is marked, a call without an end runs, and answers of a dialog are the user's", async () => {
  const { entries } = await imported(jsonLines(codexOfPrograms));
  expect(outline({ entries }).slice(-4)).toEqual(["turn end", "prompt yes", "tool_start exec", "interrupted"]);
  expect(entries.find(({ kind }) => kind === "answers")).toMatchObject({
    answers: [{ question: "Which one?", answer: "the first" }],
  });
  expect(entries.map(({ kind }) => kind)).toContain("compacting");
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

it("the words of a refusal are stored as a prompt within the turn", async () => {
  const refusal =
    "The user doesn't want to proceed with this tool use. The tool use was rejected. To tell you how to proceed, the user said:\n";
  const { entries } = await imported(
    aTranscript(
      aUserLine("rename it", after(1)),
      anAssistantLine(
        { content: [aToolUse("t1", "Bash", { command: "git mv a b" })], stop_reason: "tool_use" },
        after(2),
      ),
      aToolResultLine("t1", `${refusal}with a script`, true, after(3)),
      anAssistantLine({ content: [{ type: "text", text: "Renamed." }] }, after(4)),
    ),
  );
  expect(outline({ entries })).toEqual([
    "start",
    "prompt rename it",
    "tool_start Bash",
    "prompt with a script",
    "tool_error Bash",
    "assistant Renamed.",
    "turn end",
  ]);
});

it("a prompt of up to 12,000 characters is stored whole, also on a last line without its end", async () => {
  const text = `${"word ".repeat(2_399)}last!`;
  const { entries } = await imported(aUserLine(text, after(1)));
  expect(entries.at(-1)).toEqual({ kind: "prompt", text });
  const longer = (await imported(aUserLine(`${text} ${text}`, after(1)))).entries.at(-1);
  expect(longer).toMatchObject({ text: expect.stringMatching(/^word [^]*\[cut, \d+ more characters\][^]*last!$/) });
});

it("a chat that was read from a file stays on offer, also where its last turn was over @night", async () => {
  const messages = [openCodeDocument.messages[0], openCodeDocument.messages[5]];
  const finished = { ...openCodeDocument, messages };
  for (const text of [JSON.stringify(finished), jsonLines(codexOfFunctions)]) {
    const { home, path } = aHome(text);
    const { session: id } = await home.json(`resume --json --from-transcript ${path}`);
    expect((await home.shim("sessions --incomplete")).out).toContain(String(id).slice(0, 8));
  }
});
