import { appendFileSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { answerHook, drainInto } from "#src/local-mcp/events/answer-hook.ts";
import { spoolEvent } from "#src/local-mcp/events/spool-event.ts";
import { catchUp } from "#src/machine/transcripts/record-transcript.ts";
import { refresh } from "#src/machine/signals/observe.ts";
import { isPaused, pause, resume } from "#src/store/pause.ts";
import { capture } from "#src/machine/checkpoints/capture.ts";
import { forget } from "#src/machine/keeping/forget.ts";
import { aProject, Claude, storedSession, aChat, anotherClaude, stateOf } from "#harness/machine/claude.ts";
import { leaked, tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine } from "#harness/machine/transcripts.ts";

const secret = "words-of-the-pause";
const open = "words-outside-of-it";

function say(runtime: TempRuntime, path: string, text: string, cwd?: string): void {
  const timestamp = new Date(runtime.now()).toISOString();
  appendFileSync(
    path,
    `${anAssistantLine({ content: [{ type: "text", text }] }, { timestamp, ...(cwd ? { cwd } : {}) })}\n`,
  );
}

/** An event of a session, with another folder or transcript than its usual ones. */
function tell(runtime: TempRuntime, claude: Claude, fields: object, event = "Notification"): void {
  runtime.wait(20);
  const input = { ...claude.input("Notification"), message: "m", hook_event_name: event, ...fields };
  answerHook(runtime, event, () => JSON.stringify(input), claude.pid);
}

function begin(runtime: TempRuntime, project: string | null, until: number | null = null): void {
  runtime.wait(20);
  runtime.store.write((sql) => pause(sql, runtime.now(), until, project));
  runtime.wait(20);
}

function end(runtime: TempRuntime, project: string | null): void {
  runtime.wait(20);
  runtime.store.write((sql) => resume(sql, runtime.now(), project));
  runtime.wait(20);
}

it("a chat that moves into a paused project stores nothing of what is said there, by no way", () => {
  const runtime = tempRuntime();
  const paused = aProject();
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.turn("begin elsewhere");
  begin(runtime, paused);
  say(runtime, claude.transcript, secret);
  tell(runtime, claude, { cwd: paused });
  say(runtime, claude.transcript, `${secret}-2`);
  refresh(runtime, storedSession(runtime, claude.session), {});
  runtime.store.write((sql) => catchUp(sql, runtime.now(), claude.session));
  end(runtime, paused);
  say(runtime, claude.transcript, open);
  tell(runtime, claude, { cwd: paused });
  expect(leaked(runtime, [secret, open])).toEqual([open]);
});

it("a chat that leaves a paused project is stored again, without what was said in it", () => {
  const { runtime, claude } = aChat();
  begin(runtime, claude.cwd);
  say(runtime, claude.transcript, secret);
  claude.prompt(`${secret} in a prompt`);
  const other = aProject();
  say(runtime, claude.transcript, `${secret}-2`);
  tell(runtime, claude, { cwd: other, prompt: open }, "UserPromptSubmit");
  expect(leaked(runtime, [secret, open])).toEqual([open]);
});

it("a transcript with another path during a pause is not read from its beginning after the pause", () => {
  for (const hadPath of [true, false]) {
    const { runtime, claude } = aChat();
    const other = join(claude.cwd, "other.jsonl");
    tell(runtime, claude, hadPath ? {} : { transcript_path: undefined });
    begin(runtime, null);
    say(runtime, other, secret);
    tell(runtime, claude, { transcript_path: other });
    say(runtime, claude.transcript, secret);
    tell(runtime, claude, {});
    end(runtime, null);
    for (const path of [other, claude.transcript]) {
      say(runtime, path, `${open} ${path}`);
      tell(runtime, claude, { transcript_path: path });
    }
    expect(leaked(runtime, [secret])).toEqual([]);
    expect(leaked(runtime, [open])).toEqual([open]);
  }
});

it("what was said during a pause without any event is known by its time", () => {
  for (const isTimed of [true, false]) {
    const { runtime, claude } = aChat();
    claude.turn("before");
    begin(runtime, claude.cwd, isTimed ? runtime.now() + 1_000 : null);
    runtime.wait(480);
    say(runtime, claude.transcript, secret);
    runtime.wait(1_000);
    if (!isTimed) end(runtime, claude.cwd);
    say(runtime, claude.transcript, open);
    tell(runtime, claude, {});
    expect(leaked(runtime, [secret, open])).toEqual([open]);
  }
});

it("links in either direction, folders below and projects within count as the paused project", () => {
  const runtime = tempRuntime();
  const [project, other] = [aProject(), aProject()];
  const [link, within] = [join(other, "link"), join(project, "packages", "one")];
  symlinkSync(project, link);
  mkdirSync(join(within, ".git"), { recursive: true });
  const isNow = (folder: string): boolean => runtime.store.read((sql) => isPaused(sql, runtime.now(), folder), false);
  for (const named of [project, link]) {
    begin(runtime, named);
    const folders = [project, link, within, join(link, "packages"), other, `${project}-other`];
    expect(folders.filter(isNow)).toEqual(folders.slice(0, 4));
    end(runtime, named);
  }
});

it("an event without a folder comes from where its session works", () => {
  const { runtime, claude } = aChat();
  claude.turn("before");
  begin(runtime, claude.cwd);
  tell(runtime, claude, { cwd: undefined, prompt: secret }, "UserPromptSubmit");
  expect(leaked(runtime, [secret])).toEqual([]);
});

it("an event from the spool is judged by its time, and none is spooled during a pause", () => {
  const { runtime, claude } = aChat();
  claude.turn("before");
  const event = (prompt: string): void => {
    const input = { ...claude.input("UserPromptSubmit", { prompt }), session_id: claude.session } as never;
    spoolEvent(runtime, { clientName: "claude-code", event: "UserPromptSubmit", input, clientPid: claude.pid });
    runtime.wait(20);
  };
  event(open);
  begin(runtime, claude.cwd);
  event(secret);
  end(runtime, claude.cwd);
  drainInto(runtime);
  expect(leaked(runtime, [secret, open])).toEqual([open]);
});

it("a chat that continues after it was forgotten begins again: its transcript does not restore the old talk", () => {
  const { runtime, claude } = aChat();
  for (const text of ["the old talk", "more of the old talk"]) {
    claude.say(text);
    claude.use("Bash");
  }
  runtime.store.write((sql) => forget(sql, { session: claude.session }));
  claude.say("the new talk");
  claude.use("Bash");
  const talk = JSON.stringify(stateOf(runtime, claude.session)?.words);
  expect([talk.includes("old talk"), talk.includes("the new talk")]).toEqual([false, true]);
});

it("what a chat was handed of a forgotten session is gone from its own checkpoints, and stays gone", () => {
  const { runtime, claude: first } = aChat();
  first.prompt("the forgotten goal");
  first.kill();
  const second = anotherClaude(runtime, first);
  second.start();
  const state = (prompt: string): string => {
    second.prompt(prompt);
    capture(runtime, { sessionId: second.session, trigger: "on_demand" });
    return JSON.stringify(stateOf(runtime, second.session));
  };
  expect(state("go on")).toContain("the forgotten goal");
  runtime.store.write((sql) => forget(sql, { session: first.session }));
  expect(JSON.stringify(stateOf(runtime, second.session))).not.toContain("the forgotten goal");
  expect(state("and on")).not.toContain("the forgotten goal");
});
