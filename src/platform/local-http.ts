import { statSync } from "node:fs";
import { request, type IncomingMessage } from "node:http";
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
  // Without a socket no connection is tried: a hook that finds no host loads nothing for it.
  if (process.platform !== "win32" && !statSync(socketPath, { throwIfNoEntry: false })) return null;
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method, path, signal, headers }, resolve);
    sent.on("information", ({ statusCode }) => {
      if (statusCode === processing) onHeld?.();
    });
    sent.on("error", (error) => {
      if (["ENOENT", "ECONNREFUSED"].includes(codeOf(error) ?? "")) return resolve(null);
      reject(error);
    });
    sent.end(body);
  });
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
