import * as z from "zod";
import { statusOf, type Failure } from "../contract/errors.ts";
import type { Operation } from "../contract/operation.ts";
import { toWire } from "../contract/protocol.ts";
import { Id, Workspace } from "../contract/values.ts";
import { formatIssues } from "../shared/bad-input.ts";
import { checkJsonShape } from "../shared/check-input.ts";
import { fromTexts } from "../shared/input-fields.ts";
import { isRecord } from "../shared/json-fields.ts";
import { err, fail, ok, type Result } from "../shared/result.ts";
import type { AppContext } from "./env.ts";

/** Refuses an ambiguous query: not UTF-8, or a repeated parameter. */
function parseQuery(url: string): Result<Readonly<Record<string, string>>> {
  const query = new Map<string, string>();
  for (const part of new URL(url).search.slice(1).split("&").filter(Boolean)) {
    const nameAndValue = decodePart(part);
    if (!nameAndValue) return fail("bad_input", "the query is not UTF-8");
    const [name, value] = nameAndValue;
    if (query.has(name)) return fail("bad_input", `the query has ${JSON.stringify(name)} more than once`);
    query.set(name, value);
  }
  return ok(Object.fromEntries(query));
}

function decodePart(part: string): [name: string, value: string] | null {
  const [name = "", ...value] = part.replaceAll("+", " ").split("=");
  try {
    return [decodeURIComponent(name), decodeURIComponent(value.join("="))];
  } catch {
    return null;
  }
}

export function readQuery({ input }: Operation, url: string): Result<Readonly<Record<string, unknown>>> {
  const query = parseQuery(url);
  return query.ok ? ok(fromTexts(input, query.value)) : query;
}

export async function readBody(
  context: AppContext,
): Promise<Result<{ readonly text: string; readonly value: Readonly<Record<string, unknown>> }>> {
  try {
    const bytes = await context.req.arrayBuffer();
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes) || "{}";
    const value: unknown = JSON.parse(text);
    if (!isRecord(value)) return fail("bad_input", "the body must be a JSON object");
    const problem = checkJsonShape(value);
    return problem ? err(problem) : ok({ text, value });
  } catch {
    return fail("bad_input", "the body is not JSON in UTF-8");
  }
}

/** The body of a request, checked. */
export async function readInput<Output>(
  context: AppContext,
  schema: Parameters<typeof check<Output>>[0],
): Promise<Result<Output>> {
  const body = await readBody(context);
  return body.ok ? check(schema, body.value.value) : body;
}

/** @returns null for a body that is no form */
export async function readForm(request: Request): Promise<FormData | null> {
  return request.formData().catch(() => null);
}

export function textOf(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === "string" ? value : "";
}

export const NewWorkspace = z.strictObject({
  workspace: Workspace,
  requestId: Id.optional(),
});

export function check<Output>(schema: z.ZodType<Output>, input: unknown): Result<Output> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return ok(parsed.data);
  return fail("bad_input", formatIssues(parsed.error));
}

export function errorResponse(refusal: Failure): Response {
  const headers: Record<string, string> = refusal.retryAfterMs
    ? { "retry-after": String(Math.ceil(refusal.retryAfterMs / 1_000)) }
    : {};
  return Response.json({ error: toWire(refusal) }, { status: statusOf(refusal.code), headers });
}

export const unauthenticated: Failure = {
  code: "unauthenticated",
  message: "a valid token is needed: Authorization: Bearer <token>",
};

/** An overloaded object must not be retried at once (Durable Objects error handling). */
export function toRefusal(error: unknown): Failure {
  const isOverloaded =
    typeof error === "object" && error !== null && "overloaded" in error && error.overloaded === true;
  return isOverloaded
    ? { code: "overloaded", message: "the workspace is overloaded", retryAfterMs: 5_000 }
    : { code: "internal", message: "the coordinator failed", retryAfterMs: 1_000 };
}
