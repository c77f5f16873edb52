import { operations, type InputOf, type OperationName, type OutputOf } from "../../contract/operations.ts";
import { protocolVersion } from "../../contract/protocol.ts";
import { codeOf } from "../../shared/error.ts";
import { headersOf, type Address } from "./address.ts";
import { answered, garbled, lost, refused, type Ask, type Outcome } from "./outcome.ts";
import type { FetchAnswer, Outside } from "./outside.ts";
import { read, type Instant } from "./trust.ts";

/** One request over HTTP, by the table of operations. Repeats nothing. */

export interface HttpWay {
  readonly outside: Pick<Outside, "clock" | "setTimer" | "fetch">;
  readonly address: Address;
  readonly token: string;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
}

export function asker(way: HttpWay): Ask {
  return (name, input, timeoutMs) => ask(way, name, input, timeoutMs);
}

export async function ask<Name extends OperationName>(
  way: HttpWay,
  name: Name,
  input: InputOf<Name>,
  timeoutMs: number,
): Promise<Outcome<OutputOf<Name>>> {
  const ending = new AbortController();
  const end = (): void => ending.abort();
  let isLate = false;
  const cancel = way.outside.setTimer(() => {
    isLate = true;
    end();
  }, timeoutMs);
  // By hand: AbortSignal.any() would hang a trace of each request on the signal of a client that lives for days.
  way.signal.addEventListener("abort", end);
  if (way.signal.aborted) end();
  const sentAt = read(way.outside.clock);
  try {
    const answer = await way.outside.fetch(...requestOf(way, name, input, ending.signal));
    return outcomeOf(name, sentAt, answer, await answer.text());
  } catch (error) {
    if (isLate) return lost(true, `no answer over HTTP within ${timeoutMs} ms`);
    return lost(!isUnsent(error), `no answer over HTTP: ${reasonOf(error)}`);
  } finally {
    cancel();
    way.signal.removeEventListener("abort", end);
  }
}

function requestOf(
  { address, token }: HttpWay,
  name: OperationName,
  input: object,
  signal: AbortSignal,
): Parameters<Outside["fetch"]> {
  const { method, path } = operations[name];
  const headers = headersOf(token, protocolVersion);
  // A redirect could carry the token to somebody else.
  const usual = { method, redirect: "error", signal } as const;
  if (method === "GET") return [`${address.http}${path}${queryOf(input)}`, { ...usual, headers }];
  const body = JSON.stringify(input);
  return [`${address.http}${path}`, { ...usual, headers: { ...headers, "content-type": "application/json" }, body }];
}

function queryOf(input: object): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(input)) if (value !== undefined) query.set(name, String(value));
  return query.size === 0 ? "" : `?${query.toString()}`;
}

function outcomeOf<Name extends OperationName>(
  name: Name,
  sentAt: Instant,
  { status, headers }: FetchAnswer,
  text: string,
): Outcome<OutputOf<Name>> {
  const body = parse(text);
  if (status === 200)
    return body === undefined ? garbled(`${name}: HTTP 200 without JSON`) : answered(name, sentAt, body);
  if (isErrorBody(body)) return refused(name, sentAt, body.error, retryAfterMs(headers.get("retry-after")));
  // Somebody between us and the coordinator answers; a 4xx of theirs stays, a 5xx may go.
  const message = `${name}: HTTP ${status}, and not from a coordinator`;
  return status >= 500 || status === 429 ? lost(true, message) : garbled(message);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function isErrorBody(body: unknown): body is { error: unknown } {
  return typeof body === "object" && body !== null && "error" in body;
}

/** @param seconds the header, which may also be a date: then it says nothing to a clock that may be wrong */
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

/** No connection was made, so nothing was sent. */
function isUnsent(error: unknown): boolean {
  const code = causeCode(error);
  return code !== null && unsentCodes.has(code);
}

/** Node's fetch hides the reason in the cause. Its own words are left out: they may quote a header. */
function reasonOf(error: unknown): string {
  return causeCode(error) ?? (error instanceof Error ? error.name : "unknown error");
}

function causeCode(error: unknown): string | null {
  return codeOf(error) ?? (error instanceof Error ? codeOf(error.cause) : null);
}
