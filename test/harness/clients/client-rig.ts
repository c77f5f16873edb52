import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { untilFound, watch, type Child, type Claude } from "#harness/claude/claude-code.ts";
import { programOf } from "../../../scripts/install-clients.ts";
import { startScriptedModel, type ScriptedModel, type Step, type Steps } from "#harness/claude/scripted-model.ts";
import { ChatRig, fail, longTool } from "./chat-rig.ts";
import { connectClient, environmentOf, putProgram, runShim, type RealClient } from "./real-clients.ts";

export interface ClientRun {
  readonly process: Claude;
  readonly model: ScriptedModel;
}

const noModel = "http://127.0.0.1:9";

/** A machine with one of the other clients, in which `shim init` has set SHIM up. */
export class ClientRig extends ChatRig {
  readonly client: RealClient;

  constructor(client: RealClient) {
    super();
    this.client = client;
    connectClient(client, this.#env(noModel));
  }

  async start(prompt: string, steps: Steps, session: string | null = null, cwd = this.project): Promise<ClientRun> {
    const model = await startScriptedModel({ steps });
    onTestFinished(() => model.close());
    return this.#run(model, this.client.command(prompt, session), cwd);
  }

  async runCommand(name: string, words: string, steps: Steps, session: string): Promise<ClientRun> {
    const model = await startScriptedModel({ steps });
    onTestFinished(() => model.close());
    const run = this.#run(model, this.client.slashCommand(name, words, session), this.project);
    const { code } = await run.process.waitForExit();
    await this.endsStored();
    if (code !== 0) fail(`${this.client.name} ended with ${code}: ${JSON.stringify(run.process.output)}`);
    return run;
  }

  #run(model: ScriptedModel, [program = "", ...args]: readonly string[], cwd: string): ClientRun {
    const child = spawn(program, args, {
      cwd,
      env: this.#env(model.url),
      stdio: ["ignore", "pipe", "pipe"],
    });
    return { model, process: watch(child) };
  }

  async run(prompt: string, steps: readonly Step[], session: string | null = null): Promise<ClientRun> {
    const run = await this.start(prompt, steps, session);
    const { code } = await run.process.waitForExit();
    await this.endsStored();
    if (code !== 0) fail(`${this.client.name} ended with ${code}: ${JSON.stringify(run.process.output)}`);
    return run;
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
    const isThere = (): boolean => this.processes().some(isLongTool);
    await untilFound(isThere, `the command in ${this.client.name}`).catch(() =>
      fail(`${this.client.name} runs no command: ${JSON.stringify(output)}`),
    );
  }

  async kill(run: ClientRun): Promise<void> {
    run.process.kill("SIGKILL");
    await run.process.waitForExit();
  }

  mcp(): Promise<Child> {
    return untilFound(() => this.processes().find(isMcp), "SHIM's MCP process");
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

function isMcp({ command }: Child): boolean {
  return command.join(" ").endsWith("shim.mjs mcp");
}

function isLongTool({ command }: Child): boolean {
  return command.join(" ") === longTool;
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
