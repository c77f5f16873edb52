import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { expect, it } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import { bash, briefs, call, ClaudeRig, endless, hello, received } from "#harness/claude/claude-rig.ts";
import { type ClientRun, endlessTool, fail, kill } from "#harness/clients/chat-rig.ts";
import { copyShim, runShim } from "#harness/clients/real-clients.ts";
import type { Terminal } from "#harness/clients/terminal.ts";
import { write } from "#harness/machine/git-project.ts";
import { built } from "#harness/machine/mcp-process.ts";
import { CLAUDE_VERSION, claudeBinary, OLDER_CLAUDE_VERSION, otherClaudeBinary } from "../../scripts/install-claude.ts";

it("a run that was asked to stop in the middle of its turn is unfinished", async () => {
  const rig = new ClaudeRig();
  const first = await rig.print("fix the parser", { steps: [bash("echo begun"), endless] });
  await endlessTool(first);
  first.process.kill("SIGTERM");
  expect(await first.process.waitForExit()).toEqual({ code: 143, signal: null });
  const [stopped] = rig.sessions();
  expect(stopped?.ending?.how).not.toBe("ended");
  expect(rig.kinds(stopped!.id).at(-1)).toBe("detached");
  const [brief] = await rig.nextBriefs();
  // The client decides whether its MCP server has time to report the signal.
  expect(brief).toMatch(/asked to end, (by an unknown signal|before its turn was over)/);
  expect(brief).toContain("in mid-turn, running Bash exec sleep 600");
});

type Idle = ClientRun<Terminal> & { readonly id: string };

/** A chat in a terminal whose turn has ended. */
async function idleInTerminal(rig: ClaudeRig, text: string, prompt = "fix the parser"): Promise<Idle> {
  const chat = await rig.typed(prompt, { steps: [{ text }] });
  await rig.last(chat.id, "turn_end");
  return chat;
}

it("a terminal closed between two turns does not finish the chat; the next one mentions it once", async () => {
  const rig = new ClaudeRig();
  const [killed, ended] = ["fix the parser", "fix the lexer"];
  const idle = await idleInTerminal(rig, "Fixed.", killed);
  await idle.process.close();
  await closedBetweenTurns(rig, idle);
  const next = await idleInTerminal(rig, "Fixed.", ended);
  expect(received(next.model)).toContain(`"${killed}" (${idle.id}), was closed`);
  expect(briefs(next.model)).toEqual([]);
  process.kill(next.process.pid, "SIGTERM");
  await closedBetweenTurns(rig, next);
  const last = received((await rig.printed("hello", hello)).model);
  expect(last).toContain(`"${ended}" (${next.id}), was closed`);
  expect(last).not.toContain(killed);
});

async function closedBetweenTurns(rig: ClaudeRig, { id, process }: Idle): Promise<void> {
  await rig.until(id, ({ ending }) => ending?.how === "closed", "the end of the client");
  expect(rig.session(id)).toMatchObject({ ending: { how: "closed", isOpen: false } });
  await rig.gone(process.pid);
}

it.each([
  ["--settings", null],
  ["the project's settings @night", ".claude/settings.json"],
  ["the project's local settings @night", ".claude/settings.local.json"],
])("a chat whose hooks are off is said by the overview and by doctor: by %s", async (_, file) => {
  const rig = new ClaudeRig();
  const off = { disableAllHooks: true };
  if (file !== null) write(rig.project, { [file]: JSON.stringify(off) });
  const chat = await rig.terminal({ steps: [{ text: "Hello." }], ...(file === null ? { settings: off } : {}) });
  await chat.process.send("hello");
  const shim = (words: string): string => runShim(words.split(" "), { cwd: rig.project, env: rig.envOf(chat.model) });
  const text = "A chat of Claude Code is there, and no event comes of it";
  await untilFound(() => shim("up --once").includes(text), text);
  expect(shim("doctor")).toContain("no event has come of Claude Code");
  expect(rig.sessions()).toEqual([]);
});

it("a terminal closed with a question open: the next chat has the brief and its user the line", async () => {
  const rig = new ClaudeRig();
  const idle = await idleInTerminal(rig, "Which database shall I use?");
  await idle.process.close();
  await rig.until(idle.id, ({ ending }) => ending?.how === "closed" && ending.isOpen, "the end of the client");
  const next = await rig.terminal({ steps: [{ text: "Hello." }] });
  await next.process.shows("with work open; Claude has its brief.");
  await next.process.shows('SHIM: "fix the parser" was closed');
  await next.process.shows("Not this one? /shim:dismiss");
  await next.process.send("hello");
  await next.process.shows("Hello.");
  expect(briefs(next.model)).toHaveLength(1);
});

it.each([
  ["/exit", "/exit"],
  ["Ctrl-D", "C-d"],
])("the user's own exit finishes the chat: %s", async (_name, keys) => {
  const rig = new ClaudeRig();
  const idle = await idleInTerminal(rig, "Which database shall I use?");
  await leave(idle.process, keys);
  await rig.gone(idle.process.pid);
  expect(rig.session(idle.id)).toMatchObject({ ending: { how: "ended", reason: "prompt_input_exit" } });
});

/** A key leaves the client when it is pressed twice: the client asks for the second time. */
async function leave(claude: Terminal, keys: string): Promise<void> {
  if (keys.startsWith("/")) return claude.send(keys);
  await claude.shows("Which database");
  await claude.press(keys);
  await claude.shows("again to exit");
  await claude.press(keys);
}

it("a killed session that is resumed receives its brief once, and no other chat does", async () => {
  const rig = new ClaudeRig();
  const { id } = await rig.killed("fix the parser");
  const resume = { args: ["--resume", id] };

  const again = await rig.print("go on", { ...resume, steps: [{ hold: "answer", text: "Done." }] });
  await again.model.held("answer");
  const [brief, ...more] = briefs(again.model);
  expect(more).toEqual([]);
  expect(brief).toContain("SHIM: this session died");
  expect(brief).toContain("in mid-turn, running Bash exec sleep 600");
  expect(received((await rig.printed("hello", hello)).model)).not.toContain("recovered data");
  again.model.release("answer");
  expect(await again.process.waitForExit()).toEqual({ code: 0, signal: null });
  expect(rig.session(id)).toMatchObject({ ending: { how: "closed", isOpen: false } });
  expect(rig.sessions()).toHaveLength(2);

  const third = await rig.printed("one more thing", { ...resume, ...hello });
  // The client replays the brief of the first resume; no second one comes.
  expect(briefs(third.model)).toEqual([brief]);
});

it("a prompt of a session that was resumed without hooks is taken from its transcript", async () => {
  const rig = new ClaudeRig();
  await rig.printed("rename the parser", hello);
  const [{ id } = fail("no session")] = rig.sessions();
  const resume = { args: ["--resume", id] };
  await rig.printed("never touch the lexer", { ...resume, ...hello, settings: { disableAllHooks: true } });
  const killed = await rig.print("then commit", { ...resume, steps: [endless] });
  await endlessTool(killed);
  await kill(killed);
  const [brief = ""] = await rig.nextBriefs();
  const order = ["rename the parser", "never touch the lexer", "then commit"].map((text) => brief.indexOf(text));
  expect([order.includes(-1), order.toSorted((one, other) => one - other)]).toEqual([false, order]);
  expect(brief).toContain("3 of 3 prompts quoted");
});

/**
 * `shim init` in the rig's home.
 *
 * @param claude the client that it finds there; null: none
 * @returns the servers that it has written
 */
function initialise(rig: ClaudeRig, claude: string | null, launcher = built.launcher): Record<string, object> {
  const folder = join(rig.root, "bin");
  mkdirSync(join(rig.home, ".claude"), { recursive: true });
  mkdirSync(folder);
  if (claude !== null) symlinkSync(claude, join(folder, "claude"));
  const path = [folder, dirname(process.execPath), "/usr/bin", "/bin"].join(delimiter);
  const env = { HOME: rig.home, SHIM_HOME: rig.paths.home, PATH: path };
  execFileSync(process.execPath, [launcher, "init", "--yes"], { env, cwd: rig.project });
  const text = readFileSync(join(rig.home, ".claude.json"), "utf8");
  return (JSON.parse(text) as { mcpServers: Record<string, object> }).mcpServers;
}

const clients = [
  [CLAUDE_VERSION, claudeBinary()],
  [OLDER_CLAUDE_VERSION, otherClaudeBinary(OLDER_CLAUDE_VERSION)],
] as const;

const ways = ["the plugin", "init", "init and the plugin", "processes alone"] as const;
const cases = clients.flatMap(([version, binary]) =>
  ways.map((way, at) => {
    // What the two add is the same in both versions.
    const night = version === OLDER_CLAUDE_VERSION && at > 1 ? " @night" : "";
    return [way, version, night, binary] as const;
  }),
);

it.each(cases)(
  "with %s Claude Code %s reports a prompt, a tool call and its ends once each, and the next chat gets no brief%s",
  async (way, _version, _night, binary) => {
    if (binary === null) throw new Error("not installed: node scripts/install-claude.ts");
    const rig = new ClaudeRig();
    const mcpServers = way === "the plugin" ? {} : initialise(rig, way === "processes alone" ? null : binary);
    const hasPlugin = way.endsWith("plugin");
    const env = { CLAUDE_CODE_ENTRYPOINT: "sdk-ts" };
    const steps = [bash("echo fixed"), { text: "Fixed." }];
    await rig.printed("fix it", { steps, env, binary, mcpServers, hasPlugin });
    const [session, ...others] = rig.sessions();
    expect([others, session?.toolCalls, session?.ending?.reason]).toEqual([[], 1, "other"]);
    const kinds = ["assistant", "end", "prompt", "start", "tool_end", "tool_start", "turn_end"];
    expect(rig.kinds(session!.id).toSorted()).toEqual(kinds);
    expect(await rig.nextBriefs()).toEqual([]);
  },
);

it("Claude Code works on where SHIM's folder goes in the middle of a turn; the next chat says at its start that it is not saved", async () => {
  const rig = new ClaudeRig();
  const { shim, launcher } = copyShim(rig.root);
  initialise(rig, claudeBinary(), launcher);
  const options = { hasPlugin: false, mcpServers: {}, args: ["--permission-mode", "acceptEdits"] };
  const make = (name: string) => call("Write", { file_path: rig.path(name), content: "made" });
  const gone = bash(`mv "${shim}" "${shim}.gone"`);
  await rig.printed("make a file", { ...options, steps: [gone, make("open.txt"), { text: "Done." }] });
  expect([existsSync(shim), existsSync(rig.path("open.txt"))]).toEqual([false, true]);
  const { process: next } = await rig.terminal({ ...options, steps: [make("new.txt"), { text: "All done." }] });
  await next.shows("SHIM does not save this chat");
  await next.shows("SHIM does not work: this chat is not saved");
  await next.send("make another file");
  await next.shows("All done.");
  expect(existsSync(rig.path("new.txt"))).toBe(true);
  expect(await next.screen()).not.toMatch(hookFailure);
});

/** What the user would see of a hook that fails. */
const hookFailure = /hook\s+failed|hook\s+error|not\s+connected|stop\s+hook\s+problem/;

it.each([
  ["init", "left out by --strict-mcp-config"],
  ["init", "killed"],
  ["the plugin", "left out by --strict-mcp-config"],
])(
  "of %s with SHIM's server %s no hook fails, each event is recorded, and a turn can be taken back",
  async (way, how) => {
    const rig = new ClaudeRig();
    const hasPlugin = way === "the plugin";
    const mcpServers = hasPlugin ? {} : initialise(rig, claudeBinary());
    const args = ["--permission-mode", "acceptEdits", ...(hasPlugin ? ["--strict-mcp-config"] : [])];
    const file = join(rig.project, "made.txt");
    const steps = [bash("echo one"), call("Write", { file_path: file, content: "made" }), { text: "All done." }];
    const chat = await rig.terminal({
      steps,
      hasPlugin,
      mcpServers: how === "killed" ? mcpServers : {},
      args,
    });
    if (how === "killed") {
      const [front] = await untilFound(() => {
        const found = rig.processes().filter(({ command }) => command.at(-1) === "mcp");
        return found.length > 0 && found;
      }, "the front");
      process.kill(front!.pid, "SIGKILL");
    }
    await chat.process.send("make a file");
    await chat.process.shows("All done.");
    expect(await chat.process.screen()).not.toMatch(hookFailure);
    const { id } = await rig.begun();
    await untilFound(() => rig.kinds(id).includes("turn_end"), "the end of the turn");
    const kinds = rig.kinds(id).filter((kind) => kind.startsWith("tool"));
    expect(kinds.toSorted()).toEqual(["tool_end", "tool_end", "tool_start", "tool_start"]);
    const options = {
      cwd: rig.project,
      env: { HOME: rig.home, SHIM_HOME: rig.paths.home, PATH: process.env["PATH"] },
    };
    expect(execFileSync(process.execPath, [built.launcher, "undo", "--diff"], options).toString()).toContain(
      "made.txt",
    );
  },
);
