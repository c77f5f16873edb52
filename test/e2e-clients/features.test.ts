import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import { fail } from "#harness/clients/chat-rig.ts";
import type { ToolCall } from "#harness/claude/scripted-model.ts";
import { terminalClients } from "#harness/clients/terminal-clients.ts";
import { TerminalRig } from "#harness/clients/terminal-rig.ts";
import { write } from "#harness/machine/git-project.ts";

type HooksOff = (rig: TerminalRig) => readonly string[];

function changed(file: string, change: (text: string) => string): HooksOff {
  return ({ home }) => {
    const path = join(home, file);
    write(home, { [file]: change(existsSync(path) ? readFileSync(path, "utf8") : "{}") });
    return [];
  };
}

const setting = (file: string, value: object): HooksOff =>
  changed(file, (text) => JSON.stringify({ ...(JSON.parse(text) as object), ...value }));

/** How a user switches the hooks of a client off, after `shim init`; returns arguments of its start. */
const off: Readonly<Record<string, HooksOff>> = {
  "claude-code": () => ["--settings", '{"disableAllHooks":true}'],
  codex: changed(".codex/config.toml", (text) => text.replace("features = { ", "features = { hooks = false, ")),
  opencode: () => ["--pure"],
  qwen: setting(".qwen/settings.json", { disableAllHooks: true }),
  gemini: setting(".gemini/settings.json", { hooksConfig: { enabled: false } }),
  // Its setting `disableAllHooks` leaves the hooks of that folder on.
  copilot: ({ home }) => {
    rmSync(join(home, ".copilot/hooks"), { recursive: true });
    return [];
  },
};

const prompt = "Write the parser, please";
const clients = terminalClients.map((client) => [client.name, client] as const);

it.each(clients)(
  "%s with its hooks off: once it works, each command says that no event of a chat comes, until one does @night",
  async (name, client) => {
    const rig = await TerminalRig.open(client);
    const window = await rig.window(...(off[name]?.(rig) ?? []));
    await rig.ask(window, prompt, [{ text: "The parser is there." }]);
    await window.shows("The parser is there.");
    await untilFound(() => rig.shim("up").includes("no event comes of it"), "the notice");
    expect(rig.chats()).toEqual([]);
    await rig.killClient(window);
    await untilFound(() => !rig.shim("up").includes("no event comes of it"), "the end of the notice");
  },
);

const task = "AGENT-TASK: look for the parser";
const about = { description: "look for it", prompt: task };

/** The call by which a model gives a sub-agent that task. */
const agents: Readonly<Record<string, ToolCall>> = {
  "claude-code": { name: "Agent", input: { ...about, subagent_type: "general-purpose" } },
  codex: { name: "spawn_agent", input: { message: task } },
  opencode: { name: "task", input: { ...about, subagent_type: "general" } },
  qwen: { name: "agent", input: { ...about, subagent_type: "general-purpose" } },
  gemini: { name: "invoke_agent", input: { agent_name: "generalist", prompt: task } },
  copilot: { name: "task", input: { ...about, agent_type: "general-purpose", name: "looker", mode: "background" } },
};

it.each(clients)(
  "%s: of a chat that is killed while its sub-agent works, the next one is given that sub-agent with its task @night",
  async (name, client) => {
    const rig = await TerminalRig.open(client);
    const window = await rig.window();
    rig.answers(task, [{ tools: [client.shell("tail -f one.ts")] }]);
    await rig.ask(window, prompt, [
      { tools: [agents[name] ?? fail(`no sub-agent of ${name}`)] },
      { text: "It looks." },
    ]);
    const isRunning = (): boolean => rig.processes().some(({ command }) => command.join(" ") === "tail -f one.ts");
    await untilFound(isRunning, "the command of the sub-agent");
    const { id } = await rig.begun();
    await rig.until(
      id,
      (_session, { journal }) => journal.some(({ entry }) => "name" in entry && entry.name === "Agent"),
      "the sub-agent",
    );
    await rig.killClient(window);
    await rig.ask(await rig.window(), "Go on with it, please");
    const [line = ""] = /how it stood.*/.exec(await rig.received("Go on with it, please")) ?? [];
    expect(line).toMatch(/Agent (?:look for it: )?AGENT-TASK: look for the parser/);
  },
);
