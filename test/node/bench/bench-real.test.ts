import { expect, it } from "vitest";
import { falseClaims, type FalseClaim } from "../../../bench/real/claims.ts";
import { allCuts, chooseCuts } from "../../../bench/real/cuts.ts";
import { HookSteps } from "../../../bench/real/hook-steps.ts";
import { judge } from "../../../bench/real/judge.ts";
import type { PlayedCut } from "../../../bench/real/play.ts";
import { clientOf, readSession } from "../../../bench/real/read-session.ts";
import {
  type EventBody,
  type RecordedSession,
  type SessionClient,
  type SessionEvent,
  withoutWithdrawn,
} from "../../../bench/real/session-events.ts";
import { keySentence, languageOf, normalized, requestShare } from "../../../bench/real/text-match.ts";
import { Random } from "../../../bench/restore/random.ts";
import {
  aCompactBoundary,
  anAssistantLine,
  aToolResultLine,
  aToolUse,
  aTranscript,
  aUserLine,
} from "#harness/machine/transcripts.ts";

function jsonLines(...rows: readonly object[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}

function codexRow(type: string, payload: object): object {
  return { timestamp: "2026-07-01T10:00:00.000Z", type, payload };
}

const edit = { file_path: "/home/ann/app/src/parser.ts" };

/** The same course in the form of each client: a prompt, an edit that fails, one that succeeds, an answer. */
const transcripts: Readonly<Record<SessionClient, string>> = {
  "claude-code": aTranscript(
    aUserLine("<command-name>/model</command-name>\n<command-args></command-args>"),
    aUserLine("Fix the parser.<system-reminder>be brief</system-reminder>"),
    anAssistantLine({ content: [aToolUse("t1", "Edit", edit)] }),
    aToolResultLine("t1", "no match", true),
    anAssistantLine({ content: [aToolUse("t2", "Edit", edit)] }),
    aToolResultLine("t2", "ok", false),
    anAssistantLine({ content: [{ type: "text", text: "It is fixed." }] }),
  ),
  codex: jsonLines(
    codexRow("session_meta", { id: "c1", cwd: "/home/ann/app" }),
    codexRow("response_item", {
      type: "message",
      role: "user",
      content: [{ type: "input_text", text: "<environment_context>x</environment_context>" }],
    }),
    codexRow("event_msg", {
      type: "user_message",
      message: "# Context from my IDE setup:\nopen: a.ts\n## My request for Codex:\nFix the parser.",
    }),
    codexRow("response_item", {
      type: "function_call",
      call_id: "t1",
      name: "exec_command",
      arguments: '{"cmd":"sed -i x src/parser.ts"}',
    }),
    codexRow("response_item", {
      type: "function_call_output",
      call_id: "t1",
      output: "Process exited with code 1\nno match",
    }),
    codexRow("event_msg", { type: "patch_apply_end", call_id: "t2", success: true, changes: { "src/parser.ts": {} } }),
    codexRow("event_msg", { type: "agent_message", message: "It is fixed." }),
    codexRow("event_msg", { type: "task_complete" }),
  ),
  opencode: JSON.stringify({
    info: { id: "o1", directory: "/home/ann/app" },
    messages: [
      {
        info: { role: "user" },
        parts: [
          { type: "text", text: "be brief", synthetic: true },
          { type: "text", text: "Fix the parser." },
        ],
      },
      {
        info: { role: "assistant" },
        parts: [
          {
            type: "tool",
            tool: "edit",
            callID: "t1",
            state: { status: "error", error: "no match", input: { filePath: edit.file_path } },
          },
          {
            type: "tool",
            tool: "edit",
            callID: "t2",
            state: { status: "completed", output: "ok", input: { filePath: edit.file_path } },
          },
          { type: "text", text: "It is fixed." },
        ],
      },
    ],
  }),
};

function sessionOf(client: SessionClient): RecordedSession {
  const session = readSession(transcripts[client]);
  if (session === null) throw new Error(`${client} was not read`);
  return session;
}

it.each(Object.keys(transcripts) as SessionClient[])("the bench reads a session of %s", (client) => {
  const { events, id, cwd } = sessionOf(client);
  expect(clientOf(transcripts[client])).toBe(client);
  expect([id, cwd]).toEqual([expect.stringMatching(/./), "/home/ann/app"]);
  const said = events.filter(({ kind }) => kind !== "harness");
  expect(said.map(({ kind }) => kind)).toEqual(["prompt", "call", "end", "call", "end", "answer", "turnEnd"]);
  expect(said).toMatchObject([
    { text: "Fix the parser." },
    {},
    { error: expect.stringContaining("no match") },
    { edits: [edit.file_path] },
    { error: null },
    { text: "It is fixed." },
    {},
  ]);
  expect(events.filter(({ kind }) => kind === "harness")).toHaveLength(1);
});

it("a program of Codex is the command that its hooks report", () => {
  const input = 'text(await tools.exec_command({cmd:"npm test"}));';
  const call = codexRow("response_item", { type: "custom_tool_call", name: "exec", call_id: "t3", input });
  const session = readSession(`${transcripts.codex}${jsonLines(call)}`);
  expect(session?.events.at(-1)).toMatchObject({ kind: "call", name: "Bash", input: { command: "npm test" } });
});

it("a plan that Codex proposes is an answer, of which no hook knows", () => {
  const plan = codexRow("event_msg", { type: "item_completed", item: { type: "Plan", id: "p1", text: "# Two steps" } });
  const end = codexRow("event_msg", { type: "task_complete" });
  const { events = [] } = readSession(`${transcripts.codex}${jsonLines(plan, end)}`) ?? {};
  expect(events.at(-2)).toMatchObject({ kind: "answer", text: "# Two steps" });
  const steps = new HookSteps("codex");
  const told = events.flatMap((event) => steps.of(event)).at(-1);
  expect(told).toMatchObject({ event: "Stop", fields: { last_assistant_message: "It is fixed." } });
});

it("a prompt that the user has withdrawn is not looked for, nor its answer", () => {
  const typed = (message: string): object => codexRow("event_msg", { type: "user_message", message });
  const withdrawn = jsonLines(
    typed("Rewrite the whole lexer as one function."),
    codexRow("event_msg", { type: "agent_message", message: "The lexer becomes one function." }),
    codexRow("event_msg", { type: "thread_rolled_back", num_turns: 1 }),
    typed("Rename the lexer, and leave the rest as it is."),
  );
  const { events = [] } = readSession(`${transcripts.codex}${withdrawn}`) ?? {};
  const said = withoutWithdrawn(events).flatMap((event) =>
    event.kind === "prompt" || event.kind === "answer" ? [event.text] : [],
  );
  expect(said).toEqual(["Fix the parser.", "It is fixed.", "Rename the lexer, and leave the rest as it is."]);
});

it("a turn of Claude Code ends where its transcript says so, whatever the client does next", () => {
  const over = anAssistantLine({ content: [{ type: "text", text: "Half is done." }], stop_reason: "end_turn" });
  const later = anAssistantLine({ content: [aToolUse("t9", "Bash", { command: "ls" })] });
  const { events = [] } = readSession(aTranscript(aUserLine("Fix the parser."), over, later)) ?? {};
  expect(events.map(({ kind }) => kind)).toEqual(["prompt", "answer", "turnEnd", "call"]);
});

it("of a command the arguments are the user's words; a notice, an interruption and a summary are not", () => {
  const session = readSession(
    aTranscript(
      aUserLine("<command-name>/review</command-name><command-args>only the lexer</command-args>"),
      aUserLine("<task-notification>done</task-notification>"),
      aUserLine("[Request interrupted by user]"),
      aCompactBoundary(100),
      aUserLine("This session is being continued from a previous conversation: all of it", { isCompactSummary: true }),
      JSON.stringify({
        type: "attachment",
        sessionId: "s",
        attachment: { type: "queued_command", prompt: "and the tests" },
      }),
    ),
  );
  expect(session?.events.map(({ kind, unit }) => [kind, unit])).toEqual([
    ["harness", 1],
    ["prompt", 1],
    ["harness", 2],
    ["interruption", 3],
    ["compacting", 3],
    ["compaction", 5],
    ["prompt", 6],
  ]);
  expect(session?.events.filter(({ kind }) => kind === "prompt")).toMatchObject([
    { text: "only the lexer", typed: "/review only the lexer" },
    { text: "and the tests", isQueued: true },
  ]);
});

it("a session is cut while a call runs, and its transcript ends there", () => {
  for (const client of Object.keys(transcripts) as SessionClient[]) {
    const session = sessionOf(client);
    const cut = allCuts(session).find(({ kind }) => kind === "in mid-turn");
    const { events } = readSession(session.written(0, cut?.unit ?? 0)) ?? { events: [] };
    expect([client, events.at(-1)?.kind, events.some(({ kind }) => kind === "end")]).toEqual([client, "call", false]);
  }
});

it("cuts are drawn by the seed, and are of each kind before two are of one", () => {
  const session = sessionOf("claude-code");
  const chosen = chooseCuts(session, new Random(3), 3);
  expect(chosen).toEqual(chooseCuts(session, new Random(3), 3));
  expect(new Set(chosen.map(({ kind }) => kind)).size).toBe(3);
});

function hookEvents(client: SessionClient): string[] {
  const steps = new HookSteps(client);
  return sessionOf(client).events.flatMap((event) => steps.of(event).map((step) => step.event));
}

it("the hook events are those that the client sends", () => {
  const failing = ["UserPromptSubmit", "PreToolUse", "PostToolUseFailure", "PreToolUse", "PostToolUse", "Stop"];
  expect(hookEvents("claude-code")).toEqual(failing);
  expect(hookEvents("codex")).toEqual(failing.with(2, "PostToolUse"));
});

const parser = "/w/src/parser.ts";
const before: EventBody[] = [
  { kind: "prompt", text: "Write a lexer for the configuration files of the old format." },
  { kind: "call", id: "a", name: "Bash", input: { command: "cargo test lexer --all-features" }, edits: [] },
  { kind: "end", id: "a", error: "the lexer drops the very last token of a file", response: "" },
  { kind: "call", id: "b", name: "Edit", input: { file_path: parser }, edits: [parser] },
  { kind: "end", id: "b", error: null, response: "" },
  { kind: "answer", text: "The lexer is written; its tests pass now." },
  { kind: "turnEnd" },
  { kind: "prompt", text: "Now make the parser report the line of an error." },
  { kind: "harness", text: "<local-command-stdout>Goodbye for today</local-command-stdout>" },
  { kind: "prompt", text: "And the column of it, too, counted from one." },
  { kind: "call", id: "c", name: "Bash", input: { command: "npm run check-columns --all-files" }, edits: [] },
];
const after: EventBody[] = [
  { kind: "end", id: "c", error: null, response: "" },
  { kind: "call", id: "d", name: "Edit", input: {}, edits: [parser, "/w/src/new.ts"] },
  { kind: "end", id: "d", error: null, response: "" },
];

function eventsOf(bodies: readonly EventBody[]): SessionEvent[] {
  return bodies.map((body) => Object.assign({ unit: 1, at: null }, body));
}

function aPlayedCut(brief: string, changes: Partial<PlayedCut> = {}): PlayedCut {
  return {
    session: { client: "claude-code", id: "s", cwd: "/w", events: [], written: () => "" },
    cut: { kind: "in mid-turn", unit: 1 },
    way: "hooks",
    before: eventsOf(before),
    after: eventsOf(after),
    resumed: { brief, refusal: brief === "" ? "unusable" : null, cpuMs: 1, memory: 1, session: "s" },
    briefMs: 1,
    bytes: 1,
    changedFile: null,
    isBranchChanged: false,
    branch: "main",
    has: (path) => path === parser,
    ...changes,
  };
}

it("a brief is measured by what stands in it, whatever its headings", () => {
  const whole = [
    "> And the column of it, too,\n> counted from one.",
    "1. Now make the *parser* report the line of an error.",
    "2. Write a lexer for the configuration files of the old format.",
    "The lexer is written; its tests pass now.",
    "src/parser.ts",
  ].join("\n");
  const none = { filesNext: 0, lastRequest: 0, olderPrompts: 0, lastWords: 0 };
  expect(judge(aPlayedCut(whole))).toMatchObject({
    filesNext: 1,
    lastRequest: 1,
    olderPrompts: 1,
    lastWords: 1,
    harnessText: 0,
  });
  expect(judge(aPlayedCut("something else, of another session"))).toMatchObject(none);
  expect(judge(aPlayedCut(""))).toMatchObject({ ...none, isRefused: 1, tokens: null });
});

it("harness text counts where the chat and the user did not say it", () => {
  expect(judge(aPlayedCut("goal: Goodbye for today"))).toMatchObject({ harnessText: 1 });
  expect(judge(aPlayedCut("‹command-message>init"))).toMatchObject({ harnessText: 1 });
  expect(judge(aPlayedCut("nothing of the kind"))).toMatchObject({ harnessText: 0 });
});

it("lines on work before the two newest prompts are old, the user's words never", () => {
  const lines = [
    "last error: the lexer drops the very last token of a file",
    "$ npm run check-columns --all-files",
    "Write a lexer for the configuration files of the old format.",
  ];
  expect(judge(aPlayedCut(lines.join("\n"))).oldLines).toBe(0.5);
  expect(judge(aPlayedCut(lines[2] ?? "")).oldLines).toBeNull();
});

function claims(brief: string, changes: Partial<PlayedCut> = {}): FalseClaim[] {
  return falseClaims(aPlayedCut(brief, changes));
}

it("a false statement is one that the record contradicts, and no quotation is one", () => {
  expect(claims("- was running when it died: cargo test lexer --all-features")).toEqual(["a call runs that had ended"]);
  expect(claims("- was running when it died: npm run check-columns --all-files")).toEqual([]);
  expect(claims("it was waiting for the user")).toEqual(["waits in mid-turn"]);
  expect(claims("the user interrupted it")).toEqual(["interrupted by nobody"]);
  expect(claims("src/parser.ts: unchanged")).toEqual([]);
  expect(claims("src/parser.ts: unchanged", { changedFile: parser })).toEqual(["a changed file is unchanged"]);
  expect(claims("src/parser.ts: CHANGED")).toEqual(["an unchanged file is changed"]);
  expect(claims("src/parser.ts: MISSING")).toEqual(["a file is missing that is there"]);
  expect(claims("src/parser.ts (deleted): as the chat left it")).toEqual(["a file is missing that is there"]);
  expect(claims("src/parser.ts (deleted): there AGAIN")).toEqual([]);
  expect(claims("git: main at 12345678, unchanged")).toEqual([]);
  expect(claims("git: main at 12345678, unchanged", { isBranchChanged: true })).toEqual(["another branch"]);
  const said = Object.assign({ unit: 1, at: null }, {
    kind: "answer",
    text: "The check was running when it died, as src/parser.ts is MISSING.",
  } as const);
  expect(claims("- The check was running when it died, as src/parser.ts is MISSING.", { before: [said] })).toEqual([]);
});

it("of a long request the beginning and the sentence that forbids something count", () => {
  const filler = "The report lists each shop with its sales of the week and of the week before. ".repeat(6);
  const request = `Write the weekly report. ${filler}Never name a customer in it. Send it when you are done.`;
  expect(keySentence(request)).toBe("Never name a customer in it.");
  expect(requestShare(request, normalized(request.slice(0, 300)))).toBeLessThan(0.7);
  expect(requestShare(request, normalized(`${request.slice(0, 250)} … Never name a customer in it.`))).toBe(1);
});

it("the language is that of most of the prompts", () => {
  expect(languageOf(["fix src/lexer.ts"])).toBe("Latin script");
  expect(languageOf(["src/lexer.ts の字句解析器を直してください"])).toBe("Japanese");
  expect(languageOf(["src/lexer.ts 오류를 고쳐 주세요 부탁합니다"])).toBe("Korean");
});
