import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { codexHead, codexRow, openCodeDocument } from "#harness/clients/invented-transcripts.ts";
import { aSeededHome, failed, type CliHome } from "#harness/machine/cli-home.ts";
import { anAssistantLine, aTranscript, aUserLine } from "#harness/machine/transcripts.ts";

function written(text: string): { readonly home: CliHome; readonly command: string } {
  const home = aSeededHome();
  const path = join(home.folder, "old.jsonl");
  writeFileSync(path, text);
  return { home, command: `resume --json --from-transcript ${path}` };
}

async function briefOf(text: string): Promise<string> {
  const { home, command } = written(text);
  return String((await home.json(command))["brief"]);
}

it("a turn of OpenCode that the model ended is over, after a compaction too", async () => {
  const messages = openCodeDocument.messages.slice(0, 6);
  const brief = await briefOf(JSON.stringify({ ...openCodeDocument, messages }));
  expect(brief).toContain("the turn was over, and the chat waited for the user");
});

const commit = "0123456789abcdef0123456789abcdef01234567";
const asked = codexRow(1, "event_msg/user_message", { message: "mend the hull" });

function codexMeta(fields: Readonly<Record<string, unknown>>): object {
  const head = codexHead("0.144.1");
  return { ...head, payload: { ...(head["payload"] as object), ...fields } };
}

function gitLine(brief: string): string | undefined {
  return brief.split("\n").find((line) => line.startsWith("git: "));
}

it("the branch that a transcript names stands in the brief, with where git is now @night", async () => {
  const branches = ["main", "hull", "HEAD"].map((gitBranch, index) =>
    index === 0
      ? aUserLine("mend the hull", { gitBranch })
      : anAssistantLine({ id: `m${index}`, content: [{ type: "text", text: "I mend it." }] }, { gitBranch }),
  );
  expect(gitLine(await briefOf(aTranscript(...branches)))).toBe("git: last on hull, now not readable");
  const meta = codexMeta({ git: { commit_hash: commit, branch: "hull" } });
  const codex = [meta, asked].map((row) => JSON.stringify(row)).join("\n");
  expect(gitLine(await briefOf(codex))).toBe("git: hull at 0123456789ab when it began, now not readable");
  expect(gitLine(await briefOf([codexMeta({}), asked].map((row) => JSON.stringify(row)).join("\n")))).toBeUndefined();
});

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

const jsonLines = (...rows: readonly object[]): string => rows.map((row) => JSON.stringify(row)).join("\n");
const qwen = { sessionId: "q", uuid: "1", cwd: "/p", version: "0.20.1", timestamp: "2023-11-14T10:00:01Z" };
const boundary = { type: "system", subtype: "compact_boundary", timestamp: "2023-11-14T10:00:02Z" };
const compactions: readonly (readonly [string, string])[] = [
  ["Codex", jsonLines(codexMeta({}), asked, codexRow(2, "compacted", { message: "" }))],
  ["Claude Code", aTranscript(aUserLine("mend the hull"), JSON.stringify(boundary))],
  [
    "Qwen Code",
    jsonLines(
      { ...qwen, type: "user", message: { role: "user", parts: [{ text: "mend the hull" }] } },
      { ...qwen, uuid: "2", type: "system", subtype: "chat_compression" },
    ),
  ],
];

it.each(compactions)(
  "a compaction without a summary that can be read stands in the brief: %s",
  async (_client, text) => {
    expect(await briefOf(text)).toMatch(/\nits client compacted it \(\d+ \w+ ago\); the summary cannot be read\n/);
  },
);

it("a compaction that had only begun, or whose summary stands in the brief, has no such line", async () => {
  const { messages } = openCodeDocument;
  const begun = jsonLines(codexMeta({}), asked);
  const summed = JSON.stringify({ ...openCodeDocument, messages: messages.slice(0, 6) });
  for (const text of [begun, summed]) expect(await briefOf(text)).not.toContain("compacted it");
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
  writeFileSync(path, jsonLines(...rows));
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
