import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, onTestFinished } from "vitest";
import { pathsIn, type Paths } from "#src/platform/paths.ts";
import { readContent, type SessionContent } from "#src/machine/sessions/session-content.ts";
import { runningHost } from "#src/local-mcp/host-client/host-status.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import * as spool from "#src/store/spool.ts";
import { Store } from "#src/store/store.ts";
import { findChild, untilFound, watch, type Claude } from "#harness/claude/claude-code.ts";
import { startScriptedModel, type ScriptedModel } from "#harness/claude/scripted-model.ts";
import type { ModelRequest, Script, Step, Steps, ToolCall } from "#harness/claude/scripted-model.ts";
import { makeRepository, write } from "#harness/machine/git-project.ts";
import { commandOf, killEvery, killHosts, readOrNull, type Child } from "#harness/machine/process-tree.ts";
import { programOf } from "../../../scripts/install-clients.ts";
import { connectClient, environmentOf, noModel, putProgram, runShim, type RealClient } from "./real-clients.ts";

/** One run of a client and the model that it talks to. */
export interface ClientRun<Process = Claude> {
  readonly process: Process;
  readonly model: ScriptedModel;
}

/** What a tool call runs that is still there when the test kills the client. */
export const longTool = "sleep 600";

/**
 * One machine: a home, a git project and SHIM's folder. When the test is over no process may be left but
 * the tools that a killed client leaves behind; those are ended here.
 */
export class ChatRig {
  readonly root: string;
  readonly home: string;
  readonly project: string;
  readonly paths: Paths;
  readonly #store: Store;

  /** @param shimHome SHIM's folder, from the home; `folder`: in which that of the machine is made */
  constructor(shimHome = "../shim", folder = tmpdir()) {
    this.root = fs.realpathSync(fs.mkdtempSync(join(folder, "shim-rig-")));
    this.home = join(this.root, "home");
    this.project = join(this.root, "project");
    this.paths = pathsIn(resolve(this.home, shimHome));
    this.#store = new Store({ path: this.paths.database, driver: openNodeSqlite, now: Date.now });
    fs.mkdirSync(this.home);
    const text = "export {};\n";
    makeRepository(this.project, { "one.ts": text, "two.ts": text, "three.ts": text });
    onTestFinished(() => this.#leave());
  }

  path(name: string): string {
    return join(this.project, name);
  }

  sessions(): sessions.Session[] {
    return this.#store.read((sql) => sessions.list(sql), []).toSorted((a, b) => a.startedAt - b.startedAt);
  }

  begun(): Promise<sessions.Session> {
    return untilFound(() => this.sessions()[0], "a session");
  }

  turns(id: string, count: number): Promise<sessions.Session> {
    const ends = (): number => this.kinds(id).filter((kind) => kind === "turn_end").length;
    return this.until(id, () => ends() === count, `the end of turn ${count}`);
  }

  last(id: string, kind: string): Promise<sessions.Session> {
    return this.until(id, () => this.kinds(id).at(-1) === kind, kind);
  }

  session(id: string): sessions.Session {
    return this.#store.read((sql) => sessions.get(sql, id), null) ?? fail(`there is no session ${id}`);
  }

  /** Waits for what the store holds of a session: hooks and the MCP process write while the test looks. */
  until(id: string, isThere: (session: sessions.Session, stored: SessionContent) => boolean, what: string) {
    return untilFound(() => isThere(this.session(id), this.stored(id)) && this.session(id), what);
  }

  stored(id: string): SessionContent {
    return this.#store.read((sql) => readContent(sql, id), null) ?? fail(`there is no store at ${this.#store.path}`);
  }

  kinds(id: string): string[] {
    return this.stored(id).journal.map(({ entry }) => entry.kind);
  }

  /** Living processes of this home, or with this variable, but for the host and its process for jobs, which stay. */
  processes(variable = `HOME=${this.home}`): Child[] {
    return fs
      .readdirSync("/proc")
      .filter((name) => readOrNull(`/proc/${name}/environ`)?.split("\0").includes(variable))
      .map((name) => ({ pid: Number(name), command: commandOf(name) }))
      .filter(({ command }) => command.length > 0 && !/mcp-(?:host|jobs)/.test(command.join(" ")));
  }

  /** Resolves when the process is no more, and the host has stored its end where it was a front. */
  async gone(pid: number): Promise<void> {
    await untilFound(() => this.processes().every((process) => process.pid !== pid), `the end of process ${pid}`);
    await this.endsStored();
  }

  /** Resolves when the host has stored the end of each front and client that is gone, and the events that came before it. */
  async endsStored(): Promise<void> {
    const isStored = async (): Promise<boolean> => {
      const asked = await runningHost(this, "GET", "/status");
      const chats = asked.ok ? (asked.value.host?.chats ?? []) : [];
      const isSeen = ({ front, client, isConnected }: (typeof chats)[number]): boolean =>
        isThere(client) && (!isConnected || isThere(front));
      return spool.isEmpty(this.paths.spool) && chats.every(isSeen);
    };
    await untilFound(isStored, "the stored ends of what is gone");
  }

  protected drive(model: ScriptedModel, words: readonly string[], env: Record<string, string>): ClientRun {
    const [program = "", ...args] = words;
    const child = spawn(program, args, { cwd: this.project, env, stdio: ["ignore", "pipe", "pipe"] });
    return { model, process: watch(child) };
  }

  /** Resolves at the end of the client, which must be a good one. */
  protected async ended<Run extends ClientRun>(run: Run): Promise<Run> {
    const { code } = await run.process.waitForExit();
    await this.endsStored();
    if (code !== 0) fail(`the client ended with ${code}: ${JSON.stringify(run.process.output)}`);
    return run;
  }

  async #leave(): Promise<void> {
    this.#store.close();
    const tools = this.processes().filter(({ command }) => command.join(" ") === longTool);
    killEvery(tools);
    const left = () => this.processes().map(({ pid, command }) => `${pid} ${command.join(" ")}`);
    await untilFound(() => left().length === 0, "the end of all processes").catch(() =>
      fail(`processes left: ${left().join("; ")}`),
    );
    await killHosts(this.paths.home);
    fs.rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
  }
}

export async function kill({ process }: ClientRun): Promise<void> {
  process.kill("SIGKILL");
  await process.waitForExit();
}

/** {@link longTool}, which Claude Code or Codex runs. */
export const endlessTool = ({ process }: ClientRun): Promise<Child> => findChild(process.pid, longTool);

/** The MCP process that Claude Code or Codex has started. */
export const mcpOf = ({ process }: ClientRun): Promise<Child> => findChild(process.pid, ".mjs mcp");

/** Until the end of the test. */
export async function aModel(script: Script): Promise<ScriptedModel> {
  const model = await startScriptedModel(script);
  onTestFinished(() => model.close());
  return model;
}

const isThere = (pid: number | null): boolean => pid === null || systemProcesses.facts(pid) !== null;

export function fail(message: string): never {
  throw new Error(message);
}

/** A machine with one of the other clients, in which `shim init` has set SHIM up. */
export class ClientRig extends ChatRig {
  readonly client: RealClient;

  constructor(client: RealClient) {
    super(client.shimHome);
    this.client = client;
    connectClient(client, this.env(noModel));
  }

  async start(prompt: string, steps: Steps, session: string | null = null, client = this.client): Promise<ClientRun> {
    const model = await aModel({ steps });
    return this.drive(model, client.command(prompt, session, model.url), this.env(model.url));
  }

  async run(...given: Parameters<ClientRig["start"]>): Promise<ClientRun> {
    return this.ended(await this.start(...given));
  }

  async atTool(prompt: string, steps: readonly Step[], session: string | null = null): Promise<ClientRun> {
    const endless = { tools: [this.client.shell(`exec ${longTool}`)] };
    // What an earlier death has left still runs.
    const running = () => this.processes().filter(({ command }) => command.join(" ") === longTool);
    const before = running().length;
    const run = await this.start(prompt, [...steps, endless], session);
    const isThere = (): boolean => running().length > before;
    await untilFound(isThere, () => `the command in ${this.client.name}: ${JSON.stringify(run.process.output)}`);
    return run;
  }

  mcp(): Promise<Child> {
    const found = () => this.processes().find(({ command }) => command.join(" ").endsWith("shim.mjs mcp"));
    return untilFound(found, "SHIM's MCP process");
  }

  loseConversations(): void {
    fs.rmSync(join(this.home, this.client.conversations), { recursive: true });
  }

  shim(...args: string[]): string {
    const env = this.env(noModel);
    const bin = join(this.root, "bin");
    const { name, pinned } = this.client;
    putProgram(bin, name, { version: pinned.version, words: [programOf(pinned)] });
    return runShim(args, { cwd: this.project, env: { ...env, PATH: `${bin}:${env["PATH"]}` } });
  }

  /** Of each session, as `shim sessions` shows it, oldest first. */
  states(): string[] {
    const { sessions } = JSON.parse(this.shim("sessions", "--json"));
    const all = sessions as { state: string; startedAt: number }[];
    return all.toSorted((a, b) => a.startedAt - b.startedAt).map(({ state }) => state);
  }

  env(modelUrl: string): Record<string, string> {
    return environmentOf(this.client, this, modelUrl);
  }
}

export function firstRequest({ model }: ClientRun): string {
  return JSON.stringify(model.requests.find(({ kind }) => kind === "loop")?.body ?? fail("there is no request"));
}

/** The sessions whose briefs are in the first request. */
export function offered(run: ClientRun): string[] {
  const named = firstRequest(run).matchAll(/(?:check_recovery \(of \\+"|--undo )([\w-]+)/g);
  return [...new Set([...named].map(([, id = ""]) => id))];
}

/** Command of the chat's shell tool, besides a write of `one.ts`. */
export const shellWork = "echo 'by command' > two.ts; rm three.ts; mkdir -p made; echo new > made/new.ts";
export const written = "export const written = true;\n";

function shim({ home, paths, project }: ChatRig, ...args: string[]): Record<string, unknown> {
  const env = { PATH: process.env["PATH"] ?? "", HOME: home, SHIM_HOME: paths.home };
  return JSON.parse(runShim([...args, "--json"], { cwd: project, env })) as Record<string, unknown>;
}

function contentOf(rig: ChatRig): (string | null)[] {
  const names = ["one.ts", "two.ts", "three.ts", "made/new.ts"];
  return names.map((name) => (fs.existsSync(rig.path(name)) ? fs.readFileSync(rig.path(name), "utf8") : null));
}

/** The chat's last turn has written `one.ts` and done {@link shellWork}: takes it back, and that back. One of the files is changed by hand first. */
export function undoesTheTurn(rig: ChatRig): void {
  const text = "export {};\n";
  expect(contentOf(rig)).toEqual([written, "by command\n", null, "new\n"]);
  fs.writeFileSync(rig.path("two.ts"), "by hand\n");
  // No one types within a moment of the chat's last command.
  const later = Date.now() / 1_000 + 5;
  fs.utimesSync(rig.path("two.ts"), later, later);
  // Before the files of the turn's end are read, or after.
  const byHand = expect.stringMatching(
    /^it was changed (?:since, not by this chat|after the chat's last call)$/,
  ) as string;
  const undone = shim(rig, "undo", "--yes");
  expect(undone).toMatchObject({ left: [{ path: "two.ts", reason: byHand }] });
  expect(contentOf(rig)).toEqual([text, "by hand\n", text, null]);
  expect(fs.existsSync(rig.path("made"))).toBe(false);
  shim(rig, "undo", "--redo", "--yes");
  expect(contentOf(rig)).toEqual([written, "by hand\n", null, "new\n"]);
}

/** Counts its runs, and is an effect for which the guard is on. */
export class Deployment {
  readonly command: string;
  readonly #runs: string;

  constructor({ root, paths }: ChatRig) {
    this.#runs = join(root, "deploys");
    this.command = `sh ${root}/deploy.sh prod`;
    const commands = [{ words: "deploy.sh *", kind: "deployment" }];
    write("/", { [paths.config]: JSON.stringify({ effects: { guard: "on", commands } }) });
    write(root, { "deploy.sh": `echo "$1" >> ${this.#runs}\n`, deploys: "" });
  }

  get runs(): number {
    return fs.readFileSync(this.#runs, "utf8").split("\n").length - 1;
  }
}

/** Prints the word without naming it: only the result of the call holds it. */
export const poisonCommand = "printf 'POI%s' SON";

const refused: Step = { error: { status: 400, type: "invalid_request_error", message: "this content is not allowed" } };

/** An API that refuses each request with the word in it, whatever else is asked, and notes what it accepted. */
export function refusingPoison(call: ToolCall | null, accepted: string[] = []): (request: ModelRequest) => Step {
  let isCalled = call === null;
  return ({ messages }) => {
    const text = messages.map((message) => message.text).join("\n");
    if (text.includes("POISON")) return refused;
    accepted.push(text);
    if (isCalled || call === null) return { text: "Noted." };
    isCalled = true;
    return { tools: [call] };
  };
}
