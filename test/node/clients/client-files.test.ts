import { expect, it } from "vitest";
import { clientFiles } from "#src/clients/details.ts";

const launch = {
  node: "/usr/bin/node",
  hookScript: "/opt/shim/dist/hook.cjs",
  commandOf: (event: string) => `node hook.cjs ${event}`,
};

it("a client's own file starts the hook at each event that SHIM reads", () => {
  const { copilot, opencode } = clientFiles;
  if (copilot?.hooks.form !== "own" || opencode?.hooks.form !== "own") throw new Error("both have files of their own");
  const file = JSON.parse(copilot.hooks.text(launch)) as { version: number; hooks: Record<string, object[]> };
  expect(file.version).toBe(1);
  expect(file.hooks["SessionStart"]).toEqual([
    {
      type: "command",
      bash: "node hook.cjs SessionStart",
      powershell: "node hook.cjs SessionStart",
      timeoutSec: 15,
    },
  ]);
  expect(opencode.hooks.text(launch)).toContain('openCodePlugin(["/usr/bin/node","/opt/shim/dist/hook.cjs"])');
  expect(opencode.servers?.entry("node", ["shim.mjs", "mcp"])).toEqual({
    type: "local",
    command: ["node", "shim.mjs", "mcp"],
    enabled: true,
  });
  expect(copilot.servers?.entry("node", ["mcp"])).toEqual({
    type: "local",
    command: "node",
    args: ["mcp"],
    tools: ["*"],
  });
});

function handler(name: keyof typeof clientFiles, event: string): unknown {
  const hooks = clientFiles[name]?.hooks;
  return hooks && hooks.form !== "own" ? hooks.handler("run", event) : null;
}

it("a handler in a shared file waits in the client's unit of time", () => {
  expect(handler("qwen", "SessionStart")).toEqual({ type: "command", name: "shim", command: "run", timeout: 15 });
  expect(handler("gemini", "BeforeTool")).toMatchObject({ timeout: 10_000 });
  expect(clientFiles.qwen?.servers?.entry("node", ["mcp"])).toEqual({ command: "node", args: ["mcp"] });
});
