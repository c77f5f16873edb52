import { operations, type OperationName, type OutputOf } from "../../contract/operations.ts";
import { protocolVersion } from "../../contract/protocol.ts";
import { codeOf } from "../../shared/error.ts";
import { requestHeaders, type Address } from "./address.ts";
import {
  answeredOutcome,
  garbledOutcome,
  lostOutcome,
  refusedOutcome,
  type SendRequest,
  type RequestOutcome,
} from "./outcomes.ts";
import type { FetchResponse, Platform } from "./platform.ts";
import { isRecord, parseJson } from "../../shared/json-fields.ts";

export interface HttpTransport {
  readonly platform: Pick<Platform, "setTimer" | "fetch">;
  readonly address: Address;
  readonly token: string;
  readonly adminToken?: string | undefined;
  readonly signal: AbortSignal;
}

/** One request over HTTP, without repeats. */
export function sender(transport: HttpTransport): SendRequest {
  const { platform, signal } = transport;
  return async (name, input, timeoutMs) => {
    const controller = new AbortController();
    const abort = (): void => controller.abort();
    let isTimedOut = false;
    const cancelTimer = platform.setTimer(() => {
      isTimedOut = true;
      abort();
    }, timeoutMs);
    // Not AbortSignal.any(): it would leak each request into a signal that lives for days.
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
    try {
      const answer = await platform.fetch(...fetchArguments(transport, name, input, controller.signal));
      return toOutcome(name, answer, await answer.text());
    } catch (error) {
      if (isTimedOut) return lostOutcome(true, `no answer over HTTP within ${timeoutMs} ms`);
      const code = codeOf(error) ?? (error instanceof Error ? codeOf(error.cause) : null);
      // The cause of fetch's error has the reason. Messages are left out: they may quote a header.
      const reason = code ?? (error instanceof Error ? error.name : "unknown error");
      return lostOutcome(code === null || !unsentCodes.has(code), `no answer over HTTP: ${reason}`);
    } finally {
      cancelTimer();
      signal.removeEventListener("abort", abort);
    }
  };
}

function fetchArguments(
  { address, token, adminToken = token }: HttpTransport,
  name: OperationName,
  input: object,
  signal: AbortSignal,
): Parameters<Platform["fetch"]> {
  const { method, path, scope } = operations[name];
  const headers = requestHeaders(scope === "admin" ? adminToken : token, protocolVersion);
  // A redirect could carry the token to another host.
  const commonInit = { method, redirect: "error", signal } as const;
  const url = `${address.http}${path}`;
  if (method === "GET") return [`${url}${formatQuery(input)}`, { ...commonInit, headers }];
  headers["content-type"] = "application/json";
  return [url, { ...commonInit, headers, body: JSON.stringify(input) }];
}

function formatQuery(input: object): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(input)) if (value !== undefined) query.set(name, String(value));
  return query.size === 0 ? "" : `?${query.toString()}`;
}

function toOutcome<Name extends OperationName>(
  name: Name,
  { status, headers }: FetchResponse,
  text: string,
): RequestOutcome<OutputOf<Name>> {
  const body = parseJson(text);
  if (status === 200)
    return body === undefined ? garbledOutcome(`${name}: HTTP 200 without JSON`) : answeredOutcome(name, body);
  if (isRecord(body) && "error" in body)
    return refusedOutcome(name, body.error, retryAfterMs(headers.get("retry-after")));
  // A proxy answered: a 4xx is permanent, a 5xx may pass.
  const message = `${name}: HTTP ${status}, and not from a coordinator`;
  return status >= 500 || status === 429 ? lostOutcome(true, message) : garbledOutcome(message);
}

/** @param seconds header value; a date is ignored, since the local clock may be wrong */
function retryAfterMs(seconds: string | null): number | undefined {
  return seconds !== null && /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1_000 : undefined;
}

const unsentCodes = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);
