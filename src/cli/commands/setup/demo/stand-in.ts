import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { hasGroups } from "../../../../platform/process-group.ts";
import { McpConnection, type Message } from "./mcp-connection.ts";
import { messageOf } from "../../../../shared/error.ts";

/** Sent as JSON lines on stdin; each is answered on stdout with the same `id`. */
export type Order =
  | { readonly do: "serve"; readonly program: ProgramStart }
  | { readonly do: "hook"; readonly program: ProgramStart; readonly input: Message }
  | { readonly do: "call"; readonly tool: string; readonly given: Message }
  | { readonly do: "run"; readonly program: ProgramStart }
  /** Keeps running after the answer, until the demo or the tool ends it. */
  | { readonly do: "begin"; readonly program: ProgramStart }
  | { readonly do: "leave" };

export interface ProgramStart {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Streams {
  readonly input: Readable;
  readonly output: Writable;
}

/** Server and hooks are started as the client's own children, so that they notice its death. */
export interface ClientContext {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly pid: number;
}

/** Owns the server and runs hooks and tools as the client does (seen in Claude Code 2.1.328). */
export async function standIn({ input, output }: Streams, context: ClientContext): Promise<void> {
  const client = new Client(context);
  const underWay: Promise<void>[] = [];
  for await (const line of createInterface({ input, crlfDelay: Infinity })) {
    const { id, ...order } = JSON.parse(line) as Order & { readonly id: number };
    const answer = client.follow(order).then(
      (result) => ({ id, result }),
      (error: unknown) => ({ id, error: messageOf(error) }),
    );
    underWay.push(answer.then((reply) => void output.write(`${JSON.stringify(reply)}\n`)));
  }
  await Promise.all(underWay);
  await client.follow({ do: "leave" });
}

class Client {
  readonly #context: ClientContext;
  #server: McpConnection | null = null;

  constructor(context: ClientContext) {
    this.#context = context;
  }

  async follow(order: Order): Promise<Message> {
    switch (order.do) {
      case "serve":
        return this.#serve(order.program);
      case "hook":
        return this.#hook(order.program, order.input);
      case "call":
        return { ...(await this.#connected().callTool(order.tool, order.given)) };
      case "run":
        return this.#run(order.program, "");
      case "begin":
        return this.#begin(order.program);
      case "leave":
        return this.#leave();
    }
  }

  async #serve(program: ProgramStart): Promise<Message> {
    const { cwd, env } = this.#context;
    const { command, args } = program;
    this.#server = new McpConnection({ command, args, cwd, env: { ...env, ...program.env }, isGroup: hasGroups });
    const initialized = await this.#server.initialize("claude-code");
    return { pid: this.#server.pid, instructions: initialized["instructions"] };
  }

  async #hook(program: ProgramStart, input: Message): Promise<Message> {
    const env = { ...program.env, CLAUDECODE: "1", CLAUDE_PID: String(this.#context.pid) };
    return this.#run({ ...program, env }, JSON.stringify({ ...input, cwd: this.#context.cwd }));
  }

  #begin(program: ProgramStart): Message {
    const { pid } = this.#spawn(program, "ignore").on("error", () => undefined);
    if (pid === undefined) throw new Error(`${program.command} could not be started`);
    return { pid };
  }

  async #run(program: ProgramStart, input: string): Promise<Message> {
    const startedAt = performance.now();
    const child = this.#spawn(program, "pipe");
    const texts = { stdout: "", stderr: "" };
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (texts.stdout += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (texts.stderr += text));
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    child.on("error", reject).on("close", resolve);
    child.stdin?.on("error", () => undefined).end(input);
    const code = await promise;
    return { code, ...texts, ms: performance.now() - startedAt };
  }

  #spawn({ command, args, env }: ProgramStart, stdio: "pipe" | "ignore"): ReturnType<typeof spawn> {
    return spawn(command, args, { cwd: this.#context.cwd, env: { ...this.#context.env, ...env }, stdio });
  }

  async #leave(): Promise<Message> {
    const server = this.#server;
    if (!server) return {};
    this.#server = null;
    server.process.kill("SIGINT");
    return { ...(await server.ended), stray: server.stray };
  }

  #connected(): McpConnection {
    if (!this.#server) throw new Error("no MCP server was started");
    return this.#server;
  }
}
