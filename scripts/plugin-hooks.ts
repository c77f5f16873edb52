/** Writes the hook files of the plugin. Run it after a change of the events: `node scripts/plugin-hooks.ts`. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { hookEvents } from "../src/contract/hooks.ts";
import { hookToolGroups, isEventKnown, isHookToolEvent } from "../src/contract/hook-tool.ts";
import { hookTimeout } from "../src/installer/entries.ts";

/** Claude Code's name of the plugin's server: `plugin:<plugin>:<server>`. */
const server = "plugin:shim:shim";

const command = (event: (typeof hookEvents)[number]): object => ({
  type: "command",
  command: "node",
  args: ["${CLAUDE_PLUGIN_ROOT}/launch.mjs", "hook", event],
  timeout: hookTimeout(event),
});

/** One file for each client version that knows more: an older client drops a file in which it does not know an event or a type of hook. */
export function pluginHooks(): Record<string, object> {
  const tools = hookEvents.filter(isHookToolEvent);
  const old = tools.filter((event) => isEventKnown(event, null));
  const files = {
    "hooks.json": hookEvents
      .filter((event) => !isHookToolEvent(event))
      .map((event) => [event, [{ hooks: [command(event)] }]]),
    "mcp.json": old.map((event) => [event, hookToolGroups(event, server)]),
    "newer-events.json": tools
      .filter((event) => !old.includes(event))
      .map((event) => [event, hookToolGroups(event, server)]),
  };
  return Object.fromEntries(Object.entries(files).map(([name, hooks]) => [name, { hooks: Object.fromEntries(hooks) }]));
}

if (import.meta.main) {
  for (const [name, content] of Object.entries(pluginHooks())) {
    writeFileSync(join(import.meta.dirname, "..", "plugin", "hooks", name), `${JSON.stringify(content, null, 2)}\n`);
  }
}
