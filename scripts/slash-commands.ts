// Writes plugin/commands/*.md, Claude Code's slash commands, from their declaration.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { slashCommands, stepsOf, type SlashCommand } from "../src/contract/slash-commands.ts";
import { withShimCommand } from "../src/platform/shim-command.ts";

const program = 'node "${CLAUDE_PLUGIN_ROOT}/launch.mjs"';

/** Contents by the names of the files. */
export function commandFiles(): ReadonlyMap<string, string> {
  return new Map(Object.entries<SlashCommand>(slashCommands).map(([name, one]) => [`${name}.md`, commandFile(one)]));
}

function commandFile(command: SlashCommand): string {
  const { description, argument, tools, runs = [] } = command;
  const allowed = [
    ...tools.map((tool) => `mcp__plugin_shim_shim__${tool}`),
    ...runs.map((words) => `Bash(${program} ${words}:*)`),
  ];
  const head = [
    `description: ${description}`,
    ...(argument === undefined ? [] : [`argument-hint: ${JSON.stringify(argument)}`]),
    `allowed-tools: ${allowed.join(", ")}`,
  ];
  return withShimCommand(`---\n${head.join("\n")}\n---\n\n${stepsOf(command, "$ARGUMENTS")}\n`, () => program);
}

if (import.meta.main) {
  const folder = join(import.meta.dirname, "..", "plugin", "commands");
  const files = commandFiles();
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) if (!files.has(name)) rmSync(join(folder, name));
  for (const [name, text] of files) writeFileSync(join(folder, name), text);
}
