import { codexClient, programOf } from "../../scripts/install-clients.ts";
import { numberAt, objectAt, textAt } from "../../src/shared/json-fields.ts";
import { codexEnv, codexFlags } from "../../test/harness/clients/codex-rig.ts";
import type { ChatStart } from "./client-chat.ts";
import { RpcChat, type RpcMessage } from "./rpc-process.ts";

/** What Codex says of the hooks of all its chats, in ms by event. */
export const hookTimes = new Map<string, number[]>();

/** Codex as an editor runs it (`codex app-server`): one process, many turns, the hooks of a terminal. */
export class CodexChat extends RpcChat {
  #turnEnded = Promise.withResolvers<void>();

  constructor(start: ChatStart) {
    // Codex offers apply_patch to models that it knows.
    const flags = codexFlags(start.modelUrl, { modelName: "gpt-5.5" });
    const command = [programOf(codexClient), ...flags, "app-server"];
    const onMessage = (message: RpcMessage): object => this.#read(message);
    super({ command, cwd: start.cwd, env: codexEnv(start.home), onMessage }, start);
  }

  async turn(prompt: string): Promise<void> {
    this.#turnEnded = Promise.withResolvers();
    await this.send(prompt);
    await this.process.within(this.#turnEnded.promise, "a turn");
  }

  async send(prompt: string): Promise<void> {
    await this.opened;
    await this.process.call("turn/start", { threadId: this.session, input: [{ type: "text", text: prompt }] });
  }

  protected async open(cwd: string, resumed: string | null): Promise<string | null> {
    const clientInfo = { name: "bench", title: "Bench", version: "1" };
    await this.process.call("initialize", { clientInfo, capabilities: { experimentalApi: true } });
    this.process.notify("initialized");
    const { thread } =
      resumed === null
        ? await this.process.call("thread/start", { cwd })
        : await this.process.call("thread/resume", { threadId: resumed });
    return textAt({ ...(thread as object) }, "id");
  }

  #read({ method, params }: RpcMessage): object {
    const run = objectAt(params ?? {}, "run");
    if (method === "hook/completed" && run) {
      const event = textAt(run, "eventName") ?? "";
      hookTimes.set(event, [...(hookTimes.get(event) ?? []), numberAt(run, "durationMs") ?? 0]);
    }
    if (method === "turn/completed") this.#turnEnded.resolve();
    return {};
  }
}
