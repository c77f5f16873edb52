import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { parseObject } from "#src/shared/json-fields.ts";
import { chatCompletionsFormat } from "#harness/clients/chat-completions-format.ts";
import { geminiFormat } from "#harness/clients/gemini-format.ts";
import { messagesFormat } from "#harness/clients/messages-format.ts";
import { responsesFormat } from "#harness/clients/responses-format.ts";
import type { Message, Reply, SentEvent, ToolCall, Usage, WireFormat } from "#harness/clients/wire-format.ts";

export interface ModelError {
  readonly status: number;
  readonly type: string;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What the stand-in does with one request of a conversation's main loop. */
export interface Step {
  readonly text?: string;
  readonly tools?: readonly ToolCall[];
  readonly usage?: Usage;
  readonly error?: ModelError;
  /** The request waits until the test calls `release` with this name. */
  readonly hold?: string;
  /** The answer comes so much later. */
  readonly waitMs?: number;
  /** How many requests in a row get this step; 1 when absent. A client repeats a request that was answered with an error. */
  readonly times?: number;
}

type MakeStep = (request: ModelRequest) => Step;

export interface Thread {
  /**
   * The thread serves conversations in which this text stands in a message of the user; absent: every one. The first match
   * counts. What the assistant wrote does not count: a subagent's prompt stands in the call of the chat that started it.
   */
  readonly match?: string;
  /**
   * A function makes its step when the request is there: it may hold what the step needs, such as the path of a plan. One
   * function instead of a list makes all steps.
   */
  readonly steps: readonly (Step | MakeStep)[] | MakeStep;
}

export interface Script {
  readonly threads: readonly Thread[];
  /** Answer to the client's request for a summary when it compacts. It takes no step. */
  readonly summary?: string;
  /** Called when a request of a conversation's main loop has come. */
  readonly onRequest?: () => void;
}

export type RequestKind = "loop" | "aside" | "summary" | "count" | "unknown";

export interface ModelRequest {
  readonly kind: RequestKind;
  readonly path: string;
  /** Null where the request carried no JSON object. */
  readonly body: Readonly<Record<string, unknown>> | null;
  readonly messages: readonly Message[];
}

export interface ScriptedModel {
  readonly url: string;
  /** All requests so far, in the order in which they came. */
  readonly requests: readonly ModelRequest[];
  /** Resolves when a request has reached the step with this `hold`. */
  held(name: string): Promise<void>;
  release(name: string): void;
  close(): Promise<void>;
}

/** The text that ends a thread whose script has run out, so that a client never works on for ever. */
const SCRIPT_ENDED = "The script has ended.";

const SUMMARY_PROMPT = "create a detailed summary of the conversation";

/**
 * A stand-in of the APIs of models on loopback that plays a script; the path of a request chooses the API. It
 * speaks JSON and server-sent events, as the request asks.
 */
export async function startScriptedModel(script: Script): Promise<ScriptedModel> {
  const requests: ModelRequest[] = [];
  const gates = new Map<string, Gate>();
  const nextStep = playThreads(script.threads);
  let serial = 0;

  const gate = (name: string): Gate => {
    const known = gates.get(name) ?? { arrival: Promise.withResolvers(), exit: Promise.withResolvers() };
    gates.set(name, known);
    return known;
  };

  const stepFor = (request: ModelRequest): Step => {
    if (request.kind === "aside") return { text: "ok" };
    if (request.kind === "summary") return { text: script.summary ?? "<summary>A summary.</summary>" };
    return nextStep(request);
  };

  const answer = async (request: ModelRequest, response: ServerResponse): Promise<void> => {
    if (request.kind === "unknown")
      return sendError(response, { status: 404, type: "not_found_error", message: request.path });
    // A rough figure: it only has to be there and to grow.
    const { length } = JSON.stringify(request.body);
    if (request.kind === "count") return sendJson(response, 200, { input_tokens: Math.ceil(length / 4) });
    const step = stepFor(request);
    if (step.hold !== undefined) {
      gate(step.hold).arrival.resolve();
      await gate(step.hold).exit.promise;
    }
    if (step.waitMs !== undefined) await pause(step.waitMs, undefined, { ref: false });
    if (step.error) sendError(response, step.error);
    else send(response, request, replyTo(request, step, ++serial));
  };

  const server = createServer((incoming, response) => {
    readRequest(incoming)
      .then((request) => {
        requests.push(request);
        if (request.kind === "loop") script.onRequest?.();
        return answer(request, response);
      })
      .catch((error: unknown) => response.destroy(error instanceof Error ? error : new Error(String(error))));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    url,
    requests,
    held: (name) => gate(name).arrival.promise,
    release: (name) => gate(name).exit.resolve(),
    close: () =>
      new Promise((resolve) => {
        for (const { exit } of gates.values()) exit.resolve();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Where a request is held: that it has come, and that it may continue. */
interface Gate {
  readonly arrival: PromiseWithResolvers<void>;
  readonly exit: PromiseWithResolvers<void>;
}

/** Each thread continues with its next step; a request that no thread matches is answered so, for the test to see. */
function playThreads(threads: readonly Thread[]): (request: ModelRequest) => Step {
  const queues = threads.map(({ steps }) =>
    typeof steps === "function"
      ? steps
      : steps.flatMap((step) => Array.from({ length: typeof step === "function" ? 1 : (step.times ?? 1) }, () => step)),
  );
  return (request) => {
    const ofUser = request.messages.filter(({ role }) => role === "user");
    const index = threads.findIndex(
      ({ match }) => match === undefined || ofUser.some(({ text }) => text.includes(match)),
    );
    if (index === -1) return { text: "No thread of the script matches this conversation." };
    const queue = queues[index];
    const step = (typeof queue === "function" ? queue : queue?.shift()) ?? { text: SCRIPT_ENDED };
    return typeof step === "function" ? step(request) : step;
  };
}

async function readRequest(incoming: IncomingMessage): Promise<ModelRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(Buffer.from(chunk));
  const path = new URL(incoming.url ?? "/", "http://stand-in").pathname;
  const body = parseObject(Buffer.concat(chunks).toString("utf8"));
  const messages = (body && formatOf(path)?.messages(body)) ?? [];
  return { kind: kindOf(path, body, messages), path, body, messages };
}

const formats = [messagesFormat, responsesFormat, chatCompletionsFormat, geminiFormat];

function formatOf(path: string): WireFormat | undefined {
  return formats.find((format) => format.isPath(path));
}

function kindOf(path: string, body: ModelRequest["body"], messages: readonly Message[]): RequestKind {
  if (path === "/v1/messages/count_tokens") return "count";
  const format = formatOf(path);
  if (!format || !body) return "unknown";
  if (messages.findLast(({ role }) => role === "user")?.text.includes(SUMMARY_PROMPT)) return "summary";
  return format.hasTools(body) ? "loop" : "aside";
}

function replyTo({ body }: ModelRequest, { text, tools = [], usage }: Step, serial: number): Reply {
  return {
    serial,
    model: String(body?.["model"]),
    text,
    calls: tools.map(({ name, input = {} }) => ({ name, input })),
    usage: {
      input_tokens: 1_000,
      output_tokens: 20,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      ...usage,
    },
  };
}

function send(response: ServerResponse, { path, body }: ModelRequest, reply: Reply): void {
  const format = formatOf(path);
  if (!format || !body) throw new Error(`${path} is no request to a model.`);
  if (format.isStream(path, body)) sendStream(response, format.events(reply, body), reply.serial);
  else sendJson(response, 200, format.whole(reply, body));
}

function sendStream(response: ServerResponse, events: readonly SentEvent[], serial: number): void {
  response.writeHead(200, { "content-type": "text/event-stream", "request-id": `req_of_msg_${serial}` });
  for (const { event, data } of events) {
    const name = event === null ? "" : `event: ${event}\n`;
    response.write(`${name}data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`);
  }
  response.end();
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
}

function sendError(response: ServerResponse, { status, type, message, headers = {} }: ModelError): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  sendJson(response, status, { type: "error", error: { type, message } });
}
