import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { hookCommand, serverCommand } from "../../../../installer/entries.ts";
import type { HookEvent } from "../../../../contract/hook-input.ts";
import { McpConnection, type Message } from "../../../../platform/mcp-connection.ts";
import { pathsIn, type Paths } from "../../../../platform/paths.ts";
import { pollUntil } from "../../../../platform/process-group.ts";
import { systemProcesses } from "../../../../platform/processes.ts";
import type { MachineInput, MachineOperationName, MachineOutput } from "../../../../contract/machine/operations.ts";
import type { Cli } from "../../../cli.ts";

/** A host saves what it has before it ends. */
const hostEndMs = 15_000;

interface Started {
  readonly command: string;
  readonly args: readonly string[];
}

interface Ended {
  readonly code: number | null;
  readonly printed: string;
  readonly errors: string;
}

/** A client for the server and the hooks of this copy, with a store in a temporary folder. */
export class SelfTestBench {
  readonly cli: Cli;
  readonly folder: string;
  readonly project: string;
  readonly paths: Paths;
  readonly session = randomUUID();
  readonly #env: NodeJS.ProcessEnv;
  readonly #servers: McpConnection[] = [];

  constructor(cli: Cli, folder: string) {
    this.cli = cli;
    this.folder = folder;
    this.project = join(folder, "project");
    this.paths = pathsIn(join(folder, "shim"));
    const own = Object.entries(cli.io.env).filter(([name]) => !/^(SHIM|CLAUDE)/.test(name));
    const moved = { SHIM_HOME: this.paths.home, XDG_CACHE_HOME: join(folder, "cache") };
    this.#env = { ...Object.fromEntries(own), ...moved };
  }

  async server(): Promise<McpConnection> {
    const program = serverCommand(this.cli.io.launch);
    const server = new McpConnection({ ...program, env: this.#env, cwd: this.project });
    this.#servers.push(server);
    await server.initialize("self-test");
    return server;
  }

  /** @returns what the hook printed */
  async hook(event: HookEvent, fields: Message = {}): Promise<string> {
    const own = { CLAUDECODE: "1", CLAUDE_PID: String(process.pid), CLAUDE_CODE_SESSION_ID: this.session };
    const input = { session_id: this.session, hook_event_name: event, cwd: this.project, ...fields };
    const { code, printed, errors } = await this.#run(
      hookCommand(this.cli.io.launch, event),
      JSON.stringify(input),
      own,
    );
    if (code !== 0 || errors !== "") throw new Error(`the ${event} hook ended with ${code}: ${errors.trim()}`);
    return printed;
  }

  /** Does an operation on what is stored here, as another process. */
  async call<Name extends MachineOperationName>(name: Name, input: MachineInput<Name>): Promise<MachineOutput<Name>> {
    const { node, script } = this.cli.io.launch;
    const program = { command: node, args: [script, "call", name, "--input", "-", "--json"] };
    const { code, printed, errors } = await this.#run(program, JSON.stringify(input));
    if (code !== 0) throw new Error(`${name} ended with ${code}: ${errors.trim()}`);
    return JSON.parse(printed) as MachineOutput<Name>;
  }

  async #run({ command, args }: Started, input: string, more: NodeJS.ProcessEnv = {}): Promise<Ended> {
    const child = spawn(command, args, { cwd: this.project, env: { ...this.#env, ...more }, stdio: "pipe" });
    let printed = "";
    let errors = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (printed += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    child.on("error", reject).on("close", resolve);
    child.stdin.on("error", () => undefined).end(input);
    return { code: await promise, printed, errors };
  }

  async end(): Promise<void> {
    for (const server of this.#servers) server.process.kill("SIGKILL");
    await Promise.all(this.#servers.map((server) => server.ended));
    // Where no command starts, none has started a host.
    const stopped = await this.call("host.stop", {}).catch(() => null);
    const host = stopped?.host ?? null;
    // Its last files are closed before their folder is removed.
    await pollUntil(() => host === null || systemProcesses.facts(host.pid) === null, hostEndMs);
  }
}
