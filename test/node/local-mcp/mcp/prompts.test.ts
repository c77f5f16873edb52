import { expect, it } from "vitest";
import { machineTools } from "#src/contract/tools.ts";
import { teamTools } from "#src/contract/team-tools.ts";
import { slashCommands, type SlashCommandName } from "#src/contract/slash-commands.ts";
import { userWords } from "#src/clients/adapter/harness-text.ts";
import { isRequest } from "#src/machine/sessions/work-state.ts";
import { estimateTokens } from "#src/learning/routing/tokens.ts";
import { aChat, rowCount } from "#harness/machine/claude.ts";
import { connect, eras, type Connected, type Era } from "#harness/machine/mcp-client.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

const names = Object.keys(slashCommands) as SlashCommandName[];

/** A client that gives its name in the handshake, on a machine with this process of a chat. */
const named = (runtime: TempRuntime, name: string, clientPid = 400, era: Era = "modern"): Promise<Connected> =>
  connect(runtime, { name, clientPid, era, isWithoutHooks: true });

async function prompt({ client }: Connected, name: string, words?: string): Promise<string> {
  const { messages } = await client.getPrompt({ name, ...(words === undefined ? {} : { arguments: { words } }) });
  expect(messages.map(({ role }) => role)).toEqual(["user"]);
  const content = messages[0]?.content;
  return content && "text" in content ? content.text : "";
}

it("each slash command is a prompt, where the client has none of them in files", async () => {
  for (const era of eras) {
    const { client } = await named(tempRuntime(), "Visual Studio Code", 400, era);
    const { prompts } = await client.listPrompts();
    expect(prompts.map(({ name }) => name)).toEqual(names);
    for (const { name, description, arguments: given = [] } of prompts) {
      const { argument, ...declared } = { argument: undefined, ...slashCommands[name as SlashCommandName] };
      expect(description).toBe(declared.description);
      expect(given.map((one) => [one.name, one.required])).toEqual(argument === undefined ? [] : [["words", false]]);
    }
  }
});

it("prompts have the names of slash commands in Qwen Code, and none stands beside the files of others", async () => {
  const { client } = await named(tempRuntime(), "qwen-cli-mcp-client-shim");
  expect((await client.listPrompts()).prompts.map(({ name }) => name)).toEqual(names.map((name) => `shim:${name}`));
  for (const name of ["codex-mcp-client", "copilot-cli", "gemini-cli-mcp-client"])
    expect((await named(tempRuntime(), name)).client.getServerCapabilities()?.prompts, name).toBeUndefined();
  const plugin = await named(tempRuntime({ env: { CLAUDE_PLUGIN_ROOT: "/plugin" } }), "claude-code");
  expect(plugin.client.getServerCapabilities()?.prompts).toBeUndefined();
});

it("the list of prompts has less than 700 tokens", async () => {
  const { client } = await named(tempRuntime(), "opencode");
  expect(estimateTokens(JSON.stringify(await client.listPrompts()), "claude-opus-5-5")).toBeLessThan(700);
});

it("a prompt has the steps of the command with the user's words, and exact commands for this machine", async () => {
  const { runtime, claude } = aChat();
  claude.turn("fix the parser");
  const rows = rowCount(runtime, "journal");
  const connected = await named(runtime, "some client", claude.pid);
  const undo = await prompt(connected, "undo", " write the lex ");
  expect(undo).toMatch(/^The user typed \/shim:undo write the lex, a command of SHIM\.\n/);
  expect(undo).toContain('said about which one: "write the lex"');
  expect(undo).toMatch(/Run `.+ undo --diff --json` with the user's words/);
  expect(undo).toMatch(/Only after a yes: `.+ undo --yes --json`/);
  // OpenCode puts the user's words in its place afterwards.
  expect(await prompt(connected, "resume", "$1")).toContain('said about which one: "$1"');
  for (const name of names) expect(await prompt(connected, name), name).not.toMatch(/\{given\}/);
  expect(rowCount(runtime, "journal")).toBe(rows);
});

it("a prompt of SHIM's is its command in the journal, and no request of the user", async () => {
  const { runtime, claude } = aChat();
  claude.turn("fix the parser");
  const connected = await named(runtime, "some client", claude.pid);
  for (const name of names)
    for (const words of "argument" in slashCommands[name] ? ["", "3 and more"] : [""]) {
      const text = await prompt(connected, name, words);
      const command = `/shim:${name} ${words}`.trim();
      // Gemini CLI and Qwen Code send JSON.
      for (const sent of [text, JSON.stringify(text)]) expect(userWords(sent)).toBe(command);
      expect(isRequest(command)).toBe(false);
    }
  expect(userWords("The user typed /shim:undo, a command of SHIM")).not.toBe("/shim:undo");
});

it("the commands name only tools that a chat can have", () => {
  const tools = Object.keys({ ...machineTools, ...teamTools });
  for (const { tools: own } of Object.values(slashCommands)) for (const name of own) expect(tools).toContain(name);
});
