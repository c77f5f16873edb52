import * as z from "zod";
import { errorTable, WireError, type ErrorCode } from "../contract/errors.ts";
import { commonErrors, type Operation } from "../contract/operation.ts";
import { operations } from "../contract/operations.ts";
import { PROTOCOL_VERSION } from "../contract/protocol.ts";

/** OpenAPI 3.1 of all that can be asked over HTTP, made from the table of operations. Pure. */
export function openApi(): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const [name, operation] of Object.entries(operations) as [string, Operation][]) {
    if (operation.isSocketOnly) continue;
    const path = `/v1/workspaces/{workspace}${operation.path}`;
    paths[path] = { ...paths[path], [operation.method.toLowerCase()]: described(name, operation) };
  }
  return {
    openapi: "3.1.0",
    info: { title: "SHIM coordinator", version: String(PROTOCOL_VERSION) },
    paths,
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      schemas: { Error: z.toJSONSchema(z.object({ error: WireError })) },
    },
    security: [{ token: [] }],
  };
}

function described(name: string, operation: Operation): object {
  const input = z.toJSONSchema(operation.input, { io: "input" }) as {
    properties?: Record<string, object>;
    required?: string[];
  };
  const workspace = { name: "workspace", in: "path", required: true, schema: { type: "string" } };
  const isGet = operation.method === "GET";
  const fields = isGet
    ? Object.entries(input.properties ?? {}).map(([field, schema]) => ({
        name: field,
        in: "query",
        required: input.required?.includes(field) ?? false,
        schema,
      }))
    : [];
  return {
    operationId: name,
    summary: operation.summary,
    description: `Scope ${operation.scope}.`,
    parameters: [workspace, ...fields],
    ...(isGet ? {} : { requestBody: { required: true, content: json(input) } }),
    responses: {
      200: { description: "Done", content: json(z.toJSONSchema(operation.output)) },
      ...refusals(operation),
    },
  };
}

function refusals(operation: Operation): Record<string, object> {
  const codes: readonly ErrorCode[] = [...commonErrors, ...operation.errors];
  const byStatus = Object.groupBy(codes, (code) => String(errorTable[code].status));
  return Object.fromEntries(
    Object.entries(byStatus).map(([status, some]) => [
      status,
      { description: (some ?? []).join(", "), content: json({ $ref: "#/components/schemas/Error" }) },
    ]),
  );
}

function json(schema: object): object {
  return { "application/json": { schema } };
}
