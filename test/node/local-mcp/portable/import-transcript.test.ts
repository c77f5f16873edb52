import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import * as journal from "#src/local-mcp/sessions/journal.ts";
import * as sessions from "#src/local-mcp/sessions/sessions.ts";
import { aSeededHome, failed, type CliHome } from "#harness/machine/cli-home.ts";
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

it("[PO4] [PO5] a session that died before SHIM was there is read from its transcript, and continued with a brief", async () => {
  const { home, path } = aHome(aTranscript(...lines));
  const ran = await home.json(`resume --json --from-transcript ${path}`);
  expect(ran).toMatchObject({ session, start: { kind: "new", reason: expect.stringContaining("read from a file") } });
  const brief = String(ran["brief"]);
  expect(brief).toContain("Refactor the parser.");
  expect(brief).toContain("Never touch the lexer.");
  expect(brief).toContain("Next I will rename parseLine.");
  expect(brief).toContain("src/parser.ts");
  expect(brief).not.toContain("ghp_");
  const kinds = home.runtime.store.read(
    (sql) =>
      sql
        .all<{ kind: string }>("SELECT kind FROM journal WHERE session_id = ? ORDER BY seq", session)
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

it("[PO4] the transcript of each client is known by its lines", async () => {
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

it("[PO5] a session that is recorded already is not read a second time", async () => {
  const { home, path } = aHome(aTranscript(...lines));
  await home.json(`resume --json --from-transcript ${path}`);
  writeFileSync(path, aTranscript(...lines, aUserLine("and more", after(9))));
  const again = await home.shim(`resume --print --from-transcript ${path}`);
  expect(again.err).toContain(`SHIM has recorded session ${session} already`);
  expect(again.out).not.toContain("and more");
});

it("[PO4] a file that is no transcript, is empty, or is missing stores nothing, and says why", async () => {
  const { home, path } = aHome("hello\n{}\n");
  const given = `resume --from-transcript ${path}`;
  expect(await home.shim(given)).toMatchObject(failed(1, "not a transcript of a client that SHIM knows"));
  writeFileSync(path, aTranscript(JSON.stringify({ type: "user", sessionId: session, message: { content: [] } })));
  expect(await home.shim(given)).toMatchObject(failed(1, "nothing was said in it"));
  expect((await home.shim("resume --from-transcript missing.jsonl")).code).toBe(3);
  expect((await home.shim(`resume ${session} --from-transcript ${path}`)).code).toBe(2);
  expect((await home.shim(`resume ${session}`)).code).toBe(3);
});
