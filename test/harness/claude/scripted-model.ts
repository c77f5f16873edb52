import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { parseObject } from "#src/shared/json-fields.ts";
import { formatOf, messagesIn, toolsIn } from "#harness/clients/model-formats.ts";
import type { Message, Reply, SentEvent, ToolCall } from "#harness/clients/model-formats.ts";

/** What the stand-in does with one request of a conversation's main loop. */
export interface Step {
  readonly text?: string;
  readonly tools?: readonly ToolCall[];
  readonly error?: { readonly status: number; readonly type: string; readonly message: string };
  /** The request waits until the test calls `release` with this name. */
  readonly hold?: string;
  /** The answer comes so much later. */
  readonly waitMs?: number;
}

type MakeStep = (request: ModelRequest) => Step;

/** A function makes its step when the request is there; one function instead of a list makes all steps. */
export type Steps = readonly (Step | MakeStep)[] | MakeStep;

export interface Script {
  readonly steps: Steps;
  readonly summary?: string;
  readonly onRequest?: () => void;
}

export interface ModelRequest {
  readonly kind: "loop" | "aside" | "summary" | "count" | "unknown";
  readonly path: string;
  /** Null where the request carried no JSON object. */
  readonly body: Readonly<Record<string, unknown>> | null;
  readonly messages: readonly Message[];
}

export interface ScriptedModel {
  readonly url: string;
  readonly requests: readonly ModelRequest[];
  /** Resolves when a request has reached the step with this `hold`. */
  held(name: string): Promise<void>;
  release(name: string): void;
  close(): Promise<void>;
}

/** Where the script has run out, so that a client never works on for ever. */
const SCRIPT_ENDED = "The script has ended.";

const SUMMARY_PROMPT = "create a detailed summary of the conversation";

/**
 * A stand-in of the APIs of models on loopback that plays a script; the path of a request chooses the API. It
 * speaks JSON and server-sent events, as the request asks.
 */
export async function startScriptedModel(script: Script): Promise<ScriptedModel> {
  const requests: ModelRequest[] = [];
  /** By `hold`: that a request has come, and that it may continue. */
  const gates = new Map<string, Record<"arrival" | "exit", PromiseWithResolvers<void>>>();
  const nextStep = play(script.steps);
  let serial = 0;

  const gate = (name: string) => {
    const known = gates.get(name) ?? { arrival: Promise.withResolvers<void>(), exit: Promise.withResolvers<void>() };
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

function play(steps: Steps): MakeStep {
  if (typeof steps === "function") return steps;
  const queue = [...steps];
  return (request) => {
    const step = queue.shift() ?? { text: SCRIPT_ENDED };
    return typeof step === "function" ? step(request) : step;
  };
}

async function readRequest(incoming: IncomingMessage): Promise<ModelRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(Buffer.from(chunk));
  const path = new URL(incoming.url ?? "/", "http://stand-in").pathname;
  const body = parseObject(Buffer.concat(chunks).toString("utf8"));
  const messages = body && formatOf(path) ? messagesIn(body) : [];
  return { kind: kindOf(path, body, messages), path, body, messages };
}

function kindOf(path: string, body: ModelRequest["body"], messages: readonly Message[]): ModelRequest["kind"] {
  if (path === "/v1/messages/count_tokens") return "count";
  if (!formatOf(path) || !body) return "unknown";
  if (messages.findLast(({ role }) => role === "user")?.text.includes(SUMMARY_PROMPT)) return "summary";
  return toolsIn(body).length > 0 ? "loop" : "aside";
}

function replyTo({ body }: ModelRequest, { text, tools = [] }: Step, serial: number): Reply {
  return {
    serial,
    model: String(body?.["model"]),
    text,
    calls: tools.map(({ name, input = {} }) => ({ name, input })),
  };
}

function send(response: ServerResponse, { path, body }: ModelRequest, reply: Reply): void {
  const format = formatOf(path);
  if (!format || !body) throw new Error(`${path} is no request to a model.`);
  if (body["stream"] === true || path.endsWith(":streamGenerateContent"))
    sendStream(response, format.events(reply, body), reply.serial);
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

function sendError(response: ServerResponse, { status, type, message }: NonNullable<Step["error"]>): void {
  sendJson(response, status, { type: "error", error: { type, message } });
}
