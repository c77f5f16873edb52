import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { listMoments, stateOfMoment } from "#src/machine/files/moments.ts";
import { brief } from "#src/machine/recovery/brief/brief.ts";
import { restoreById } from "#src/machine/recovery/incomplete/restoration.ts";
import { list } from "#src/machine/sessions/journal.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { catchUp } from "#src/machine/sessions/transcripts/record-transcript.ts";
import { usageBy } from "#src/machine/sessions/usage/ledger.ts";
import { aChat, anotherClaude, stateOf, storedSession, type Claude } from "#harness/machine/claude.ts";
import type { TempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine, aToolResultLine, aToolUse, aUserLine } from "#harness/machine/transcripts.ts";

/** One turn with an edit, in hooks and transcript; each row names the one before it. */
function turn(runtime: TempRuntime, claude: Claude, name: string, parent: string | null, filler = ""): string {
  runtime.wait(3_000);
  const begun = begin(runtime, claude, name, parent);
  return finish(runtime, claude, name, begun, filler);
}

function begin(runtime: TempRuntime, claude: Claude, name: string, parent: string | null): string {
  const ids = { prompt_id: `${name}-id`, prompt: `${name} please` };
  claude.tell("UserPromptSubmit", ids);
  claude.transcribe(
    aUserLine(`${name} please`, { ...rowOf(runtime, claude, `${name}-prompt`, parent), promptId: `${name}-id` }),
  );
  return `${name}-prompt`;
}

function finish(runtime: TempRuntime, claude: Claude, name: string, parent: string, filler = ""): string {
  const path = join(claude.cwd, `${name}.ts`);
  const call = aToolUse(`toolu_${name}`, "Write", { file_path: path, content: name });
  const usage = { input_tokens: 10, output_tokens: 5 };
  const calls = { id: `msg_${name}_1`, content: [call], stop_reason: "tool_use", usage };
  const input = { tool_name: "Write", tool_input: { file_path: path, content: name }, tool_use_id: `toolu_${name}` };
  claude.tell("PreToolUse", { ...input, prompt_id: `${name}-id` });
  claude.transcribe(anAssistantLine(calls, rowOf(runtime, claude, `${name}-call`, parent)));
  writeFileSync(path, name);
  claude.tell("PostToolUse", { ...input, tool_response: { type: "create", filePath: path }, prompt_id: `${name}-id` });
  const result = { ...rowOf(runtime, claude, `${name}-result`, `${name}-call`), promptId: `${name}-id` };
  claude.transcribe(aToolResultLine(`toolu_${name}`, "written", false, result));
  const said = `${name} is done`;
  const content = [{ type: "text", text: `${said}${filler}` }];
  claude.transcribe(
    anAssistantLine(
      { id: `msg_${name}_2`, content, usage },
      rowOf(runtime, claude, `${name}-answer`, `${name}-result`),
    ),
  );
  claude.tell("Stop", { last_assistant_message: `${said}${filler}`, prompt_id: `${name}-id` });
  return `${name}-answer`;
}

function rowOf(runtime: TempRuntime, { session }: Claude, uuid: string, parentUuid: string | null) {
  const timestamp = new Date(runtime.now()).toISOString();
  return { uuid, parentUuid, timestamp, sessionId: session, session_id: session };
}

function read(runtime: TempRuntime, session: string): string {
  runtime.store.write((sql) => catchUp(sql, runtime.now(), session));
  const from = restoreById(runtime, session);
  return from === null ? "" : brief(from, runtime.now(), "brief");
}

function asked(runtime: TempRuntime, session: string): string[] | undefined {
  return stateOf(runtime, session)?.prompts.map(({ text }) => text);
}

function kindsOf(runtime: TempRuntime, session: string): string[] {
  return runtime.store.read((sql) => list(sql, session, 0), []).map(({ entry }) => entry.kind);
}

/** `--fork-session`: the client copies the rows under its new id, once there is a prompt. */
function fork(runtime: TempRuntime, claude: Claude): Claude {
  const forked = anotherClaude(runtime, claude);
  forked.start("fork");
  const copied = readFileSync(claude.transcript, "utf8").replaceAll(
    `"sessionId":"${claude.session}"`,
    `"sessionId":"${forked.session}"`,
  );
  writeFileSync(forked.transcript, copied);
  return forked;
}

it.each([
  ["", 0],
  ["of megabytes", 700_000],
])(
  "a fork has what its transcript has copied %s: told as of the session that it forked, never counted as its own",
  (_how, chars) => {
    const filler = chars === 0 ? "" : ` ${"and on ".repeat(chars / 7)}`;
    const { runtime, claude } = aChat();
    claude.start();
    const first = turn(runtime, claude, "alpha", null, filler);
    const second = turn(runtime, claude, "beta", first, filler);
    const forked = fork(runtime, claude);
    turn(runtime, forked, "gamma", second);
    forked.kill();
    const text = read(runtime, forked.session);
    expect(asked(runtime, forked.session)).toEqual(["alpha please", "beta please", "gamma please"]);
    expect(text).toContain("3 of 3 prompts quoted");
    expect(text).toContain(`forked from: session ${claude.session.slice(0, 8)}`);
    if (chars === 0) expect(text).toMatch(/its last calls[^]*Write alpha.ts[^]*Write beta.ts[^]*Write gamma.ts/);
    expect(storedSession(runtime, forked.session)).toMatchObject({ title: "gamma please", toolCalls: 1 });
    expect(stateOf(runtime, forked.session)?.files.map(({ path }) => path)).toEqual([join(claude.cwd, "gamma.ts")]);
    const kinds = kindsOf(runtime, forked.session);
    expect(kinds.filter((kind) => ["prompt", "tool_start", "tool_end", "turn_end"].includes(kind))).toHaveLength(4);
    const moments = runtime.store.read((sql) => listMoments(sql, forked.session), []);
    expect(moments.flatMap(({ seq, number }) => (seq === null ? [] : [number]))).toEqual([3]);
    const third = moments.find(({ number }) => number === 3);
    expect(
      third && runtime.store.read((sql) => stateOfMoment(sql, forked.session, moments, third), null),
    ).not.toBeNull();
    const counted = runtime.store.read(
      (sql) => usageBy(sql, { by: "session", since: null, sessions: [forked.session] }, runtime.config.usage),
      [],
    );
    expect(counted).toMatchObject([{ responses: 2 }]);
  },
);

it("a fork goes back to before a prompt that it has copied", () => {
  const { runtime, claude } = aChat();
  claude.start();
  const first = turn(runtime, claude, "alpha", null);
  const second = turn(runtime, claude, "beta", first);
  const forked = fork(runtime, claude);
  turn(runtime, forked, "gamma", second);
  turn(runtime, forked, "delta", first);
  const text = read(runtime, forked.session);
  expect(asked(runtime, forked.session)).toEqual(["alpha please", "delta please"]);
  expect(text).toMatch(/took back in the client[^]*beta please[^]*gamma please/);
});

it("two windows of one session: each has the history and its own prompts, words and calls, and none of the other's", () => {
  const { runtime, claude } = aChat();
  claude.start();
  const shared = turn(runtime, claude, "alpha", null);
  const window = anotherClaude(runtime, claude, { session: claude.session });
  window.start("resume");
  turn(runtime, window, "beta", shared);
  const begun = begin(runtime, claude, "gamma", shared);
  const other = begin(runtime, window, "delta", "beta-answer");
  finish(runtime, claude, "gamma", begun, ` ${"and on ".repeat(200_000)}`);
  finish(runtime, window, "delta", other);
  const printed = claude.prompt("last please");
  const own =
    runtime.store.read((sql) => sessions.list(sql), []).find((one) => one.parentId === claude.session)?.id ?? "";
  const [one, two] = [claude.session, own].map((id) => read(runtime, id));
  expect(asked(runtime, claude.session)).toEqual(["alpha please", "gamma please", "last please"]);
  expect(asked(runtime, own)).toEqual(["alpha please", "beta please", "delta please"]);
  expect(printed.systemMessage ?? "").not.toContain("did not reach");
  expect(one).not.toMatch(/(?:beta|delta)(?: please| is done|\.ts)|took back|two branches/);
  expect(two).not.toMatch(/gamma(?: please| is done|\.ts)|took back|two branches/);
  expect(two).toMatch(/alpha is done[^]*beta is done[^]*delta is done/);
  const counts = [claude.session, own].map((id) => storedSession(runtime, id).toolCalls);
  expect(counts).toEqual([2, 2]);
});
