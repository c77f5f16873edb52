import type { ChatStart, ClientChat } from "./client-chat.ts";
import { LineProcess, type LineOptions } from "./line-process.ts";

const answerTimeoutMs = 90_000;

export interface RpcMessage {
  readonly id?: number | string;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
  readonly result?: Readonly<Record<string, unknown>>;
}

interface RpcOptions extends LineOptions {
  /** Notifications, and requests: what is returned answers them. */
  readonly onMessage: (message: RpcMessage) => object;
}

/** A client that is driven as an editor does it: JSON-RPC in lines over its standard input and output. */
export class RpcProcess {
  readonly lines: LineProcess;
  readonly #waiting = new Map<number | string, (message: RpcMessage) => void>();

  constructor({ onMessage, ...options }: RpcOptions) {
    this.lines = new LineProcess(options, (line) => this.#read(line, onMessage));
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
    const fail = (how: string): void => failed.reject(new Error(`${how}: ${what}. ${this.lines.stderr.slice(-500)}`));
    const timer = setTimeout(() => fail(`took more than ${answerTimeoutMs} ms`), answerTimeoutMs);
    void this.lines.exit.then(() => fail("the client has ended"));
    failed.promise.catch(() => undefined);
    return Promise.race([promise, failed.promise]).finally(() => clearTimeout(timer));
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
    this.lines.write({ jsonrpc: "2.0", ...message });
  }
}

/** A chat over such a process. */
export abstract class RpcChat implements ClientChat {
  protected readonly process: RpcProcess;
  protected readonly opened: Promise<void>;
  #session: string | null;

  constructor(options: RpcOptions, { cwd, resumed }: Pick<ChatStart, "cwd" | "resumed">) {
    this.process = new RpcProcess(options);
    this.#session = resumed;
    this.opened = this.open(cwd, resumed).then((session) => void (this.#session = session));
    this.opened.catch(() => undefined);
  }

  get session(): string | null {
    return this.#session;
  }

  clientPid(): Promise<number> {
    return Promise.resolve(this.process.lines.pid);
  }

  abstract turn(prompt: string): Promise<void>;
  abstract send(prompt: string): Promise<void>;

  finish(): Promise<void> {
    return this.process.lines.finish();
  }

  waitForExit(): Promise<void> {
    return this.process.lines.exit;
  }

  /** @returns the session as the client names it */
  protected abstract open(cwd: string, resumed: string | null): Promise<string | null>;
}
