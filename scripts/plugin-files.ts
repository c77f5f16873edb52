/** Writes the hooks and the slash commands of the plugin. Run it after a change of the events or commands: `node scripts/plugin-files.ts`. */
import { writeFileSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { eventSince, isHookToolEvent } from "../src/contract/hook-tool.ts";
import { type HookEvent, hookEvents } from "../src/contract/hooks.ts";
import { slashCommands, stepsOf, type SlashCommand } from "../src/contract/slash-commands.ts";
import { clientMs } from "../src/contract/hook-limits.ts";
import { withShimCommand } from "../src/platform/shim-command.ts";

/** An update of the plugin deletes the folder from which an open chat starts its hooks. */
const start = `import(require("node:url").pathToFileURL(process.argv[1])).catch(() => {
  const systemMessage = "SHIM's plugin is not at " + process.argv[1] + " any more, so this chat is not saved. Start Claude Code again.";
  if (process.argv[3] === "SessionStart") console.log(JSON.stringify({ systemMessage }));
})`.replaceAll(/\n */g, " ");

/** A start, a prompt and an end, of which the first reports to the user what is missing, and a prompt a server that is gone. */
const nodeCommand = (event: HookEvent): object => ({
  command: "node",
  args: ["-e", start, "${CLAUDE_PLUGIN_ROOT}/launch.mjs", "hook", event],
});

/**
 * The other events, several in each turn: the script, which is faster than Node. An entry of a plugin names no system, so the line means
 * the same to PowerShell, which some Windows have without `sh`: there the transcript has these events. Whatever is missing, it ends with 0.
 */
const scriptCommand = (event: HookEvent): object => ({
  command: `sh "\${CLAUDE_PLUGIN_ROOT}/dist/shim-hook" - ${event}; exit 0`,
});

function handlerOf(event: HookEvent): object {
  const command = isHookToolEvent(event) ? scriptCommand(event) : nodeCommand(event);
  return { type: "command", ...command, timeout: clientMs(event) / 1_000 };
}

/** One file for each client version that knows more: an older client drops a file in which it does not know an event. */
export function pluginHooks(): Record<string, object> {
  const ages = Map.groupBy(hookEvents, (event) => eventSince[event]);
  const files = [...ages].map(([version, events]): [string, object] => [
    version === undefined ? "hooks.json" : `since-${version}.json`,
    { hooks: Object.fromEntries(events.map((event) => [event, [{ hooks: [handlerOf(event)] }]])) },
  ]);
  return Object.fromEntries(files.toSorted(([one], [other]) => one.localeCompare(other)));
}

if (import.meta.main) {
  for (const [name, content] of Object.entries(pluginHooks())) {
    writeFileSync(join(import.meta.dirname, "..", "plugin", "hooks", name), `${JSON.stringify(content, null, 2)}\n`);
  }
}

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
