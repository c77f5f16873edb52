import { isRecord, listAt, textAt } from "../../src/shared/json-fields.ts";
import { environmentOf, type RealClient } from "../../test/harness/clients/real-clients.ts";
import type { ChatStart, ClientChat } from "./client-chat.ts";
import { RpcProcess, type RpcMessage } from "./rpc-process.ts";

/** A client as an editor runs it, by the Agent Client Protocol: one process, many turns, the hooks of a terminal. */
export class AcpChat implements ClientChat {
  readonly #process: RpcProcess;
  readonly #opened: Promise<void>;
  #session: string | null;

  /** @param command program with its arguments */
  constructor(client: RealClient, command: readonly string[], { home, cwd, shimHome, modelUrl, resumed }: ChatStart) {
    const env = environmentOf(client, { home, shimHome, modelUrl });
    this.#process = new RpcProcess({ command, cwd, env, onMessage: allow });
    this.#session = resumed;
    this.#opened = this.#open(cwd);
    this.#opened.catch(() => undefined);
  }

  get session(): string | null {
    return this.#session;
  }

  clientPid(): Promise<number> {
    return Promise.resolve(this.#process.pid);
  }

  async turn(prompt: string): Promise<void> {
    await this.#opened;
    await this.#prompt(prompt);
  }

  async send(prompt: string): Promise<void> {
    await this.#opened;
    // The process is killed before the answer comes.
    this.#prompt(prompt).catch(() => undefined);
  }

  finish(): Promise<void> {
    return this.#process.finish();
  }

  waitForExit(): Promise<void> {
    return this.#process.waitForExit();
  }

  #prompt(text: string): Promise<unknown> {
    return this.#process.call("session/prompt", { sessionId: this.#session, prompt: [{ type: "text", text }] });
  }

  async #open(cwd: string): Promise<void> {
    const clientCapabilities = { fs: { readTextFile: false, writeTextFile: false }, terminal: false };
    await this.#process.call("initialize", { protocolVersion: 1, clientCapabilities });
    const opening = { cwd, mcpServers: [] };
    if (this.#session !== null) await this.#process.call("session/load", { ...opening, sessionId: this.#session });
    else this.#session = textAt(await this.#process.call("session/new", opening), "sessionId");
  }
}

/** The user allows each tool. */
function allow({ params = {} }: RpcMessage): object {
  const options = listAt(params, "options").filter(isRecord);
  const optionId = options.find((option) => textAt(option, "kind")?.startsWith("allow"))?.["optionId"];
  return { outcome: { outcome: "selected", optionId } };
}
