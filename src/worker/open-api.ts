import * as z from "zod";
import { errorTable, type ErrorCode } from "../contract/errors.ts";
import { WireError } from "../contract/wire-error.ts";
import { commonErrors, type Operation } from "../contract/operation.ts";
import { operations } from "../contract/operations.ts";
import { protocolVersion } from "../contract/protocol.ts";
import { Json } from "../contract/json.ts";

/** OpenAPI 3.1 of the HTTP operations. Pure. */
export function openApi(): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const [name, operation] of Object.entries(operations) as [string, Operation][]) {
    if (operation.isSocketOnly) continue;
    const path = `/v1/workspaces/{workspace}${operation.path}`;
    paths[path] = { ...paths[path], [operation.method.toLowerCase()]: describeOperation(name, operation) };
  }
  return {
    openapi: "3.1.0",
    info: { title: "SHIM coordinator", version: String(protocolVersion) },
    paths,
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      schemas: { Error: schemaOf(z.object({ error: WireError }), "output"), Json: schemaOf(Json, "output") },
    },
    security: [{ token: [] }],
  };
}

function describeOperation(name: string, operation: Operation): object {
  const input = schemaOf(operation.input, "input");
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
    ...(isGet ? {} : { requestBody: { required: true, content: jsonContent(input) } }),
    responses: {
      200: { description: "Done", content: jsonContent(schemaOf(operation.output, "output")) },
      ...errorResponses(operation),
    },
  };
}

interface Schema {
  readonly $schema?: unknown;
  readonly $id?: unknown;
  readonly properties?: Readonly<Record<string, object>>;
  readonly required?: readonly string[];
}

/** References the recursive Json where the components define it. */
function schemaOf(type: z.ZodType, io: "input" | "output"): Schema {
  const registry = z.registry<{ id: string }>();
  registry.add(type, { id: "Schema" }).add(Json, { id: "Json" });
  const { schemas } = z.toJSONSchema(registry, { io, uri: (id) => `#/components/schemas/${id}` });
  const { $schema: _, $id: __, ...schema } = schemas["Schema"] as Schema;
  return schema;
}

function errorResponses(operation: Operation): Record<string, object> {
  const codes: readonly ErrorCode[] = [...commonErrors, ...operation.errors];
  const byStatus = Object.groupBy(codes, (code) => String(errorTable[code].status));
  return Object.fromEntries(
    Object.entries(byStatus).map(([status, some]) => [
      status,
      { description: (some ?? []).join(", "), content: jsonContent({ $ref: "#/components/schemas/Error" }) },
    ]),
  );
}

function jsonContent(schema: object): object {
  return { "application/json": { schema } };
}
