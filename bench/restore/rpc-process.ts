import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { createInterface } from "node:readline";

const answerTimeoutMs = 90_000;

export interface RpcMessage {
  readonly id?: number | string;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
  readonly result?: Readonly<Record<string, unknown>>;
}

export interface RpcOptions {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Notifications, and requests: what is returned answers them. */
  readonly onMessage: (message: RpcMessage) => object;
}

/** A client that is driven as an editor does it: JSON-RPC in lines over its standard input and output. */
export class RpcProcess {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<number | string, (message: RpcMessage) => void>();
  readonly #exit: Promise<void>;
  #stderr = "";

  constructor({ command: [program = "", ...args], cwd, env, onMessage }: RpcOptions) {
    this.#child = spawn(program, args, { cwd, env });
    this.#child.stdin.on("error", () => undefined);
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text));
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#read(line, onMessage));
    this.#exit = new Promise((resolve) => {
      this.#child.once("close", () => resolve());
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async call(method: string, params: object): Promise<NonNullable<RpcMessage["result"]>> {
    const id = this.#waiting.size + 1;
    const answer = new Promise<RpcMessage>((resolve) => this.#waiting.set(id, resolve));
    this.#write({ id, method, params });
    const { error, result = {} } = await this.within(answer, method);
    if (error) throw new Error(`${method}: ${JSON.stringify(error)}`);
    return result;
  }

  notify(method: string): void {
    this.#write({ method });
  }

  /** Fails when the process ends before, or when it takes too long. */
  within<T>(promise: Promise<T>, what: string): Promise<T> {
    const failed = Promise.withResolvers<never>();
    const fail = (how: string): void => failed.reject(new Error(`${how}: ${what}. ${this.#stderr.slice(-500)}`));
    const timer = setTimeout(() => fail(`took more than ${answerTimeoutMs} ms`), answerTimeoutMs);
    void this.#exit.then(() => fail("the client has ended"));
    failed.promise.catch(() => undefined);
    return Promise.race([promise, failed.promise]).finally(() => clearTimeout(timer));
  }

  async finish(): Promise<void> {
    this.#child.stdin.end();
    await this.#exit;
  }

  waitForExit(): Promise<void> {
    return this.#exit;
  }

  #read(line: string, onMessage: RpcOptions["onMessage"]): void {
    // Warnings of a client stand between its messages.
    if (!line.startsWith("{")) return;
    const message = JSON.parse(line) as RpcMessage;
    if (message.method === undefined) return this.#waiting.get(message.id ?? "")?.(message);
    const result = onMessage(message);
    if (message.id !== undefined) this.#write({ id: message.id, result });
  }

  #write(message: object): void {
    this.#child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  }
}
