import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { codex } from "#src/clients/codex/codex.ts";
import { checkTranscript, planStart, whole } from "#src/machine/recovery/relaunch.ts";
import { aTranscript, aUserLine } from "#harness/machine/transcripts.ts";

const id = "5f0e0e5e-0000-4000-8000-000000000001";
const fresh = { id: "0198a3b4-c5d6-7000-8000-000000000000", brief: "SHIM: an earlier session died" };

function aFile(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "shim-start-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, `${id}.jsonl`);
  writeFileSync(path, text);
  return path;
}

it("a whole transcript is resumed by the client, any other begins a new chat with the brief", () => {
  const session = { id, client: "claude-code" };
  expect(planStart(session, whole, fresh)).toMatchObject({
    kind: "resume",
    command: "claude",
    args: ["--resume", id],
    newId: null,
  });
  expect(planStart(session, { isWhole: false, reason: "its transcript is gone" }, fresh)).toEqual({
    kind: "new",
    title: "Claude Code",
    command: "claude",
    args: ["--session-id", fresh.id, fresh.brief],
    reason: "a new chat is started with the brief, because its transcript is gone",
    newId: fresh.id,
  });
});

it("another client starts a new chat with the brief, whatever the transcript; its own resumes", () => {
  expect(planStart({ id, client: "claude-code" }, whole, fresh, codex)).toEqual({
    kind: "new",
    title: "Codex",
    command: "codex",
    args: [fresh.brief],
    reason: "a new chat is started with the brief, because the session was Claude Code's",
    newId: fresh.id,
  });
  const own = planStart({ id, client: "codex" }, whole, fresh);
  expect(own).toMatchObject({ kind: "resume", command: "codex", args: ["resume", id], newId: null });
  expect(planStart({ id, client: "claude-ai" }, whole, fresh, codex)).toMatchObject({ kind: "new" });
});

it("a client that keeps its conversations where SHIM does not read them continues its own session", () => {
  const transcript = checkTranscript(null, id, "opencode");
  expect(planStart({ id, client: "opencode" }, transcript, fresh)).toMatchObject({
    kind: "resume",
    args: ["-s", id],
    reason: "it keeps the chat, so OpenCode continues it",
  });
  expect(checkTranscript(null, id, "qwen")).toMatchObject({ isWhole: false });
});

it("a client without a command line is not started", () => {
  expect(planStart({ id, client: "claude-ai" }, whole, fresh)).toBeNull();
});

it("a transcript is whole when a row of its end can be read and it names the session", () => {
  expect(checkTranscript(aFile(aTranscript(aUserLine("hi"), aUserLine("go on"))), id)).toEqual(whole);
  expect(checkTranscript(aFile(aTranscript(aUserLine("hi")).trimEnd()), id)).toEqual(whole);
  // Claude Code, Codex, Copilot CLI and Gemini CLI were seen to load these.
  const cut = aTranscript(aUserLine("hi"), aUserLine("go on")).slice(0, -20);
  expect(checkTranscript(aFile(cut), id)).toEqual(whole);
  expect(checkTranscript(aFile(`${aTranscript(aUserLine("hi"))}${"\0".repeat(64)}`), id)).toEqual(whole);
});

it("a missing, empty, foreign or unreadable transcript is not whole, and says why", () => {
  const torn = aTranscript(aUserLine("hi")).slice(0, -20);
  const cases: [string | null, string][] = [
    [null, "no transcript of it is known"],
    [join(tmpdir(), "shim-not-there", "x.jsonl"), "its transcript is gone"],
    [aFile(""), "its transcript is empty"],
    [aFile("\n\n"), "its transcript is empty"],
    [aFile(torn), "no row of its transcript's end can be read"],
    [aFile("12\n"), "no row of its transcript's end can be read"],
    [aFile(aTranscript(aUserLine("hi", { sessionId: "another" }))), "its transcript is that of another session"],
    [tmpdir(), "its transcript cannot be read"],
  ];
  for (const [path, reason] of cases) {
    const check = checkTranscript(path, id);
    expect(check).toMatchObject({ isWhole: false });
    expect("reason" in check ? check.reason : "").toContain(reason);
  }
});

it("Qwen Code does not continue a transcript that ends in the middle of a line", () => {
  const path = aFile(aTranscript(aUserLine("hi"), aUserLine("go on")).slice(0, -20));
  expect(checkTranscript(path, id, "qwen")).toMatchObject({
    isWhole: false,
    reason: expect.stringContaining("shim rescue"),
  });
});

it("of a large transcript only the end is read", () => {
  const filler = `${JSON.stringify({ type: "user", text: "x".repeat(999_950) })}\n`.repeat(20);
  const path = aFile(filler + aTranscript(aUserLine("the end")));
  const began = process.memoryUsage().arrayBuffers;
  expect(checkTranscript(path, id)).toEqual(whole);
  expect(process.memoryUsage().arrayBuffers - began).toBeLessThan(15_000_000);
});
