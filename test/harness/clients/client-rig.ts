import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { pathsIn, type Paths } from "#src/platform/paths.ts";
import { readContent, type SessionContent } from "#src/local-mcp/sessions/session-content.ts";
import * as sessions from "#src/local-mcp/sessions/sessions.ts";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { Store } from "#src/store/store.ts";
import { commandOf, readOrNull, untilFound, type Exit } from "#harness/claude/claude-code.ts";
import { startScriptedModel, type ScriptedModel, type Step } from "#harness/claude/scripted-model.ts";
import { makeRepository } from "#harness/machine/git-project.ts";
import { connectClient, environmentOf, type RealClient } from "./real-clients.ts";

interface ClientRun {
  readonly pid: number;
  readonly model: ScriptedModel;
  readonly output: { text: string };
  waitForExit(): Promise<Exit>;
}

const longTool = "sleep 600";

/** A machine with one of the other clients: its home, a git project and SHIM's folder. */
export class ClientRig {
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), "shim-client-")));
  readonly home = join(this.root, "home");
  readonly project = join(this.root, "project");
  readonly paths: Paths = pathsIn(join(this.root, "shim"));
  readonly client: RealClient;
  readonly #store = new Store({ path: this.paths.database, driver: openNodeSqlite, now: Date.now });

  constructor(client: RealClient) {
    this.client = client;
    mkdirSync(this.home);
    makeRepository(this.project, { "one.ts": "export {};\n" });
    onTestFinished(() => this.#leave());
  }

  async start(prompt: string, steps: readonly Step[], session: string | null = null): Promise<ClientRun> {
    const model = await startScriptedModel({ threads: [{ steps }] });
    onTestFinished(() => model.close());
    const env = environmentOf(this.client, { home: this.home, shimHome: this.paths.home, modelUrl: model.url });
    connectClient(this.client, env);
    const [program = "", ...args] = this.client.command(prompt, session);
    const child = spawn(program, args, { cwd: this.project, env, stdio: ["ignore", "pipe", "pipe"] });
    const output = { text: "" };
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => (output.text += text));
    const exit = new Promise<Exit>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => resolve({ code, signal }));
    });
    if (child.pid === undefined) throw new Error(`could not start ${program}`);
    return { pid: child.pid, model, output, waitForExit: () => exit };
  }

  /** From its start to its good end. */
  async run(prompt: string, steps: readonly Step[], session: string | null = null): Promise<ClientRun> {
    const run = await this.start(prompt, steps, session);
    const { code } = await run.waitForExit();
    if (code !== 0) throw new Error(`${this.client.name} ended with ${code}: ${run.output.text}`);
    return run;
  }

  /** Killed with -9 in the middle of a shell command that does not end. */
  async killed(prompt: string, steps: readonly Step[]): Promise<sessions.Session> {
    const endless = { tools: [this.client.shell(`exec ${longTool}`)] };
    const run = await this.start(prompt, [...steps, endless]);
    const isRunning = (): boolean => this.processes().some(({ command }) => command.join(" ") === longTool);
    await untilFound(isRunning, `the command in ${this.client.name}: ${run.output.text}`);
    for (const { pid, command } of this.processes()) if (command.join(" ") !== longTool) process.kill(pid, "SIGKILL");
    await run.waitForExit();
    return this.sessions().at(-1) ?? fail("no session was stored");
  }

  /** Oldest first. */
  sessions(): sessions.Session[] {
    return this.#store.read((sql) => sessions.list(sql), []).toSorted((a, b) => a.startedAt - b.startedAt);
  }

  stored(id: string): SessionContent {
    return this.#store.read((sql) => readContent(sql, id), null) ?? fail(`there is no session ${id}`);
  }

  processes(): { readonly pid: number; readonly command: readonly string[] }[] {
    return readdirSync("/proc")
      .filter((name) => readOrNull(`/proc/${name}/environ`)?.split("\0").includes(`HOME=${this.home}`))
      .map((name) => ({ pid: Number(name), command: commandOf(name) }))
      .filter(({ command }) => command.length > 0);
  }

  async #leave(): Promise<void> {
    this.#store.close();
    for (const { pid } of this.processes()) process.kill(pid, "SIGKILL");
    await untilFound(() => this.processes().length === 0, "the end of all processes");
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** What the model received with its first request of the conversation. */
export function firstRequest({ model }: ClientRun): string {
  return JSON.stringify(model.requests.find(({ kind }) => kind === "loop")?.body ?? null);
}

function fail(message: string): never {
  throw new Error(message);
}
