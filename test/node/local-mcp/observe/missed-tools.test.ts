import { appendFileSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { currentState } from "#src/local-mcp/checkpoints/capture.ts";
import { catchUp } from "#src/local-mcp/observe/record-transcript.ts";
import { aLiveClaude, journalKinds, storedSession, Claude } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine, aToolResultLine, aToolUse } from "#harness/machine/transcripts.ts";

function aChat(): { runtime: TempRuntime; claude: Claude; write: (...lines: string[]) => void } {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime, "Make the parser accept empty input");
  writeFileSync(claude.transcript, "");
  return {
    runtime,
    claude,
    write: (...lines) => appendFileSync(claude.transcript, lines.map((l) => `${l}\n`).join("")),
  };
}

/** After the start of the chat. */
const written = { timestamp: "2030-01-01T00:00:00.000Z" };
const use = (id: string, name: string, input: object): string =>
  anAssistantLine({ content: [aToolUse(id, name, input)] }, written);
const result = (id: string, content: string, isError: boolean): string =>
  aToolResultLine(id, content, isError, written);

it("[JO20] [HO37] tool calls whose events never came are read from the transcript, and the user is told once", () => {
  const { runtime, claude, write } = aChat();
  const file = `${claude.cwd}/parser.ts`;
  write(use("toolu_a", "Edit", { file_path: file }), result("toolu_a", "ok", false));
  write(use("toolu_b", "Bash", { command: "npm test" }), result("toolu_b", "Exit code 1", true));
  write(use("toolu_c", "Bash", { command: "npm run build" }), result("toolu_c", "ok", false));
  expect(claude.prompt("and now the lexer").systemMessage).toContain("2 tool calls did not reach the MCP process");
  expect(claude.prompt("go on").systemMessage).toBeUndefined();
  const kinds = journalKinds(runtime, claude.session);
  expect(kinds.filter((kind) => kind.startsWith("tool_"))).toEqual([
    "tool_start",
    "tool_start",
    "tool_start",
    "tool_end",
    "tool_error",
    "tool_end",
  ]);
  expect(storedSession(runtime, claude.session)).toMatchObject({ toolCalls: 3, toolErrors: 1 });
  const state = runtime.store.read((sql) => currentState(sql, claude.session), null);
  expect(state?.files).toMatchObject([{ path: file, action: "edited" }]);
  expect(state?.runningTools).toEqual([]);
});

it("[JO20] an event that comes after all, or came before, counts once, and is no reason to tell the user", () => {
  const { runtime, claude, write } = aChat();
  const id = claude.begin("Bash", { command: "echo one" });
  write(use(id, "Bash", { command: "echo one" }));
  write(use("toolu_late", "Bash", { command: "echo two" }));
  claude.done(id, "Bash", { command: "echo one" });
  claude.tell("PreToolUse", { tool_name: "Bash", tool_use_id: "toolu_late", tool_input: { command: "echo two" } });
  write(result(id, "one", false), result("toolu_late", "two", false));
  claude.done("toolu_late", "Bash", { command: "echo two" });
  expect(claude.prompt("next").systemMessage).toBeUndefined();
  expect(journalKinds(runtime, claude.session).filter((kind) => kind.startsWith("tool_"))).toHaveLength(4);
  expect(storedSession(runtime, claude.session)).toMatchObject({ toolCalls: 2, toolErrors: 0 });
});

it("[JO20] a call whose start came by its event and whose end did not runs no more", () => {
  const { runtime, claude, write } = aChat();
  const id = claude.begin("Write", { file_path: `${claude.cwd}/new.ts` });
  write(use(id, "Write", { file_path: `${claude.cwd}/new.ts` }));
  claude.tell("Notification", { message: "waits" });
  write(result(id, "ok", false));
  runtime.store.write((sql) => catchUp(sql, runtime.now(), claude.session));
  const state = runtime.store.read((sql) => currentState(sql, claude.session), null);
  expect([state?.runningTools, state?.files.map(({ action }) => action)]).toEqual([[], ["edited"]]);
});

it("[JO20] a call that the user denied, or the guard refused, ends as an error and is not told as missed", () => {
  const { runtime, claude, write } = aChat();
  write(use("toolu_x", "Edit", { file_path: `${claude.cwd}/a.ts` }), result("toolu_x", "denied", true));
  expect(claude.prompt("why?").systemMessage).toBeUndefined();
  expect(journalKinds(runtime, claude.session)).toContain("tool_error");
});

it("[JO21] a tool that the client killed at its end, and then called failed, counts as running when the session died", () => {
  for (const end of ["the hook", "the server"]) {
    const { runtime, claude, write } = aChat();
    const id = claude.begin("Bash", { command: "sleep 600" });
    write(use(id, "Bash", { command: "sleep 600" }), result(id, "Exit code 137", true));
    if (end === "the hook") claude.tell("SessionEnd", { reason: "other" });
    else runtime.store.write((sql) => catchUp(sql, runtime.now(), claude.session));
    const state = runtime.store.read((sql) => currentState(sql, claude.session), null);
    expect([state?.runningTools.length, journalKinds(runtime, claude.session).includes("tool_error")]).toEqual([
      1,
      false,
    ]);
    expect(storedSession(runtime, claude.session).toolErrors).toBe(0);
  }
});

it("[JO21] a failure that the chat went on from is one, also when it is read at the end", () => {
  const { runtime, claude, write } = aChat();
  const id = claude.begin("Bash", { command: "npm test" });
  write(use(id, "Bash", { command: "npm test" }), result(id, "Exit code 1", true));
  write(anAssistantLine({ id: "msg_2" }, { timestamp: "2030-01-01T00:00:01.000Z" }));
  claude.tell("SessionEnd", { reason: "other" });
  expect(journalKinds(runtime, claude.session)).toContain("tool_error");
});

it("[JO22] the calls that a fork has copied from the session before are not its own", () => {
  const { runtime, claude, write } = aChat();
  const earlier = { timestamp: new Date(runtime.now() - 60_000).toISOString() };
  write(anAssistantLine({ content: [aToolUse("toolu_old", "Bash", { command: "sleep 600" })] }, earlier));
  write(aToolResultLine("toolu_old", "[Tool call interrupted]", true, earlier));
  claude.stop();
  claude.tell("SessionEnd", { reason: "prompt_input_exit" });
  expect(journalKinds(runtime, claude.session).filter((kind) => kind.startsWith("tool_"))).toEqual([]);
  expect(storedSession(runtime, claude.session)).toMatchObject({ toolCalls: 0, toolErrors: 0 });
});
