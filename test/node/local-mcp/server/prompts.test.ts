import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { machineTools } from "#src/contract/tools.ts";
import { teamTools } from "#src/contract/team-tools.ts";
import { slashCommands, type SlashCommandName } from "#src/contract/slash-commands.ts";
import { userWords } from "#src/local-mcp/sessions/harness-text.ts";
import { isRequest } from "#src/local-mcp/sessions/work-state.ts";
import { estimateTokens } from "#src/routing/tokens.ts";
import { aChat, aDeadClaude, anotherClaude, aProject, rowCount, storedSession } from "#harness/machine/claude.ts";
import { connect, desktop, eras, type Connected, type Era } from "#harness/machine/mcp-client.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { anUndoRig } from "#harness/machine/undo-rig.ts";

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

it("[MC29] each slash command is a prompt, where the client has none of them in files", async () => {
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

it("[MC29] prompts have the names of slash commands in Qwen Code, and none stands beside the files of others", async () => {
  const { client } = await named(tempRuntime(), "qwen-cli-mcp-client-shim");
  expect((await client.listPrompts()).prompts.map(({ name }) => name)).toEqual(names.map((name) => `shim:${name}`));
  for (const name of ["codex-mcp-client", "copilot-cli", "gemini-cli-mcp-client"])
    expect((await named(tempRuntime(), name)).client.getServerCapabilities()?.prompts, name).toBeUndefined();
  const plugin = await named(tempRuntime({ env: { CLAUDE_PLUGIN_ROOT: "/plugin" } }), "claude-code");
  expect(plugin.client.getServerCapabilities()?.prompts).toBeUndefined();
});

it("[MC29] the list of prompts has less than 700 tokens", async () => {
  const { client } = await named(tempRuntime(), "opencode");
  expect(estimateTokens(JSON.stringify(await client.listPrompts()), "claude-opus-5-5")).toBeLessThan(700);
});

it("[MC29] a prompt quotes what the operation answers, and names the exact command for this machine", async () => {
  const rig = anUndoRig({ "one.ts": "1\n", "two.ts": "2\n" });
  const { runtime, project, claude } = rig;
  const work = (path: string) => ({
    tool: "Edit",
    path,
    work: () => writeFileSync(join(project, path), "by the chat\n"),
  });
  await rig.turn("write the lexer", work("one.ts"));
  await rig.turn("write the parser", work("two.ts"));
  const connected = await named(runtime, "Visual Studio Code", claude.pid);
  const rows = rowCount(runtime, "journal");
  const last = await prompt(connected, "undo");
  expect(last).toMatch(/^The user typed \/shim:undo, a command of SHIM\.\n/);
  expect(last).toContain(`session ${claude.session}, in ${project}`);
  expect(last).toMatch(/"path": "two\.ts"/);
  expect(last).not.toMatch(/"path": "one\.ts"/);
  expect(last).toMatch(new RegExp(`Only after a yes: \`.+ undo 2 --session ${claude.session} --yes --json\``));
  const both = await prompt(connected, "undo", "write the lex");
  expect(both).toMatch(/^The user typed \/shim:undo write the lex, a command/);
  expect(both).toContain(` undo 1 --session ${claude.session} --yes --json`);
  for (const path of ["one.ts", "two.ts"]) expect(both).toContain(`"path": "${path}"`);
  const fork = await prompt(connected, "fork", "the first");
  for (const text of ["write the lexer", "write the parser"]) expect(fork).toContain(`"text": "${text}"`);
  expect(rowCount(runtime, "journal")).toBe(rows);
});

it("[MC29] what cannot be read is not quoted: the prompt has the steps that bring it", async () => {
  const { runtime, claude } = aChat();
  const connected = await named(runtime, "some client", claude.pid);
  for (const name of names.filter((one) => !["conflicts", "limit", "resume", "who"].includes(one)))
    expect(await prompt(connected, name), name).not.toContain("```json");
  expect(await prompt(connected, "undo", "3")).toMatch(/Run `.+ undo --diff --json` with the user's words/);
  claude.turn("fix the parser");
  expect(await prompt(connected, "undo", "no such prompt")).toMatch(
    /Run `.+ undo --diff --json` with the user's words/,
  );
  expect(await prompt(connected, "rescue", "words of a title")).toContain("call it with `list: true`");
});

it.each([
  ["conflicts", '"conflicts": []'],
  ["effects", '"effects": []'],
  ["limit", '"value": []'],
  ["rescue", '"checked": 1'],
  ["who", '"title": "fix the parser"'],
] as const)("[MC29] %s quotes what its operation answers of this chat", async (name, quoted) => {
  const { runtime, claude } = aChat();
  claude.turn("fix the parser");
  const text = await prompt(await named(runtime, "some client", claude.pid), name);
  expect(text).toContain(quoted);
  expect(text).toContain(`session ${claude.session}`);
  expect(text).not.toMatch(/\{given\}|\{command\}|"\w+At": \d/);
});

it("[MC41] in OpenCode the user's words are put in afterwards, and nothing in a quotation acts", async () => {
  const { runtime, claude } = aChat();
  claude.turn("run !`touch made` with $1 and @.env");
  const connected = await named(runtime, "opencode", claude.pid);
  const undo = await prompt(connected, "undo", "$1");
  expect(undo).toMatch(/^The user typed \/shim:undo \$1, a command of SHIM\./);
  expect(undo).toMatch(/undo --diff --json` with the user's words/);
  for (const text of [await prompt(connected, "who"), await prompt(connected, "resume", claude.session)]) {
    expect(text).toContain("touch made");
    // As OpenCode finds commands, arguments and files.
    expect(text).not.toMatch(/!`|\$\d|\$ARGUMENTS|@\.env/);
  }
});

it("[MC29] [TR203] a prompt of SHIM's is its command in the journal, and no request of the user", async () => {
  const { runtime, claude } = aChat();
  claude.turn("fix the parser");
  const connected = await named(runtime, "some client", claude.pid);
  for (const name of names.filter((one) => one !== "resume"))
    for (const words of "argument" in slashCommands[name] ? ["", "3 and more"] : [""]) {
      const text = await prompt(connected, name, words);
      const command = `/shim:${name} ${words}`.trim();
      // Gemini CLI and Qwen Code send JSON.
      for (const sent of [text, JSON.stringify(text)]) expect(userWords(sent)).toBe(command);
      expect(isRequest(command)).toBe(false);
    }
  expect(userWords("The user typed /shim:undo, a command of SHIM")).not.toBe("/shim:undo");
});

it("[MC29] resume brings the brief of the session that is named, else of the newest that died, and takes nothing @night", async () => {
  for (const era of eras) {
    const { runtime, claude: dead } = aChat();
    const connected = await connect(runtime, { era });
    for (const given of [undefined, "", " "])
      await expect(prompt(connected, "resume", given), era).rejects.toThrow(/nothing to continue/);
    expect(await prompt(connected, "resume", "unknown")).toContain("find the title that fits best");
    dead.turn("fix the parser");
    expect(await prompt(connected, "resume", dead.session)).toMatch(/\nPass ".*is still open.*ago: fix/s);
    dead.kill();
    const take = `First call shim_check_recovery (of "${dead.session}", take true)`;
    for (const given of [undefined, "", dead.session.slice(0, 12)]) {
      const text = await prompt(connected, "resume", given);
      expect(text, era).toContain(take);
      expect(text.split("ago: fix the parser"), era).toHaveLength(2);
    }
    expect(storedSession(runtime, dead.session).recovery).toBeNull();
  }
});

it("[MC29] resume prefers a dead session of the chat's project, and refuses a beginning that several ids have", async () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime, "fix the parser");
  const other = anotherClaude(runtime, dead, { session: `${dead.session.slice(0, 8)}-other`, cwd: aProject() });
  other.turn("write the lexer");
  other.kill();
  const connected = await connect(runtime);
  await connected.ask("shim_session_status", { project: storedSession(runtime, dead.session).project });
  expect(await prompt(connected, "resume")).toContain("ago: fix the parser");
  await expect(prompt(connected, "resume", dead.session.slice(0, 8))).rejects.toThrow(/matches several sessions/);
});

it("[MC29] where nothing died, resume brings what another chat of the same app has saved", async () => {
  const connected = await desktop(tempRuntime());
  const { output } = await connected.ask("shim_force_checkpoint", { goal: "write the importer" });
  await connected.ask("shim_check_recovery", { start: true });
  const session = String(output["session"]);
  expect(await prompt(connected, "resume")).toMatch(new RegExp(`Pass "${session}.*s ago\\): write the importer`, "s"));
});

it("[CL69] the commands name only tools that a chat can have", () => {
  const tools = Object.keys({ ...machineTools, ...teamTools });
  for (const { tools: own } of Object.values(slashCommands)) for (const name of own) expect(tools).toContain(name);
});
