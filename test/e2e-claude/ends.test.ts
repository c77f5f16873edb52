import { join } from "node:path";
import { expect, it } from "vitest";
import { claudeBinary } from "../../scripts/install-claude.ts";
import { untilFound, type Terminal } from "#harness/claude/claude-code.ts";
import { bash, briefs, ClaudeRig, endless, endlessTool, told, type Chat } from "#harness/claude/claude-rig.ts";

const plugin = join(import.meta.dirname, "..", "..", "plugin");
const answer = { steps: [{ text: "Hello." }] };

it("[RE4] takes the end of a finished run for what it is: the next chat gets no brief", async () => {
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
  expect(rig.kinds(first!.id)).toEqual(["start", "prompt", "tool_start", "tool_end", "assistant", "turn_end", "end"]);
  expect(rig.stored(first!.id).checkpoints.at(-1)?.summary).toContain("fix the parser");
  const next = await rig.printed("hello", answer);
  expect(told(next.model)).not.toContain("recovered data");
  expect(rig.sessions().map(({ endReason }) => endReason)).toEqual(["other", "other"]);
});

it("[RE74] [SI35] takes a run that was asked to stop in the middle of its turn for unfinished", async () => {
  const rig = new ClaudeRig();
  const first = await rig.print("fix the parser", { steps: [bash("echo begun"), endless] });
  await endlessTool(first.claude);
  first.claude.kill("SIGTERM");
  expect(await first.claude.waitForExit()).toEqual({ code: 143, signal: null });
  const [stopped] = rig.sessions();
  expect(stopped).toMatchObject({ endedAt: null, recovery: null });
  expect(rig.kinds(stopped!.id).at(-1)).toBe("detached");
  const next = await rig.printed("hello", answer);
  const [brief] = briefs(told(next.model));
  expect(brief).toContain("asked to end, by an unknown signal");
  expect(brief).toContain("was running when it died: Bash exec sleep 600");
});

it("[RE74] takes a run that the model's service refused for unfinished", async () => {
  const rig = new ClaudeRig();
  const error = { status: 400, type: "invalid_request_error", message: "Your credit balance is too low." };
  const first = await rig.print("fix the parser", { steps: [bash("echo begun"), { error, times: 5 }] });
  expect(await first.claude.waitForExit()).toEqual({ code: 1, signal: null });
  const next = await rig.printed("hello", answer);
  expect(briefs(told(next.model))[0]).toContain("why it died: usage_limit (");
});

it("[RE74] takes a run whose prompt became too long for unfinished", async () => {
  const rig = new ClaudeRig();
  const error = {
    status: 400,
    type: "invalid_request_error",
    message: "prompt is too long: 1200000 tokens > 1000000 maximum",
  };
  const first = await rig.print("fix the parser", { steps: [bash("echo begun"), { error, times: 50 }] });
  expect(await first.claude.waitForExit()).toEqual({ code: 1, signal: null });
  const next = await rig.printed("hello", answer);
  expect(briefs(told(next.model))[0]).toContain(
    "why it died: context_full (The client reported that the context is full.)",
  );
});

async function inTerminal(
  rig: ClaudeRig,
  steps: Parameters<ClaudeRig["terminal"]>[0]["steps"],
  binary?: string,
): Promise<Chat<Terminal> & { id: string }> {
  const chat = await rig.terminal({ steps, ...(binary === undefined ? {} : { binary }) });
  await chat.claude.send("fix the parser");
  const { id } = await untilFound(() => rig.sessions()[0], "a session");
  return { ...chat, id };
}

/** A chat in a terminal whose turn has ended. */
async function idleInTerminal(
  rig: ClaudeRig,
  answerText: string,
  binary?: string,
): Promise<Chat<Terminal> & { id: string }> {
  const chat = await inTerminal(rig, [{ text: answerText }], binary);
  await rig.until(chat.id, (_, { journal }) => journal.at(-1)?.entry.kind === "turn_end", "the end of the turn");
  return chat;
}

it("[RE50] [RE52] a terminal closed between two turns does not finish the chat; the next one mentions it once", async () => {
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    const rig = new ClaudeRig();
    const idle = await idleInTerminal(rig, "Fixed.");
    // script(1) that is killed closes the terminal, as a window does; TERM is sent to the client itself.
    if (signal === "SIGKILL") idle.claude.kill(signal);
    else process.kill(await idle.claude.claudePid(), signal);
    await rig.until(idle.id, ({ detachReason }) => detachReason === "closed", "the end of the client");
    expect(rig.session(idle.id)).toMatchObject({ endedAt: null, endReason: null });
    await idle.claude.waitForExit();
    const next = await rig.printed("hello", answer);
    expect(told(next.model)).toContain(`"fix the parser" (${idle.id}), was closed`);
    expect(briefs(told(next.model))).toEqual([]);
    const later = await rig.printed("hello", answer);
    expect(told(later.model)).not.toContain("fix the parser");
  }
});

it("[RE51] [RE109] [RE54] a terminal closed with a question open: the next chat has the brief and its user the line", async () => {
  const rig = new ClaudeRig();
  const idle = await idleInTerminal(rig, "Which database shall I use?");
  idle.claude.kill("SIGKILL");
  await rig.until(idle.id, ({ detachReason }) => detachReason === "closed_open", "the end of the client");
  const next = await rig.terminal({ steps: [{ text: "Hello." }] });
  await untilFound(() => next.claude.screen().includes("withworkopen;Claudehasitsbrief.") || null, "the line");
  expect(next.claude.screen()).toContain('SHIM:"fixtheparser"wasclosed');
  expect(next.claude.screen()).toContain("Notthisone?/shim:dismiss");
  await next.claude.send("hello");
  await untilFound(() => next.claude.screen().includes("Hello.") || null, "the answer");
  expect(briefs(told(next.model))).toHaveLength(1);
});

it("[RE115] a terminal that is closed in the middle of work: what a script prints holds nothing of it", async () => {
  const rig = new ClaudeRig();
  const busy = await inTerminal(rig, [endless]);
  await rig.until(busy.id, (_, { journal }) => journal.at(-1)?.entry.kind === "tool_start", "the tool");
  busy.claude.kill("SIGKILL");
  await rig.until(busy.id, (_, { journal }) => journal.at(-1)?.entry.kind === "detached", "the cut");
  expect(rig.session(busy.id)).toMatchObject({ endedAt: null });
  const script = await rig.printed("hello", { ...answer, env: { CLAUDE_CODE_ENTRYPOINT: "sdk-cli" } });
  expect(script.claude.output.stdout).toBe("Hello.\n");
  expect(told(script.model)).toContain(`session ${busy.id} of this project died`);
  const next = await rig.printed("hello", answer);
  expect(next.claude.output.stdout).toBe("Hello.\n");
  expect(briefs(told(next.model))[0]).toContain("why it died: closed (");
});

it.each([
  ["/exit", "/exit"],
  ["Ctrl-D", "\u0004"],
])("[RE2] the user's own exit finishes the chat: %s", async (_name, keys) => {
  const rig = new ClaudeRig();
  const idle = await idleInTerminal(rig, "Which database shall I use?");
  await leave(idle.claude, keys);
  await idle.claude.waitForExit();
  expect(rig.session(idle.id)).toMatchObject({ endReason: "prompt_input_exit" });
});

/** A key leaves the client when it is pressed twice: the client asks for the second time. */
async function leave(claude: Terminal, keys: string): Promise<void> {
  if (keys.startsWith("/")) return claude.send(keys);
  await untilFound(() => claude.screen().includes("Whichdatabase") || null, "the answer on the screen");
  claude.type(keys);
  await untilFound(() => claude.screen().includes("againtoexit") || null, "the question of the client");
  claude.type(keys);
}

it("[RE73] a run that a chat has started with claude -p is finished when it has ended", async () => {
  const rig = new ClaudeRig();
  const { home, paths } = rig;
  const inner = `${claudeBinary()} -p inner --plugin-dir ${plugin}`;
  await rig.printed("start another", {
    steps: [bash(inner), { text: "Inner done." }, { text: "Started." }],
    env: { CLAUDE_CODE_ENTRYPOINT: "cli", HOME: home, SHIM_HOME: paths.home },
  });
  expect(rig.sessions().map(({ endReason }) => endReason)).toEqual(["other", "other"]);
});
