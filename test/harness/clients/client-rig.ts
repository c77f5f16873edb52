import { rmSync } from "node:fs";
import { join } from "node:path";
import { untilFound } from "#harness/claude/claude-code.ts";
import type { Child } from "#harness/machine/process-tree.ts";
import { programOf } from "../../../scripts/install-clients.ts";
import type { Step, Steps } from "#harness/claude/scripted-model.ts";
import { aModel, ChatRig, fail, longTool, type ClientRun } from "./chat-rig.ts";
import { connectClient, environmentOf, putProgram, runShim, type RealClient } from "./real-clients.ts";

const noModel = "http://127.0.0.1:9";

/** A machine with one of the other clients, in which `shim init` has set SHIM up. */
export class ClientRig extends ChatRig {
  readonly client: RealClient;

  constructor(client: RealClient) {
    super();
    this.client = client;
    connectClient(client, this.#env(noModel));
  }

  async start(prompt: string, steps: Steps, session: string | null = null): Promise<ClientRun> {
    const model = await aModel({ steps });
    return this.drive(model, this.client.command(prompt, session), this.#env(model.url));
  }

  /** Types the slash command, which the client has in a form of its own. */
  async runCommand(name: string, words: string, steps: Steps, session: string): Promise<ClientRun> {
    const model = await aModel({ steps });
    return this.ended(this.drive(model, this.client.slashCommand(name, words, session), this.#env(model.url)));
  }

  async run(prompt: string, steps: readonly Step[], session: string | null = null): Promise<ClientRun> {
    return this.ended(await this.start(prompt, steps, session));
  }

  async atTool(prompt: string, steps: readonly Step[] = []): Promise<ClientRun> {
    const run = await this.start(prompt, [...steps, this.endless()]);
    await this.tool(run);
    return run;
  }

  endless(): Step {
    return { tools: [this.client.shell(`exec ${longTool}`)] };
  }

  async tool({ process: { output } }: ClientRun): Promise<void> {
    const isThere = (): boolean => this.processes().some(({ command }) => command.join(" ") === longTool);
    const what = (): string => `the command in ${this.client.name}: ${JSON.stringify(output)}`;
    await untilFound(isThere, what);
  }

  mcp(): Promise<Child> {
    const found = () => this.processes().find(({ command }) => command.join(" ").endsWith("shim.mjs mcp"));
    return untilFound(found, "SHIM's MCP process");
  }

  loseConversations(): void {
    rmSync(join(this.home, this.client.conversations), { recursive: true });
  }

  shim(...args: string[]): string {
    const env = this.#env(noModel);
    const bin = join(this.root, "bin");
    const { name, pinned } = this.client;
    putProgram(bin, name, { version: pinned.version, path: programOf(pinned) });
    return runShim(args, { cwd: this.project, env: { ...env, PATH: `${bin}:${env["PATH"]}` } });
  }

  /** Of each session, as `shim sessions` shows it, oldest first. */
  states(): string[] {
    const { sessions } = JSON.parse(this.shim("sessions", "--json"));
    return (sessions as { state: string; startedAt: number }[])
      .toSorted((a, b) => a.startedAt - b.startedAt)
      .map(({ state }) => state);
  }

  #env(modelUrl: string): Record<string, string> {
    return environmentOf(this.client, { home: this.home, shimHome: this.paths.home, modelUrl });
  }
}

export function firstRequest({ model }: ClientRun): string {
  return JSON.stringify(model.requests.find(({ kind }) => kind === "loop")?.body ?? fail("there is no request"));
}

/** The sessions whose briefs are in the first request. */
export function offered(run: ClientRun): string[] {
  return [
    ...new Set(
      Array.from(firstRequest(run).matchAll(/(?:check_recovery \(of \\+"|--undo )([\w-]+)/g), ([, id = ""]) => id),
    ),
  ];
}
