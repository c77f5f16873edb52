import { expect, it } from "vitest";
import { codex } from "#src/clients/codex/codex.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { recordDeaths } from "#src/machine/recovery/incomplete/deaths.ts";
import { aProject, journalKinds, storedSession } from "#harness/machine/claude.ts";
import { connect } from "#harness/machine/mcp-process.ts";
import { listCrashes, tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

const [one, two] = ["01a2045b-7370-7310-ae86-759c5ba1215d", "01a2045b-738d-7bd2-87af-c202c9d1a215"] as const;

/** A process of Codex, whose threads report their events in any order. */
function aCodex(runtime: TempRuntime, pid = 400): (thread: string, event: string, fields?: object) => void {
  const cwd = aProject();
  runtime.processes.start(pid, 1);
  return (thread, event, fields = {}) => {
    const input = { session_id: thread, turn_id: `turn-${thread}`, cwd, ...fields };
    answerHook(runtime, event, () => JSON.stringify(input), pid, codex);
  };
}

function begin(tell: ReturnType<typeof aCodex>, thread: string): void {
  tell(thread, "SessionStart", { source: "startup" });
  tell(thread, "UserPromptSubmit", { prompt: `fix the parser of ${thread}` });
}

function tool(tell: ReturnType<typeof aCodex>, thread: string, event: "PreToolUse" | "PostToolUse"): void {
  tell(thread, event, { tool_name: "Bash", tool_use_id: `call-${thread}`, tool_input: { command: "npm test" } });
}

it("threads of one process that take turns are a session each, and each has its own end", () => {
  const runtime = tempRuntime();
  const tell = aCodex(runtime);
  begin(tell, one);
  begin(tell, two);
  tool(tell, one, "PreToolUse");
  tool(tell, two, "PreToolUse");
  tool(tell, one, "PostToolUse");
  tell(one, "Stop", { last_assistant_message: "Done." });
  tell(one, "UserPromptSubmit", { turn_id: "next", prompt: "and the lexer" });
  for (const id of [one, two]) expect(storedSession(runtime, id)).toMatchObject({ endedAt: null, owner: { pid: 400 } });
  expect(journalKinds(runtime, two)).toEqual(["start", "prompt", "tool_start"]);
  tell(two, "SessionEnd", { reason: "other" });
  expect(storedSession(runtime, one).endedAt).toBeNull();
});

it("when the process is gone, a thread that the user has left is closed, and those that worked have died", () => {
  const runtime = tempRuntime();
  const tell = aCodex(runtime);
  const three = "01a2045b-738d-7bd2-87af-c202c9d1a999";
  for (const id of [one, two, three]) begin(tell, id);
  tell(one, "Stop", { last_assistant_message: "Done." });
  tool(tell, two, "PreToolUse");
  tell(three, "Stop", { last_assistant_message: "Done." });
  runtime.processes.kill(400);
  recordDeaths(runtime, () => true);
  const causes = runtime.store.read((sql) => listCrashes(sql), []).map(({ session, cause }) => [session, cause]);
  expect(Object.fromEntries(causes)).toEqual({ [one]: "closed", [two]: "killed", [three]: "killed" });
});

it("each of its servers serves the thread that its calls name, and before that none of several", async () => {
  const runtime = tempRuntime();
  const tell = aCodex(runtime);
  begin(tell, one);
  const name = "codex-mcp-client";
  const ofOne = await connect(runtime, { name, era: "legacy", serverPid: 500 });
  const ofTwo = await connect(runtime, { name, era: "legacy", serverPid: 501 });
  await ofOne.client.listTools();
  expect(ofOne.chat.servedSessions()).toEqual([one]);
  begin(tell, two);
  await ofTwo.client.listTools();
  expect([ofOne.chat.servedSessions(), ofTwo.chat.servedSessions()]).toEqual([[], []]);
  const ask = async ({ client }: typeof ofOne, sessionId: string): Promise<unknown> => {
    const call = { name: "shim_session_status", arguments: {}, _meta: { sessionId, threadId: sessionId } };
    return (await client.callTool(call)).structuredContent;
  };
  expect(await ask(ofOne, one)).toMatchObject({ session: one });
  expect(await ask(ofTwo, two)).toMatchObject({ session: two });
  expect([ofOne.chat.servedSessions(), ofTwo.chat.servedSessions()]).toEqual([[one], [two]]);
});
