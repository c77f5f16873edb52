import { join } from "node:path";
import { expect, it } from "vitest";
import { bash, call, ClaudeRig, received } from "#harness/claude/claude-rig.ts";

const launcher = join(import.meta.dirname, "..", "..", "plugin", "launch.mjs");

it("[HO30] tool events reach SHIM through its MCP process, each once, and the model sees no tool of it", async () => {
  const rig = new ClaudeRig();
  const steps = [bash("sleep 1"), bash("exit 3"), call("Read", { file_path: rig.path("one.ts") }), { text: "Done." }];
  const { model } = await rig.printed("look around", { steps });
  const [session] = rig.sessions();
  expect(rig.kinds(session!.id).filter((kind) => kind.startsWith("tool_"))).toEqual([
    "tool_start",
    "tool_end",
    "tool_start",
    "tool_error",
    "tool_start",
    "tool_end",
  ]);
  expect(session).toMatchObject({ toolCalls: 3, toolErrors: 1 });
  expect(JSON.stringify(model.requests.map(({ body }) => body?.["tools"]))).not.toContain("shim_hook");
  expect(received(model, -1)).not.toContain("SHIM: ");
});

it("[HO5] a server that the user has registered by hand beside the plugin's neither replaces it nor counts twice", async () => {
  const rig = new ClaudeRig();
  const mcpServers = { mine: { type: "stdio", command: "node", args: [launcher, "mcp"] } };
  await rig.printed("look around", { mcpServers, steps: [bash("sleep 1"), bash("echo two"), { text: "Done." }] });
  const [session, ...others] = rig.sessions();
  expect(others).toEqual([]);
  expect(rig.kinds(session!.id)).toEqual([
    "start",
    "prompt",
    "tool_start",
    "tool_end",
    "tool_start",
    "tool_end",
    "assistant",
    "turn_end",
    "end",
  ]);
});
