import { blockingArgument, hookTool } from "../../contract/hook-tool.ts";
import { isRecord } from "../../shared/json-fields.ts";
import { parseMessage, requestKey, type Message } from "./hello.ts";

interface WaitingRequest {
  readonly line: string;
  readonly method: string;
  readonly isHook: boolean;
  readonly deaths: number;
}

export interface WaitingRequestsOptions {
  /** Keeps the event of a hook for the next host, and answers it. Never rejects. */
  readonly keepEvent: (given: unknown) => Promise<object>;
  readonly schedule: (work: () => void, ms: number) => void;
  readonly hasHost: () => boolean;
  readonly send: (line: string) => void;
}

/** A request that this many hosts died with may be the cause. */
const maxDeaths = 2;
/** The program that keeps an event takes the rest of two seconds. */
const maxHookWaitMs = 1_800;

/** The client's requests without an answer, and what becomes of them where no host answers. */
export class WaitingRequests {
  readonly #options: WaitingRequestsOptions;
  readonly #requests = new Map<string, WaitingRequest>();
  #bytes = 0;

  constructor(options: WaitingRequestsOptions) {
    this.#options = options;
  }

  /** Size of all lines, with the cost of a request beside its line. */
  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#requests.size;
  }

  has(key: string): boolean {
    return this.#requests.has(key);
  }

  lines(): string[] {
    return [...this.#requests.values()].map(({ line }) => line);
  }

  add(line: string, id: string | number, method: string, params: Message["params"]): void {
    const key = requestKey(id);
    const isHook = method === "tools/call" && params?.name === hookTool;
    this.delete(key);
    this.#requests.set(key, { line, method, isHook, deaths: 0 });
    this.#bytes += sizeOf(line);
    if (isHook && !this.#options.hasHost()) this.#keepLater(key);
  }

  delete(key: string): void {
    const request = this.#requests.get(key);
    if (request === undefined) return;
    this.#requests.delete(key);
    this.#bytes -= sizeOf(request.line);
  }

  /**
   * The host is gone: a tool call may have had an effect, and a request with too many deaths may
   * be their cause.
   *
   * @param repeatable tools whose calls the next host gets again
   */
  onDeath(repeatable: ReadonlySet<unknown>): void {
    for (const [key, request] of this.#requests) {
      const deaths = request.deaths + 1;
      if (request.isHook && deaths >= maxDeaths) this.#keep(key, request);
      else if (!request.isHook && (deaths >= maxDeaths || !isRepeatable(request, repeatable))) this.#fail(key, request);
      else this.#requests.set(key, { ...request, deaths });
    }
  }

  /** The client learns why nothing is answered; events of hooks are kept for the next host. */
  onUnreachable(reason: string): void {
    for (const [key, request] of this.#requests) if (!request.isHook) this.#fail(key, request, unreachableText(reason));
  }

  keepHooksLater(): void {
    for (const [key, { isHook }] of this.#requests) if (isHook) this.#keepLater(key);
  }

  /** The client does not wait for long where no host can be reached. */
  #keepLater(key: string): void {
    const { schedule, hasHost } = this.#options;
    schedule(() => {
      const request = this.#requests.get(key);
      if (request && !hasHost()) this.#keep(key, request);
    }, maxHookWaitMs);
  }

  /** Where the hook blocks, a call is refused that no host has checked. */
  #keep(key: string, { line }: WaitingRequest): void {
    this.delete(key);
    const { id, params } = parseMessage(line) ?? {};
    const given = params?.arguments;
    const blocks = isRecord(given) && given[blockingArgument] === "true";
    void this.#options.keepEvent(given).then((kept) => this.#answer(id, { result: blocks ? uncheckedResult : kept }));
  }

  #fail(key: string, { line, method }: WaitingRequest, reason?: string): void {
    this.delete(key);
    const result = { isError: true, content: [{ type: "text", text: reason ?? restartedText }] };
    const error = { code: internalError, message: reason ?? repeatedDeathText };
    this.#answer(parseMessage(line)?.id, method === "tools/call" ? { result } : { error });
  }

  #answer(id: Message["id"], answer: object): void {
    this.#options.send(JSON.stringify({ jsonrpc: "2.0", id, ...answer }));
  }
}

function isRepeatable({ line, method }: WaitingRequest, repeatable: ReadonlySet<unknown>): boolean {
  return method !== "tools/call" || repeatable.has(parseMessage(line)?.params?.name);
}

/** A decision, since the client does not show the text of an error. */
const uncheckedDecision = {
  hookEventName: "PreToolUse",
  permissionDecision: "deny",
  permissionDecisionReason:
    "SHIM could not check this call, since its host does not answer. Run `shim doctor`, then try again.",
};
const uncheckedResult = {
  content: [{ type: "text", text: JSON.stringify({ hookSpecificOutput: uncheckedDecision }) }],
};

/** An entry of the table and its strings. */
const entryBytes = 500;

function sizeOf(line: string): number {
  return line.length + entryBytes;
}

/** JSON-RPC 2.0, section 5.1. */
export const internalError = -32_603;
const repeatedDeathText = "SHIM's host died twice during this request; see its log.";
const restartedText =
  "outcome_unknown: SHIM's host died during this call and was restarted. The call may or may not have taken effect: check, then call again.";

function unreachableText(reason: string): string {
  return `SHIM's host cannot be started (${reason}). Run \`shim doctor\`.`;
}
