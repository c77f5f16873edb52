import { rmSync } from "node:fs";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { listMoments } from "#src/machine/files/moments.ts";
import { timeline } from "#src/machine/recovery/session-view.ts";
import { brief } from "#src/machine/recovery/brief/brief.ts";
import { standingOf } from "#src/machine/sessions/life/questions.ts";
import * as marks from "#src/machine/recovery/marks.ts";
import { restoreById } from "#src/machine/recovery/incomplete/restoration.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as news from "#src/machine/sessions/news.ts";
import { readContent } from "#src/machine/sessions/session-content.ts";
import { catchUp } from "#src/machine/sessions/transcripts/record-transcript.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { pause, resume } from "#src/store/pause.ts";
import {
  aChat,
  aChatAtWork,
  aLiveClaude,
  anotherClaude,
  Claude,
  journalKinds,
  stateOf,
  storedSession,
} from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { aToolResultLine, aToolUse, anApiErrorLine, anAssistantLine, aUserLine } from "#harness/machine/transcripts.ts";

function timeOf(runtime: TempRuntime): { readonly timestamp: string } {
  return { timestamp: new Date(runtime.now()).toISOString() };
}

function promptsOf(runtime: TempRuntime, { session }: Claude): string[] | undefined {
  return stateOf(runtime, session)?.prompts.map(({ text }) => text);
}

function readOn(runtime: TempRuntime, { session }: Claude): void {
  runtime.store.write((sql) => catchUp(sql, runtime.now(), session));
}

function briefOf(runtime: TempRuntime, { session }: Claude): string {
  readOn(runtime, { session } as Claude);
  const from = restoreById(runtime, session);
  return from === null ? "" : brief(from, runtime.now(), "brief");
}

function queued(runtime: TempRuntime, operation: string, content?: string): string {
  return JSON.stringify({ type: "queue-operation", operation, content, ...timeOf(runtime) });
}

it("a prompt whose event never came is taken from the transcript, before its answer, in brief, fork and title", () => {
  const { runtime, claude } = aChat();
  const write = (uuid: string, text: string): void => claude.transcribe(aUserLine(text, { uuid, ...timeOf(runtime) }));
  claude.start();
  write("one", "rename it");
  const call = [aToolUse("t1", "Bash", { command: "make" })];
  claude.transcribe(anAssistantLine({ id: "m1", content: call, stop_reason: "tool_use" }, timeOf(runtime)));
  runtime.wait(60_000);
  claude.transcribe(aToolResultLine("t1", "ok", false, timeOf(runtime)));
  runtime.wait(10);
  write("two", "never touch the lexer");
  runtime.wait(60_000);
  write("three", "then commit");
  claude.prompt("then commit");
  claude.kill();
  expect(promptsOf(runtime, claude)).toEqual(["rename it", "never touch the lexer", "then commit"]);
  expect(storedSession(runtime, claude.session).title).toBe("rename it");
  const kinds = runtime.store.read((sql) => journal.list(sql, claude.session, 0), []).map(({ entry }) => entry.kind);
  expect(kinds).toEqual(["start", "prompt", "tool_start", "tool_end", "prompt", "prompt"]);
  const moments = runtime.store.read((sql) => listMoments(sql, claude.session), []);
  expect(moments.map(({ number, text }) => `${number} ${text}`)).toEqual([
    "1 rename it",
    "2 never touch the lexer",
    "3 then commit",
  ]);
  expect(briefOf(runtime, claude)).toMatch(/never touch the lexer[^]*3 of 3 prompts quoted/);
});

const said = fc.record({
  text: fc.constantFrom("go on", "go on", "yes", "and the docs"),
  by: fc.constantFrom("event", "row", "both", "row first", "both, read at once"),
});

it("of any prompts, each reported by an event, a row or both in any order, each is there once, in the order of their times", () => {
  fc.assert(
    fc.property(fc.array(said, { maxLength: 8 }), (all) => {
      const { runtime, claude } = aChatAtWork("begin");
      for (const [index, { text, by }] of all.entries()) {
        runtime.wait(30_000);
        const row = (): void => {
          if (by !== "event") claude.transcribe(aUserLine(text, { uuid: `r${index}`, ...timeOf(runtime) }));
          if (by !== "both, read at once") readOn(runtime, claude);
        };
        if (by === "row first" || by === "both, read at once") row();
        runtime.wait(by === "row first" ? 4_000 : 0);
        if (by !== "row") claude.prompt(text);
        if (by === "both" || by === "row") row();
        // A row has come for each event so far, as with the real client.
        if (by === "event") claude.transcribe(aUserLine(text, { uuid: `e${index}`, ...timeOf(runtime) }));
      }
      readOn(runtime, claude);
      expect(promptsOf(runtime, claude)).toEqual(["begin", ...all.map(({ text }) => text)]);
    }),
    { numRuns: 30 },
  );
});

it("an event that comes later than its row is no second prompt, and one that comes twice neither", () => {
  const { runtime, claude } = aChatAtWork("begin");
  runtime.wait(60_000);
  claude.transcribe(aUserLine("and the docs", { uuid: "late", ...timeOf(runtime) }));
  readOn(runtime, claude);
  runtime.wait(5_000);
  const input = JSON.stringify(claude.input("UserPromptSubmit", { prompt: "and the docs", prompt_id: "p2" }));
  for (const _ of [1, 2]) answerHook(runtime, "UserPromptSubmit", () => input, claude.pid);
  expect(promptsOf(runtime, claude)).toEqual(["begin", "and the docs"]);
});

it("what one source has of a prompt is completed by what the other one has, in journal and state", () => {
  const { runtime, claude } = aChatAtWork("begin");
  const image = { type: "image", source: { media_type: "image/png" } };
  const content = [{ type: "text", text: "like this" }, image];
  claude.prompt("like this");
  claude.transcribe(aUserLine("", { uuid: "image", message: { role: "user", content }, ...timeOf(runtime) }));
  claude.use("Bash");
  runtime.wait(60_000);
  claude.prompt("a very long one [cut off: the rest did not arrive]");
  claude.transcribe(aUserLine("a very long one, to its end", { uuid: "long", ...timeOf(runtime) }));
  claude.use("Bash");
  const whole = ["begin", "like this\n[attached: image/png]", "a very long one, to its end"];
  expect(promptsOf(runtime, claude)).toEqual(whole);
  const moments = runtime.store.read((sql) => listMoments(sql, claude.session), []);
  expect(moments.map(({ text }) => text)).toEqual(whole);
});

it("a prompt that comes while a call runs does not end that call; a new client has none of the one before", () => {
  const { runtime, claude } = aChatAtWork("run the long tests");
  claude.begin("Bash", { command: "sh long-tests.sh" });
  claude.prompt("also write the changelog");
  const state = stateOf(runtime, claude.session);
  expect(state && standingOf(state.life)).toBe("running");
  claude.kill();
  expect(briefOf(runtime, claude)).toMatch(/in mid-turn, running Bash sh long-tests\.sh[^]*also write the changelog/);
  claude.resume();
  claude.prompt("go on");
  expect(stateOf(runtime, claude.session)?.life.calls).toEqual([]);
});

it("a prompt that still waits in the queue is there once, whenever its rows and its event come", () => {
  const { runtime, claude } = aChatAtWork("begin");
  const step = (...rows: string[]): void => {
    claude.transcribe(...rows);
    readOn(runtime, claude);
    runtime.wait(60_000);
  };
  claude.begin("Bash", { command: "make" });
  step(queued(runtime, "enqueue", "without event"));
  const taken = { type: "queued_command", prompt: "without event", commandMode: "prompt" };
  step(JSON.stringify({ type: "attachment", attachment: taken, uuid: "a1", ...timeOf(runtime) }));
  claude.prompt("with event");
  step(queued(runtime, "enqueue", "with event"));
  step(queued(runtime, "dequeue"), aUserLine("with event", { uuid: "u1", ...timeOf(runtime) }));
  step(queued(runtime, "enqueue", "taken back"), queued(runtime, "popAll"));
  step(queued(runtime, "enqueue", "<task-notification><task-id>b1</task-id></task-notification>"));
  step(queued(runtime, "enqueue", "with event"));
  expect(promptsOf(runtime, claude)).toEqual(["begin", "without event", "with event", "with event"]);
});

it("a prompt that the client writes again when it repeats a failed request is one prompt", () => {
  const { runtime, claude } = aChat();
  const row = { type: "progress", uuid: "p", parentUuid: "one", ...timeOf(runtime) };
  claude.start("resume");
  claude.transcribe(
    aUserLine("fix it", { uuid: "one", ...timeOf(runtime) }),
    JSON.stringify(row),
    aUserLine("fix it", { uuid: "two", parentUuid: "p", timestamp: new Date(runtime.now() + 3_000).toISOString() }),
    anApiErrorLine("403", { uuid: "error", parentUuid: "two", ...timeOf(runtime) }),
    aUserLine("fix it", {
      uuid: "three",
      parentUuid: "error",
      timestamp: new Date(runtime.now() + 60_000).toISOString(),
    }),
  );
  readOn(runtime, claude);
  expect(promptsOf(runtime, claude)).toEqual(["fix it", "fix it"]);
});

it("where the transcript could not be read the brief does not claim its count", () => {
  const { runtime, claude } = aChatAtWork("rename it");
  claude.transcribe(aUserLine("rename it", { uuid: "one", ...timeOf(runtime) }));
  claude.stop();
  expect(briefOf(runtime, claude)).toContain("1 of 1 prompts quoted");
  rmSync(claude.transcript);
  expect(briefOf(runtime, claude)).toMatch(
    /1 of at least 1 prompts quoted; the end of the conversation could not be read/,
  );
});

it("what SHIM gave a chat is no prompt of its user where the client writes it as one", () => {
  const { runtime, claude } = aChatAtWork("begin");
  const words = "SHIM: your user writes from the live page, 3 s ago. The fence has the user's own words, as a prompt:";
  const fence = `shim-user-message-${claude.session.slice(0, 8)}`;
  claude.transcribe(aUserLine(`${words}\n<${fence}>\ncommit first\n</${fence}>`, { uuid: "own", ...timeOf(runtime) }));
  readOn(runtime, claude);
  expect(promptsOf(runtime, claude)).toEqual(["begin"]);
});

function write(runtime: TempRuntime, to: string, text: string): void {
  const message = { kind: "user_message", by: "phone Ada's Pixel", text } as const;
  runtime.store.write((sql) => void news.add(sql, runtime.now(), to, `${news.wordsKey(to)}${text}`, message));
}

it("words from a phone are a prompt when the chat has them, with their origin, in timeline, brief, fork and undo", () => {
  const { runtime, claude } = aChatAtWork("clean up");
  write(runtime, claude.session, "never touch the billing folder");
  runtime.wait(1_000);
  expect(claude.stop().reason).toContain("never touch the billing folder");
  expect(stateOf(runtime, claude.session)).toMatchObject({ prompts: [{}, { from: "phone Ada's Pixel" }] });
  const state = stateOf(runtime, claude.session);
  expect(state && standingOf(state.life)).toBe("unanswered");
  claude.stop("It stays as it is.");
  write(runtime, claude.session, "and the docs");
  runtime.wait(1_000);
  claude.prompt("then commit");
  const shown = [
    "clean up",
    "(from the phone Ada's Pixel) never touch the billing folder",
    "(from the phone Ada's Pixel) and the docs",
    "then commit",
  ];
  const moments = runtime.store.read((sql) => listMoments(sql, claude.session), []);
  expect(moments.map(({ text }) => text)).toEqual(shown);
  const content = runtime.store.read((sql) => readContent(sql, claude.session), null);
  const lines = content && timeline(content).flatMap(({ kind, text }) => (kind === "prompt" ? [text] : []));
  expect(lines).toEqual(shown.map((text) => `user: ${text}`));
  claude.kill();
  expect(briefOf(runtime, claude)).toMatch(
    /from the phone Ada's Pixel\) never touch the billing folder[^]*4 of at least 4 prompts quoted \(no transcript was read\)/,
  );
});

it("words that wait go on to the chat that continues, once, and come back where that is undone", () => {
  const runtime = tempRuntime();
  const dead = aLiveClaude(runtime, "clean up");
  const take = (from: string, to: Claude): unknown =>
    marks.take(runtime, { session: from, to: to.session, score: null });
  write(runtime, dead.session, "never touch the billing folder");
  dead.kill();
  const [first, second, third] = ["b", "c", "d"].map((letter, index) =>
    anotherClaude(runtime, dead, { session: `${letter}${dead.session.slice(1)}`, pid: 2_000 + index }),
  ) as [Claude, Claude, Claude];
  for (const one of [first, second, third]) one.start();
  take(dead.session, first);
  marks.undo(runtime, dead.session);
  expect(JSON.stringify(first.prompt("hello"))).not.toContain("billing");
  take(dead.session, second);
  second.kill();
  take(second.session, third);
  expect(JSON.stringify(third.prompt("go on"))).toContain("never touch the billing folder");
  expect(JSON.stringify(third.prompt("and now?"))).not.toContain("billing");
  expect(promptsOf(runtime, third)).toEqual(["never touch the billing folder", "go on", "and now?"]);
});

/** Each thing that the user says has a text of its own. */
const sayings = {
  prompts: (chat: Claude, _runtime: TempRuntime, text: string) => chat.prompt(text),
  "prompts, as its row says": (chat, runtime, text) =>
    chat.transcribe(aUserLine(text, { uuid: text, ...timeOf(runtime) })),
  "prompts, by event and row": (chat, runtime, text) => {
    chat.transcribe(aUserLine(text, { uuid: text, ...timeOf(runtime) }));
    chat.prompt(text);
  },
  "types ahead": (chat, runtime, text) => chat.transcribe(queued(runtime, "enqueue", text)),
  "writes from a phone": (chat, runtime, text) => write(runtime, chat.session, text),
} satisfies Record<string, (chat: Claude, runtime: TempRuntime, text: string) => unknown>;

const doings = {
  calls: (chat: Claude) => chat.begin("Bash", { command: "make" }),
  "ends its turn": (chat) => chat.stop(),
  "is killed": (chat) => chat.kill(),
  "is opened again": (chat) => chat.resume(),
  "is read": (chat, runtime) => readOn(runtime, chat),
  "is taken": ({ session }, runtime, other) => marks.take(runtime, { session, to: other.session, score: null }),
  "is given back": ({ session }, runtime) => marks.undo(runtime, session),
} satisfies Record<string, (chat: Claude, runtime: TempRuntime, other: Claude) => unknown>;

const keysOf = <Key extends string>(all: Readonly<Record<Key, unknown>>): Key[] => Object.keys(all) as Key[];
const aMoment = fc.record({ by: fc.nat(1), does: fc.constantFrom(...keysOf(sayings), ...keysOf(doings)) });

it("each thing that the user says is a prompt of one chat, once, or waits for one", () => {
  const property = fc.property(fc.array(aMoment, { maxLength: 14 }), (moments) => {
    const runtime = tempRuntime();
    const one = aLiveClaude(runtime, "begin");
    const chats = [one, anotherClaude(runtime, one)];
    chats[1]?.start();
    const said: string[] = [];
    for (const { by, does } of moments) {
      runtime.wait(20_000);
      const [chat = one, other = one] = by === 0 ? chats : chats.toReversed();
      if (does in doings) doings[does as keyof typeof doings](chat, runtime, other);
      else {
        said.push(`saying ${said.length}`);
        sayings[does as keyof typeof sayings](chat, runtime, said.at(-1) ?? "");
      }
    }
    for (const chat of chats) readOn(runtime, chat);
    const waiting = chats.flatMap(({ session }) => runtime.store.read((sql) => news.waitingWords(sql, session), []));
    const found = [...chats.flatMap((chat) => promptsOf(runtime, chat) ?? []), ...waiting.map(({ text }) => text)];
    expect(found.filter((text) => text !== "begin").toSorted()).toEqual(said.toSorted());
  });
  fc.assert(property, { numRuns: 60 });
});

it("what the client wrote before a pause is read, by an event in it and without one, and nothing of the pause", () => {
  for (const hasEvent of [true, false]) {
    const { runtime, claude } = aChatAtWork("deploy");
    claude.begin("Bash", { command: "npm run deploy" });
    runtime.wait(1_000);
    claude.transcribe(aUserLine("[Request interrupted by user for tool use]", { uuid: "i", ...timeOf(runtime) }));
    claude.transcribe(aUserLine("only the tests", { uuid: "before", ...timeOf(runtime) }));
    runtime.wait(1_000);
    runtime.store.write((sql) => pause(sql, runtime.now(), null, claude.cwd));
    runtime.wait(1_000);
    claude.transcribe(
      aUserLine("private", { uuid: "within", ...timeOf(runtime) }),
      JSON.stringify({ type: "user", uuid: "no-time", message: { content: "private, too" } }),
    );
    if (hasEvent) claude.tell("Notification", { message: "m" });
    else readOn(runtime, claude);
    runtime.wait(1_000);
    runtime.store.write((sql) => void resume(sql, runtime.now(), claude.cwd));
    claude.prompt("go on");
    expect(promptsOf(runtime, claude)).toEqual(["deploy", "only the tests", "go on"]);
    expect(stateOf(runtime, claude.session)?.life.calls).toEqual([]);
    expect(journalKinds(runtime, claude.session)).toContain("interrupted");
  }
});

it("the end of a call that died with its client, read after the turn of the next one, does not open that turn again", () => {
  const { runtime, claude } = aChatAtWork("deploy");
  const id = claude.begin("Bash", { command: "npm run deploy" });
  const died = timeOf(runtime);
  runtime.wait(60_000);
  claude.resume();
  claude.prompt("go on");
  claude.stop();
  runtime.wait(60_000);
  claude.transcribe(aToolResultLine(id, "[Tool call interrupted: its outcome is unknown]", true, died));
  claude.say("All done with it.");
  claude.end("other");
  expect(storedSession(runtime, claude.session)).toMatchObject({
    toolErrors: 1,
    ending: { how: "closed", isOpen: false },
  });
});
