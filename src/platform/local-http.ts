import { statSync } from "node:fs";
import { request, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { codeOf } from "../shared/error.ts";

export interface HostRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  /** Ends the wait for the answer. */
  readonly signal: AbortSignal;
  /** The host has the request, and its answer waits for a person. */
  readonly onHeld?: () => void;
}

/** Status by which a host says that the answer waits for a person. */
const processing = 102;

/** @returns null where no host listens @throws {Error} where that cannot be seen */
export async function requestHost(
  socketPath: string,
  { method, path, headers = {}, body, signal, onHeld }: HostRequest,
): Promise<IncomingMessage | null> {
  if (isWithoutSocket(socketPath)) return null;
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method, path, signal, headers }, resolve);
    sent.on("information", ({ statusCode }) => {
      if (statusCode === processing) onHeld?.();
    });
    sent.on("error", (error) => {
      if (noHostCodes.has(codeOf(error))) return resolve(null);
      reject(error);
    });
    sent.end(body);
  });
}

/** No connection is tried then: a hook that finds no host loads nothing for it. */
function isWithoutSocket(socketPath: string): boolean {
  return process.platform !== "win32" && !statSync(socketPath, { throwIfNoEntry: false });
}

const noHostCodes: ReadonlySet<string | null> = new Set(["ENOENT", "ECONNREFUSED"]);

export interface TextAnswer {
  readonly statusCode: number;
  /** Headers by their names in lower case. */
  readonly fields: ReadonlyMap<string, string>;
  readonly text: string;
}

/**
 * The same of a program that starts for one question: HTTP 1.0 by hand, since to load node:http
 * takes longer than the host to answer.
 *
 * @throws {Error} also where the connection is lost before the whole answer
 */
export async function askHost(
  socketPath: string,
  { method, path, headers = {}, body = "", signal, onHeld }: HostRequest,
): Promise<TextAnswer | null> {
  if (isWithoutSocket(socketPath)) return null;
  const fields = Object.entries({ ...headers, "content-length": String(Buffer.byteLength(body)) });
  if (fields.some(([, value]) => !/^[\t\x20-\x7e]*$/.test(value))) throw new Error("a header has other characters");
  const lines = [`${method} ${path} HTTP/1.0`, ...fields.map(([name, value]) => `${name}: ${value}`)];
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const stop = (): void => void socket.destroy(new Error("the wait for the host's answer has ended"));
    const parts: Buffer[] = [];
    if (onHeld) socket.once("data", (part: Buffer) => isProcessing(part) && onHeld());
    socket.on("data", (part: Buffer) => void parts.push(part));
    socket.once("error", (error) => (noHostCodes.has(codeOf(error)) ? resolve(null) : reject(error)));
    socket.once("close", () => {
      signal.removeEventListener("abort", stop);
      const answer = answerIn(Buffer.concat(parts));
      if (answer) resolve(answer);
      else reject(new Error("the host ended before its answer"));
    });
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    // An end would be taken for the loss of the caller.
    socket.write(`${lines.join("\r\n")}\r\n\r\n${body}`);
  });
}

function isProcessing(part: Buffer): boolean {
  return part.toString("latin1").startsWith(`HTTP/1.1 ${processing} `);
}

/** @returns null: it is not whole */
function answerIn(received: Buffer): TextAnswer | null {
  const end = received.indexOf("\r\n\r\n");
  if (end < 0) return null;
  const rest = received.subarray(end + 4);
  if (isProcessing(received)) return answerIn(rest);
  const [status = "", ...lines] = received.toString("latin1", 0, end).split("\r\n");
  const fields = new Map(lines.map((line) => fieldIn(line)));
  if (rest.length < Number(fields.get("content-length") ?? 0)) return null;
  return { statusCode: Number(status.split(" ")[1]), fields, text: rest.toString("utf8") };
}

function fieldIn(line: string): [name: string, value: string] {
  const at = line.indexOf(":");
  return [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()];
}

/** @returns null for a body that is too long */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
