import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { restoreById } from "#src/machine/recovery/incomplete/restoration.ts";
import { brief } from "#src/machine/recovery/brief/brief.ts";
import { capture } from "#src/machine/sessions/checkpoints/capture.ts";
import { aChat, aDeadClaude, anotherClaude, storedSession, type Claude } from "#harness/machine/claude.ts";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

const rule = "RULE: integers only, never floats";

function textOf(printed: object): string {
  return JSON.stringify(printed);
}

function aSuccessor(): { readonly runtime: TempRuntime; readonly dead: Claude; readonly claude: Claude } {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime, rule);
  const claude = anotherClaude(runtime, dead);
  expect(claude.start()).toContain(rule);
  return { runtime, dead, claude };
}

it("a brief that was offered stands in the context again after each compaction", () => {
  const { claude } = aSuccessor();
  claude.prompt("what is here");
  claude.stop();
  for (const summary of ["one", "two"]) {
    claude.compact(summary);
    expect(textOf(claude.prompt("now go on with it"))).toContain(rule);
    expect(textOf(claude.prompt("and then"))).not.toContain(rule);
  }
});

const summary = "## Goal: a calculator";

/** What a compaction leaves in the transcripts of 0.61.0 and 1.0.102, cut: no event tells of its end. */
const compactionsOf: Readonly<Record<string, (timestamp: string, id: string) => object>> = {
  gemini: (timestamp, id) => ({
    $set: {
      messages: [
        { id: "d04923d3", timestamp, type: "user", content: [{ text: "<session_context>\nThis is the Gemini CLI." }] },
        { id: `s${id}`, timestamp, type: "user", content: [{ text: summary }] },
        { id: `g${id}`, timestamp, type: "gemini", content: [{ text: "Got it. Thanks for the additional context!" }] },
        { id: `p${id}`, timestamp, type: "user", content: [{ text: "and the tests" }] },
      ],
    },
  }),
  copilot: (timestamp, id) => ({
    type: "session.compaction_complete",
    data: { success: true, preCompactionMessagesLength: 6, summaryContent: summary },
    id,
    timestamp,
  }),
};

it.each(Object.entries(compactionsOf))(
  "%s, whose transcript alone tells of a compaction: the brief stands in the context again after each",
  (client, row) => {
    const runtime = tempRuntime();
    const dead = aDeadClaude(runtime, rule);
    const chat = new RecordedClient(runtime, client);
    const path = join(temporaryFolder(), "rows.jsonl");
    writeFileSync(path, "");
    const own = { session_id: "00000000-0000-4000-8000-000000000001", cwd: dead.cwd, transcript_path: path };
    const tell = (event: string, fields: object): string =>
      textOf(chat.report(event, { ...own, ...fields }, { COPILOT_CLI: "1" }));
    const prompt = (text: string): string => {
      runtime.wait(20_000);
      return tell(client === "gemini" ? "BeforeAgent" : "UserPromptSubmit", { prompt: text });
    };
    const source = client === "gemini" ? "startup" : "new";
    expect(tell("SessionStart", { source }) + prompt("what is here")).toContain(rule);
    for (const id of ["1", "2"]) {
      runtime.wait(20_000);
      appendFileSync(path, `${JSON.stringify(row(new Date(runtime.now()).toISOString(), id))}\n`);
      expect(prompt(`now go on with ${id}`)).toContain(rule);
      expect(prompt(`and then ${id}`)).not.toContain(rule);
    }
  },
);

it("so do the prompts of a session that the chat has taken and not worked on yet", () => {
  const { claude } = aSuccessor();
  expect(claude.prompt("continue").hookSpecificOutput?.additionalContext).not.toContain(rule);
  claude.stop();
  claude.compact("one");
  expect(textOf(claude.prompt("now go on with it"))).toContain(rule);
});

it("a chat that works on what it took has the dead chat's prompts and notes again", () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime, rule);
  const notes = { goal: "a calculator", decisions: ["use a table, not a switch"], nextStep: "write the parser" };
  capture(runtime, { sessionId: dead.session, trigger: "on_demand", notes });
  const claude = anotherClaude(runtime, dead);
  claude.start();
  claude.prompt("continue");
  claude.use("Bash", { command: "npm test" });
  capture(runtime, { sessionId: claude.session, trigger: "turn_end" });
  claude.stop();
  claude.compact("one");
  const given = textOf(claude.use("Bash", { command: "npm test" }));
  for (const kept of [rule, "use a table, not a switch", "write the parser"]) expect(given).toContain(kept);
});

it("the prompt that is just being sent is none that the summary lacks", () => {
  const { claude } = aChat();
  claude.turn("Never touch the billing folder, whatever the tests say.");
  claude.compact("one");
  const given = textOf(claude.prompt("Then document what the lexer does with tabs."));
  expect(given).toContain("billing folder");
  expect(given).not.toContain("lexer");
});

it("goal, decisions and next step of a dead chat stand in the brief after the third death, too", () => {
  const runtime = tempRuntime();
  let last = aDeadClaude(runtime, rule);
  const notes = { goal: "a calculator", decisions: ["use a table, not a switch"], nextStep: "write the parser" };
  capture(runtime, { sessionId: last.session, trigger: "on_demand", notes });
  for (const id of ["b", "c"]) {
    const next = anotherClaude(runtime, last, { session: `${id}${last.session.slice(1)}`, pid: last.pid + 1 });
    next.start();
    next.prompt("continue");
    next.use("Bash", { command: "npm test" });
    capture(runtime, { sessionId: next.session, trigger: "turn_end" });
    next.kill();
    last = next;
  }
  const from = restoreById(runtime, last.session);
  const text = from === null ? "" : brief(from, runtime.now(), "brief");
  for (const kept of [rule, "a calculator", "use a table, not a switch", "write the parser"])
    expect(text).toContain(kept);
});

it("a chat that continues a session is called like it until it has a name, whatever words took it", () => {
  const { runtime, claude } = aSuccessor();
  claude.prompt("continue");
  expect(storedSession(runtime, claude.session).title).toBe(rule);
  const fork = anotherClaude(runtime, claude, { session: `d${claude.session.slice(1)}`, pid: claude.pid + 5 });
  const from = restoreById(runtime, claude.session);
  fork.tell("SessionStart", { source: "startup" });
  fork.prompt(from === null ? "" : brief(from, runtime.now(), "resume"));
  expect(storedSession(runtime, fork.session).title).toBe(rule);
});

it("the name that a user gives a chat in its client is its name here", () => {
  const { runtime, claude } = aChat();
  claude.prompt("fix the parser");
  claude.transcribe(JSON.stringify({ type: "custom-title", customTitle: "parser-rewrite", sessionId: claude.session }));
  claude.use("Bash", { command: "npm test" });
  claude.stop();
  expect(storedSession(runtime, claude.session)).toMatchObject({ title: "fix the parser", name: "parser-rewrite" });
});
