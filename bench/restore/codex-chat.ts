import { codexClient, programOf } from "../../scripts/install-clients.ts";
import { numberAt, objectAt, textAt } from "../../src/shared/json-fields.ts";
import { codexEnv, codexFlags } from "../../test/harness/clients/codex-rig.ts";
import type { ChatStart, ClientChat } from "./client-chat.ts";
import { RpcProcess, type RpcMessage } from "./rpc-process.ts";

/** What Codex says of the hooks of all its chats, in ms by event. */
export const hookTimes = new Map<string, number[]>();

/** Codex as an editor runs it (`codex app-server`): one process, many turns, the hooks of a terminal. */
export class CodexChat implements ClientChat {
  readonly #process: RpcProcess;
  readonly #opened: Promise<void>;
  #session: string | null = null;
  #turnEnded = Promise.withResolvers<void>();

  constructor({ home, cwd, modelUrl, resumed }: ChatStart) {
    // Codex offers apply_patch to models that it knows.
    const flags = codexFlags(modelUrl, { modelName: "gpt-5.5" });
    const command = [programOf(codexClient), ...flags, "app-server"];
    this.#process = new RpcProcess({ command, cwd, env: codexEnv(home), onMessage: (message) => this.#read(message) });
    this.#opened = this.#open(cwd, resumed);
    this.#opened.catch(() => undefined);
  }

  get session(): string | null {
    return this.#session;
  }

  clientPid(): Promise<number> {
    return Promise.resolve(this.#process.pid);
  }

  async turn(prompt: string): Promise<void> {
    this.#turnEnded = Promise.withResolvers();
    await this.send(prompt);
    await this.#process.within(this.#turnEnded.promise, "a turn");
  }

  async send(prompt: string): Promise<void> {
    await this.#opened;
    await this.#process.call("turn/start", { threadId: this.#session, input: [{ type: "text", text: prompt }] });
  }

  finish(): Promise<void> {
    return this.#process.finish();
  }

  waitForExit(): Promise<void> {
    return this.#process.waitForExit();
  }

  async #open(cwd: string, resumed: string | null): Promise<void> {
    const clientInfo = { name: "bench", title: "Bench", version: "1" };
    await this.#process.call("initialize", { clientInfo, capabilities: { experimentalApi: true } });
    this.#process.notify("initialized");
    const { thread } =
      resumed === null
        ? await this.#process.call("thread/start", { cwd })
        : await this.#process.call("thread/resume", { threadId: resumed });
    this.#session = textAt({ ...(thread as object) }, "id");
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
