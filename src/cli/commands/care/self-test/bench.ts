import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { hookCommand, serverCommand } from "../../../../installer/entries.ts";
import type { HookEvent } from "../../../../contract/hook-input.ts";
import { McpConnection, type Message } from "../../../../platform/mcp-connection.ts";
import { pathsIn, type Paths } from "../../../../platform/paths.ts";
import type { Driver } from "../../../../store/driver.ts";
import { Store } from "../../../../store/store.ts";
import type { Cli } from "../../../cli.ts";

/** A client for the server and the hooks of this copy, with a store in a temporary folder. */
export class SelfTestBench {
  readonly cli: Cli;
  readonly folder: string;
  readonly project: string;
  readonly paths: Paths;
  readonly session = randomUUID();
  readonly #env: NodeJS.ProcessEnv;
  readonly #driver: Driver;
  readonly #servers: McpConnection[] = [];

  constructor(cli: Cli, folder: string, driver: Driver) {
    this.cli = cli;
    this.folder = folder;
    this.project = join(folder, "project");
    this.paths = pathsIn(join(folder, "shim"));
    this.#driver = driver;
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
    const { command, args } = hookCommand(this.cli.io.launch, event);
    const child = spawn(command, args, {
      cwd: this.project,
      env: {
        ...this.#env,
        CLAUDECODE: "1",
        CLAUDE_PID: String(process.pid),
        CLAUDE_CODE_SESSION_ID: this.session,
      },
      stdio: "pipe",
    });
    let printed = "";
    let errors = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (printed += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    child.on("error", reject).on("close", resolve);
    const input = { session_id: this.session, hook_event_name: event, cwd: this.project, ...fields };
    child.stdin.on("error", () => undefined).end(JSON.stringify(input));
    const code = await promise;
    if (code !== 0 || errors !== "") throw new Error(`the ${event} hook ended with ${code}: ${errors.trim()}`);
    return printed;
  }

  /** Reads the store as another process does. */
  read<T>(body: (store: Store) => T): T {
    const store = new Store({ path: this.paths.database, driver: this.#driver, now: this.cli.io.now });
    try {
      return body(store);
    } finally {
      store.close();
    }
  }

  async end(): Promise<void> {
    for (const server of this.#servers) server.process.kill("SIGKILL");
    await Promise.all(this.#servers.map((server) => server.ended));
  }
}
