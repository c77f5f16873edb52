import { expect, it } from "vitest";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { call, ClaudeRig, received } from "#harness/claude/claude-rig.ts";

it("Claude Code gives a task to the team and reads the chats over HTTP, with a token in a header @night", async () => {
  const rig = new ClaudeRig();
  const edge = await EdgeRuntime.open();
  await edge.register("a-chat");
  const { token } = await edge.call("tokens.create", { machine: "claude", scope: "submit" });
  const far = { type: "http", url: `${edge.url}/mcp`, headers: { Authorization: `Bearer ${token}` } };
  const { model } = await rig.printed("give the build to the team", {
    mcpServers: { far },
    args: ["--allowedTools", "mcp__far"],
    steps: [
      call("mcp__far__tasks_submit", { tasks: [{ type: "build", payload: { branch: "main" } }] }),
      call("mcp__far__chats_list", {}),
      call("mcp__far__messages_send", { target: { to: "all" }, body: "hello" }),
      { text: "Done." },
    ],
  });
  expect(await edge.call("tasks.get", { task: 1 })).toMatchObject({ type: "build", payload: { branch: "main" } });
  expect(received(model, 1)).toContain('{"tasks":[{"task":1,"state":"queued","isDuplicate":false}]}');
  expect(received(model, 2)).toContain("<shim-team-data>");
  expect(received(model, 2)).toContain('"chat":"a-chat"');
  // Its scope has no such tool.
  expect(received(model, 3)).toMatch(/No such tool available: mcp__far__messages_send/);
});
