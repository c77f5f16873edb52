import * as z from "zod";
import { WireError } from "../contract/protocol.ts";
import { ok, type Result, fail } from "../shared/result.ts";

/** Requests about what a coordinator holds beside its workspaces; each may be repeated. */

const defaultTimeoutMs = 30_000;
const Refused = z.object({ error: WireError });
/** Output of a request that answers nothing. */
export const nothing = z.object({});

interface RelayRequest<T> {
  readonly method: string;
  readonly output: z.ZodType<T>;
  readonly body?: object | undefined;
  readonly token?: string;
  readonly timeoutMs?: number;
}

export async function askRelay<T>(
  url: string,
  { method, output, body, token, timeoutMs = defaultTimeoutMs }: RelayRequest<T>,
): Promise<Result<T>> {
  const { origin } = new URL(url);
  const answer = await fetch(url, {
    method,
    headers: {
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    // A redirect could carry the token to another host.
    redirect: "error",
    signal: AbortSignal.timeout(timeoutMs),
  }).catch(() => null);
  if (answer === null) return fail("unreachable", `${origin} does not answer`);
  const content: unknown = await answer.json().catch(() => null);
  const parsed = answer.ok ? output.safeParse(content) : null;
  if (parsed?.success) return ok(parsed.data);
  const refused = Refused.safeParse(content);
  if (refused.success) return fail(refused.data.error.code, refused.data.error.message);
  return fail("bad_answer", `${origin} answered ${answer.status}, and is no coordinator of this version`);
}
