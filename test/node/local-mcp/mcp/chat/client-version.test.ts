import { expect, it } from "vitest";
import { storedSession } from "#harness/machine/claude.ts";
import { connect, desktop, type Connected } from "#harness/machine/mcp-client.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

async function sessionOf({ call }: Connected): Promise<unknown> {
  return (await call("shim_session_status")).output["session"];
}

it("the session is named by the client's own variable, not by that of the chat which started the client", async () => {
  const env = {
    CLAUDE_CODE_SESSION_ID: "of-claude",
    COPILOT_AGENT_SESSION_ID: "of-copilot",
    QWEN_CODE_SESSION_ID: "of-qwen",
  };
  const named = async (name: string): Promise<unknown> => sessionOf(await connect(tempRuntime({ env }), { name }));
  expect(await named("copilot-cli")).toBe("of-copilot");
  expect(await named("qwen-cli-mcp-client-shim")).toBe("of-qwen");
  expect(await named("claude-code")).toBe("of-claude");
});

it("a session without hooks has the version of the handshake", async () => {
  const runtime = tempRuntime();
  const session = String(await sessionOf(await desktop(runtime)));
  expect(storedSession(runtime, session)).toMatchObject({
    client: "claude-ai",
    clientVersion: expect.stringMatching(/\d/),
  });
});
