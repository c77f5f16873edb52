import type { McpConnection } from "../../../demo/mcp-connection.ts";

/** A client whose hooks call the server, one tool call after the other, until the connection ends. */
export class HookCaller {
  /** Ids of the tool calls whose end was acknowledged. */
  readonly acknowledged: string[] = [];
  readonly #server: McpConnection;
  readonly #session: string;

  constructor(server: McpConnection, session: string) {
    this.#server = server;
    this.#session = session;
  }

  /** @throws when the connection ends */
  async work(): Promise<never> {
    await this.#server.initialize("hooks");
    for (let n = 1; ; n++) {
      const id = `${this.#session}-${n}`;
      await this.#event("PreToolUse", id);
      await this.#event("PostToolUse", id);
      this.acknowledged.push(id);
    }
  }

  async #event(event: string, id: string): Promise<void> {
    await this.#server.request("tools/call", {
      name: "shim_hook",
      arguments: {
        event,
        session_id: this.#session,
        prompt_id: "p1",
        tool_name: "Bash",
        tool_use_id: id,
        "tool_input.command": `echo ${id}`,
      },
    });
  }
}
