/** A refusal of the client itself, which the tool was not asked about. */
export class ClientError extends Error {}

interface Message {
  readonly jsonrpc: "2.0";
  readonly id?: number | string;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: unknown;
  readonly error?: { readonly message?: unknown };
}

type OnMethod = (method: string, params: Record<string, unknown>) => void;

const methodNotFound = -32_601;
/** Requests of the client: nothing is kept here that its end could lose. */
const answered: ReadonlySet<string> = new Set(["ping", "ui/resource-teardown"]);

/** JSON-RPC with the MCP client that shows this page, over `postMessage` (SEP-1865). */
export class ClientLink {
  readonly #waiting = new Map<number | string, PromiseWithResolvers<unknown>>();
  readonly #client: Window;
  readonly #onMethod: OnMethod;
  #lastId = 0;

  /** @param onMethod gets each notification and each request of the client */
  constructor(client: Window, onMethod: OnMethod) {
    this.#client = client;
    this.#onMethod = onMethod;
    addEventListener("message", ({ source, data }: MessageEvent<unknown>) => {
      if (source === client && isMessage(data)) this.#receive(data);
    });
  }

  /** @throws {ClientError} where the client refuses it */
  request<T>(method: string, params: object): Promise<T> {
    const id = (this.#lastId += 1);
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    this.#send({ id, method, params });
    return waiting.promise as Promise<T>;
  }

  notify(method: string, params: object): void {
    this.#send({ method, params });
  }

  #send(message: object): void {
    // The origin of a client is not known here, and what is sent is meant for any.
    this.#client.postMessage({ jsonrpc: "2.0", ...message }, "*");
  }

  #receive({ id, method, params = {}, result, error }: Message): void {
    if (method !== undefined) {
      this.#onMethod(method, params);
      if (id !== undefined) this.#send({ id, ...answerTo(method) });
      return;
    }
    const waiting = id === undefined ? undefined : this.#waiting.get(id);
    if (id === undefined || !waiting) return;
    this.#waiting.delete(id);
    if (error) waiting.reject(new ClientError(String(error.message)));
    else waiting.resolve(result);
  }
}

function isMessage(data: unknown): data is Message {
  return typeof data === "object" && data !== null && "jsonrpc" in data && data.jsonrpc === "2.0";
}

function answerTo(method: string): object {
  if (answered.has(method)) return { result: {} };
  return { error: { code: methodNotFound, message: `no such method: ${method}` } };
}
