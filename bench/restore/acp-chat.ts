import { isRecord, listAt, textAt } from "../../src/shared/json-fields.ts";
import { environmentOf, type RealClient } from "../../test/harness/clients/real-clients.ts";
import type { ChatStart } from "./client-chat.ts";
import { RpcChat, type RpcMessage } from "./rpc-process.ts";

/** A client as an editor runs it, by the Agent Client Protocol: one process, many turns, the hooks of a terminal. */
export class AcpChat extends RpcChat {
  /** @param command program with its arguments */
  constructor(client: RealClient, command: readonly string[], start: ChatStart) {
    super({ command, cwd: start.cwd, env: environmentOf(client, start), onMessage: allow }, start);
  }

  async turn(prompt: string): Promise<void> {
    await this.opened;
    await this.#prompt(prompt);
  }

  async send(prompt: string): Promise<void> {
    await this.opened;
    // The process is killed before the answer comes.
    this.#prompt(prompt).catch(() => undefined);
  }

  #prompt(text: string): Promise<unknown> {
    return this.process.call("session/prompt", { sessionId: this.session, prompt: [{ type: "text", text }] });
  }

  protected async open(cwd: string, resumed: string | null): Promise<string | null> {
    const clientCapabilities = { fs: { readTextFile: false, writeTextFile: false }, terminal: false };
    await this.process.call("initialize", { protocolVersion: 1, clientCapabilities });
    const opening = { cwd, mcpServers: [] };
    if (resumed === null) return textAt(await this.process.call("session/new", opening), "sessionId");
    await this.process.call("session/load", { ...opening, sessionId: resumed });
    return resumed;
  }
}

/** The user allows each tool. */
function allow({ params = {} }: RpcMessage): object {
  const options = listAt(params, "options").filter(isRecord);
  const optionId = options.find((option) => textAt(option, "kind")?.startsWith("allow"))?.["optionId"];
  return { outcome: { outcome: "selected", optionId } };
}
