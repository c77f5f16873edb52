import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import type { Step, ToolCall } from "#harness/claude/scripted-model.ts";
import {
  claudeTerminal,
  codexTerminal,
  openCodeTerminal,
  qwenTerminal,
  type TerminalClient,
} from "#harness/clients/terminal-clients.ts";
import { TerminalRig } from "#harness/clients/terminal-rig.ts";
import { write } from "#harness/machine/git-project.ts";
import type { MachineOutput } from "#src/contract/machine/operations.ts";

/** A chat that asks what these steps ask, one after the other. */
async function aChat(client: TerminalClient, steps: readonly Step[]) {
  const rig = await TerminalRig.open(client);
  write(rig.paths.home, { "config.json": JSON.stringify({ answers: { isEnabled: true, holdDialogSeconds: 50 } }) });
  const window = await rig.window();
  await rig.ask(window, "do it please", steps);
  const list = () => JSON.parse(rig.shim("requests", "--json")) as MachineOutput<"requests.list">;
  /** Resolves once the chat asks for something that can be answered. */
  const asked = () =>
    untilFound(
      () => list().requests.find(({ reason }) => reason === null),
      () => `a request in ${JSON.stringify(list())}`,
    );
  /** Answers what the chat asks. Resolves once it is known what came of it. */
  const answer = async (...words: readonly string[]) => {
    const { id, decisions } = await asked();
    rig.shim("requests", "answer", id, ...words);
    const over = () => list().answers?.find(({ request, outcome }) => request === id && outcome !== "sent");
    const { outcome } = await untilFound(over, () => `an outcome in ${JSON.stringify(list())}`);
    return { decisions, outcome };
  };
  return { rig, window, asked, answer };
}

it.each([codexTerminal, qwenTerminal, openCodeTerminal].map((client) => [client.name, client] as const))(
  "%s in its terminal: a command is denied from elsewhere while its hook is held, and does not run; the model reads why",
  async (name, client) => {
    const { rig, answer } = await aChat(client, [{ tools: [client.asking("touch one.txt")] }]);
    const { decisions, outcome } = await answer("deny", "--message", "Not this one.");
    const once = name === "opencode" ? ["allow", "session", "deny"] : ["allow", "deny"];
    expect([decisions, outcome, existsSync(rig.path("one.txt"))]).toEqual([once, "taken", false]);
    await untilFound(
      async () => (await rig.received("do it please")).includes("Not this one."),
      "the reason at the model",
    );
  },
);

const shimProgram = join(import.meta.dirname, "..", "..", "bin", "shim.mjs");
const options = (...labels: readonly string[]) => labels.map((label) => ({ label, description: "one of them" }));
const questions = [
  { question: "Which database?", header: "DB", options: options("SQLite", "Postgres") },
  { question: "Which parts?", header: "Parts", options: options("A", "B"), multiple: true },
];

it("OpenCode in its terminal: a question is answered from elsewhere with choices and words, and a command allowed for the session", async () => {
  const ask: ToolCall = { name: "question", input: { questions } };
  const touch = openCodeTerminal.asking("touch one.txt");
  const { rig, asked, answer } = await aChat(openCodeTerminal, [
    { tools: [ask] },
    { tools: [touch] },
    { tools: [openCodeTerminal.asking("touch two.txt")] },
  ]);
  expect(await answer("answer", "2", "my own")).toEqual({ decisions: ["answer", "deny"], outcome: "taken" });
  expect((await asked()).grant).toBe("bash: touch *");
  expect(await rig.received("do it please")).toContain('"Which database?"="Postgres", "Which parts?"="my own"');
  expect(await answer("session")).toEqual({ decisions: ["allow", "session", "deny"], outcome: "taken" });
  await untilFound(() => existsSync(rig.path("two.txt")), "what is like it, without another request");
});

it("Qwen Code in its terminal: a question is declined from elsewhere with words, and nothing else is offered", async () => {
  const ask: ToolCall = { name: "ask_user_question", input: { questions: questions.slice(0, 1) } };
  const { rig, answer } = await aChat(qwenTerminal, [{ tools: [ask] }]);
  expect(await answer("deny", "--message", "Take Postgres.")).toEqual({ decisions: ["deny"], outcome: "taken" });
  expect(await rig.received("do it please")).toContain("Take Postgres.");
});

it("OpenCode in its terminal: what is allowed for the session is allowed in the next chat of its window, as was said; a command of a chat allows nothing", async () => {
  const { rig, window, asked, answer } = await aChat(openCodeTerminal, [
    { tools: [openCodeTerminal.asking("touch one.txt")] },
    { text: "One done." },
  ]);
  expect((await asked()).wider).toContain("in all chats of this window");
  await answer("session");
  await window.shows("One done.");
  await window.send("/new");
  await window.shows(openCodeTerminal.ready);
  const shim = `${process.execPath} ${shimProgram} runs allow > ${rig.path("said.txt")} 2>&1`;
  const steps = [openCodeTerminal.asking("touch two.txt"), openCodeTerminal.shell(shim)];
  await rig.ask(window, "in another chat", [...steps.map((tool) => ({ tools: [tool] })), { text: "Two done." }]);
  await window.shows("Two done.");
  expect(existsSync(rig.path("two.txt"))).toBe(true);
  expect(readFileSync(rig.path("said.txt"), "utf8")).toContain("only its user may change this setting");
});

const slow = "tail -f one.ts";

it.each([codexTerminal, openCodeTerminal].map((client) => [client.name, client] as const))(
  "%s in its terminal: words from elsewhere are the idle chat's prompt at once, and are journaled once, with their surface",
  async (_name, client) => {
    const { rig, window } = await aChat(client, [{ text: "First done." }]);
    await window.shows("First done.");
    const { id } = await rig.begun();
    await rig.turns(id, 1);
    rig.answers("and the docs", [{ text: "The docs are done." }]);
    expect(rig.shim("requests", "message", id, "and the docs, please")).toBe(
      "Its client has it, as the chat's prompt.\n",
    );
    await window.shows("The docs are done.");
    await rig.turns(id, 2);
    const { timeline } = JSON.parse(rig.shim("sessions", "show", id, "--json")) as MachineOutput<"sessions.show">;
    expect(timeline.filter(({ kind }) => kind === "prompt").map(({ text }) => text)).toEqual([
      "user: do it please",
      "user: (from the command line) and the docs, please",
    ]);
  },
);

it.each([codexTerminal, openCodeTerminal].map((client) => [client.name, client] as const))(
  "%s in its terminal: its turn is stopped from elsewhere, its window lives on and takes the next prompt",
  async (_name, client) => {
    const { rig, window } = await aChat(client, [{ tools: [client.shell(slow)] }, { hold: "end", text: "Went on." }]);
    const { id } = await rig.begun();
    const state = () => rig.chats()[0]?.state;
    await untilFound(
      () => state() === "works",
      () => `a turn: ${String(state())}`,
    );
    rig.shim("runs", "allow", rig.project);
    expect(rig.shim("runs", "stop", id)).toContain("Stop was sent");
    await untilFound(
      () => ["idle", "waits"].includes(state() ?? ""),
      () => `the end of the turn: ${String(state())}`,
    );
    await rig.ask(window, "once more please", [{ text: "Here again." }]);
    await window.shows("Here again.");
  },
);

it("Claude Code in its terminal: its turn is stopped from elsewhere with the end of its call, its window lives on and takes the next prompt", async () => {
  const child = spawn("sleep", ["600"]);
  onTestFinished(() => void child.kill());
  const command = `tail -f --pid=${child.pid} one.ts`;
  const { rig, window } = await aChat(claudeTerminal, [
    { tools: [claudeTerminal.shell(command)] },
    { text: "Went on." },
  ]);
  const isRunning = () => rig.processes().some(({ command: words }) => words.join(" ") === command);
  await untilFound(isRunning, "the command");
  const { id } = await rig.begun();
  rig.shim("runs", "allow", rig.project);
  expect(rig.shim("runs", "stop", id)).toContain("Stop was sent");
  child.kill();
  await window.shows("you have stopped this turn from elsewhere");
  const state = () => rig.chats()[0]?.state;
  await untilFound(
    () => state() === "idle",
    () => `the end of the turn: ${String(state())}`,
  );
  await rig.ask(window, "once more please", [{ text: "Here again." }]);
  await window.shows("Here again.");
  expect(await window.screen()).not.toContain("Went on.");
});
