import { join } from "node:path";
import { expect, it } from "vitest";
import { claudeBinary } from "../../scripts/install-claude.ts";
import type { Terminal } from "#harness/claude/claude-code.ts";
import {
  bash,
  briefs,
  ClaudeRig,
  endless,
  endlessTool,
  hello,
  received,
  type Chat,
} from "#harness/claude/claude-rig.ts";

const plugin = join(import.meta.dirname, "..", "..", "plugin");

it("takes the end of a finished run for what it is: the next chat gets no brief", async () => {
  const rig = new ClaudeRig();
  await rig.printed("fix the parser", { steps: [bash("echo fixed"), { text: "Fixed." }] });
  const [first] = rig.sessions();
  expect(first).toMatchObject({
    client: "claude-code",
    endReason: "other",
    recovery: null,
    toolCalls: 1,
    owner: { pid: expect.any(Number) },
  });
  expect(rig.kinds(first!.id).join(" ")).toBe("start prompt tool_start tool_end assistant turn_end end");
  expect(rig.stored(first!.id).checkpoints.at(-1)?.summary).toContain("fix the parser");
  const next = await rig.printed("hello", hello);
  expect(received(next.model)).not.toContain("recovered data");
  expect(rig.sessions().map(({ endReason }) => endReason)).toEqual(["other", "other"]);
});

it("takes a run that was asked to stop in the middle of its turn for unfinished @night", async () => {
  const rig = new ClaudeRig();
  const first = await rig.print("fix the parser", { steps: [bash("echo begun"), endless] });
  await endlessTool(first.claude);
  first.claude.kill("SIGTERM");
  expect(await first.claude.waitForExit()).toEqual({ code: 143, signal: null });
  const [stopped] = rig.sessions();
  expect(stopped).toMatchObject({ endedAt: null, recovery: null });
  expect(rig.kinds(stopped!.id).at(-1)).toBe("detached");
  const [brief] = await rig.nextBriefs();
  // The client decides whether its MCP server has time to report the signal.
  expect(brief).toMatch(/asked to end, (by an unknown signal|before its turn was over)/);
  expect(brief).toContain("in mid-turn, running Bash exec sleep 600");
});

const tooLong = "prompt is too long: 1200000 tokens > 1000000 maximum";

it.each([
  [
    "that a usage limit ended",
    "Your credit balance is too low.",
    "usage_limit (The client reported that a usage limit was reached.)",
  ],
  ["whose prompt became too long", tooLong, "context_full (The client reported that the context is full.)"],
])("takes a run %s for unfinished @night", async (_which, message, cause) => {
  const rig = new ClaudeRig();
  const error = { status: 400, type: "invalid_request_error", message };
  const first = await rig.print("fix the parser", { steps: [bash("echo begun"), { error, times: 50 }] });
  expect(await first.claude.waitForExit()).toEqual({ code: 1, signal: null });
  expect((await rig.nextBriefs())[0]).toContain(`why it died: ${cause}`);
});

/** A chat in a terminal whose turn has ended. */
async function idleInTerminal(rig: ClaudeRig, text: string): Promise<Chat<Terminal> & { id: string }> {
  const chat = await rig.typed("fix the parser", { steps: [{ text }] });
  await rig.last(chat.id, "turn_end");
  return chat;
}

it("a terminal closed between two turns does not finish the chat; the next one mentions it once @night", async () => {
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    const rig = new ClaudeRig();
    const idle = await idleInTerminal(rig, "Fixed.");
    // script(1) that is killed closes the terminal, as a window does; TERM is sent to the client itself.
    if (signal === "SIGKILL") idle.claude.kill(signal);
    else process.kill(await idle.claude.claudePid(), signal);
    await rig.until(idle.id, ({ detachReason }) => detachReason === "closed", "the end of the client");
    expect(rig.session(idle.id)).toMatchObject({ endedAt: null, endReason: null });
    await idle.claude.waitForExit();
    const next = await rig.printed("hello", hello);
    expect(received(next.model)).toContain(`"fix the parser" (${idle.id}), was closed`);
    expect(briefs(next.model)).toEqual([]);
    const later = await rig.printed("hello", hello);
    expect(received(later.model)).not.toContain("fix the parser");
  }
});

it("a terminal closed with a question open: the next chat has the brief and its user the line @night", async () => {
  const rig = new ClaudeRig();
  const idle = await idleInTerminal(rig, "Which database shall I use?");
  idle.claude.kill("SIGKILL");
  await rig.until(idle.id, ({ detachReason }) => detachReason === "closed_open", "the end of the client");
  const next = await rig.terminal({ steps: [{ text: "Hello." }] });
  await next.claude.shows("withworkopen;Claudehasitsbrief.");
  expect(next.claude.screen()).toContain('SHIM:"fixtheparser"wasclosed');
  expect(next.claude.screen()).toContain("Notthisone?/shim:dismiss");
  await next.claude.send("hello");
  await next.claude.shows("Hello.");
  expect(briefs(next.model)).toHaveLength(1);
});

it("a terminal that is closed in the middle of work: what a script prints holds nothing of it @night", async () => {
  const rig = new ClaudeRig();
  const busy = await rig.typed("fix the parser", { steps: [endless] });
  await rig.last(busy.id, "tool_start");
  busy.claude.kill("SIGKILL");
  await rig.last(busy.id, "detached");
  expect(rig.session(busy.id)).toMatchObject({ endedAt: null });
  const script = await rig.printed("hello", { ...hello, env: { CLAUDE_CODE_ENTRYPOINT: "sdk-cli" } });
  expect(script.claude.output.stdout).toBe("Hello.\n");
  expect(received(script.model)).toContain(`session ${busy.id} of this project died`);
  const next = await rig.printed("hello", hello);
  expect(next.claude.output.stdout).toBe("Hello.\n");
  expect(briefs(next.model)[0]).toContain("why it died: closed (");
});

it.each([
  ["/exit", "/exit"],
  ["Ctrl-D", "\u0004"],
])("the user's own exit finishes the chat: %s @night", async (_name, keys) => {
  const rig = new ClaudeRig();
  const idle = await idleInTerminal(rig, "Which database shall I use?");
  await leave(idle.claude, keys);
  await idle.claude.waitForExit();
  expect(rig.session(idle.id)).toMatchObject({ endReason: "prompt_input_exit" });
});

/** A key leaves the client when it is pressed twice: the client asks for the second time. */
async function leave(claude: Terminal, keys: string): Promise<void> {
  if (keys.startsWith("/")) return claude.send(keys);
  await claude.shows("Whichdatabase");
  claude.type(keys);
  await claude.shows("againtoexit");
  claude.type(keys);
}

it("a run that a chat has started with claude -p is finished when it has ended @night", async () => {
  const rig = new ClaudeRig();
  const { home, paths } = rig;
  const inner = `${claudeBinary()} -p inner --plugin-dir ${plugin}`;
  await rig.printed("start another", {
    steps: [bash(inner), { text: "Inner done." }, { text: "Started." }],
    env: { CLAUDE_CODE_ENTRYPOINT: "cli", HOME: home, SHIM_HOME: paths.home },
  });
  expect(rig.sessions().map(({ endReason }) => endReason)).toEqual(["other", "other"]);
});
