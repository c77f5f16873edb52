// The page api.md of the reference, from the table of operations.
import * as z from "zod";
import { errorTable, isRetryable, type ErrorCode } from "../../src/contract/errors.ts";
import {
  commonErrors,
  type Effect,
  type MachineEffect,
  type MachineOperation,
  type Operation,
} from "../../src/contract/operation.ts";
import { machineOperations } from "../../src/contract/machine/operations.ts";
import { operations } from "../../src/contract/operations.ts";

interface Schema {
  readonly type?: string | string[];
  readonly properties?: Record<string, Schema>;
  readonly required?: string[];
  readonly enum?: string[];
  readonly const?: unknown;
  readonly anyOf?: Schema[];
  readonly oneOf?: Schema[];
  readonly items?: Schema;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly description?: string;
  readonly $ref?: string;
}

function typeOf(schema: Schema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  const either = eitherOf(schema);
  if (either) return either.map(typeOf).join(" or ");
  if (schema.type === "array") return `list of ${typeOf(schema.items ?? {})}`;
  if (schema.type === "object" && schema.properties) return `{${fieldsOf(schema).join(", ")}}`;
  return [schema.type ?? "JSON"].flat().join(" or ");
}

function eitherOf({ anyOf, oneOf }: Schema): Schema[] | undefined {
  return anyOf ?? oneOf;
}

function fieldsOf({ properties = {}, required = [] }: Schema): string[] {
  return Object.entries(properties).map(
    ([name, schema]) => `${name}${required.includes(name) ? "" : "?"}: ${typeOf(schema)}`,
  );
}

function bounds({ minimum, maximum, default: usual }: Schema): string {
  const range =
    minimum !== undefined && maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER
      ? [`${minimum} to ${maximum}`]
      : [];
  return [...range, ...(usual === undefined ? [] : [`default ${JSON.stringify(usual)}`])].join("; ");
}

function section(name: string, operation: Operation): string {
  const way = operation.isSocketOnly ? "socket only" : `\`${operation.method} ${operation.path}\``;
  return sectionOf(name, operation, `${way}, scope ${operation.scope}. ${effectText(operation)}`);
}

const machineEffects: Readonly<Record<MachineEffect, string>> = {
  read: "Changes nothing.",
  write: "Changes what the machine stores.",
  destructive: "Deletes for good; a client asks its user first.",
};

function machineSection(name: string, operation: MachineOperation): string {
  const { effect, surfaces } = operation;
  const views = surfaces.length === 0 ? "" : " Also on the live page.";
  return sectionOf(name, operation, `${machineEffects[effect]}${views}`);
}

interface Declared {
  readonly input: z.ZodObject;
  readonly output: z.ZodType;
  readonly errors: readonly string[];
  readonly summary: string;
  readonly example: unknown;
}

function sectionOf(name: string, operation: Declared, facts: string): string {
  const input = z.toJSONSchema(operation.input, { io: "input" }) as Schema;
  const output = z.toJSONSchema(operation.output) as Schema;
  const rows = Object.entries(input.properties ?? {}).map(
    ([field, schema]) =>
      `| \`${field}\` | ${input.required?.includes(field) ? "yes" : ""} | ${typeOf(schema).replaceAll("|", "\\|")} | ${bounds(schema)} |`,
  );
  const table =
    rows.length === 0
      ? "No input."
      : ["| field | needed | type | bounds |", "| --- | --- | --- | --- |", ...rows].join("\n");
  const errors =
    operation.errors.length === 0 ? "" : `\n\nErrors: ${operation.errors.map((code) => `\`${code}\``).join(", ")}.`;
  const example = `Example: \`${JSON.stringify(operation.example)}\`.`;
  return `### ${name}\n\n${operation.summary} ${facts}\n\n${table}\n\n${example}\n\nAnswer: \`${typeOf(output)}\`.${errors}\n`;
}

const effects: Readonly<Record<Effect, string>> = {
  read: "Changes nothing.",
  keep: "Keeps or ends what a chat has; never refused for lack of storage or time.",
  free: "Adds nothing.",
  grow: "Adds to the workspace.",
};

function effectText({ effect, isDestructive, surfaces }: Operation): string {
  const destructive = isDestructive ? " A client asks its user first." : "";
  const names = surfaces.map(
    (surface) => ({ page: "on the live page", remote: "a tool of the remote MCP server" })[surface],
  );
  return `${effects[effect]}${destructive}${names.length === 0 ? "" : ` Also ${names.join(", and ")}.`}`;
}

export function apiDocs(): string {
  const codes = Object.entries(errorTable).map(
    ([code, { status }]) => `| \`${code}\` | ${status} | ${isRetryable(code as ErrorCode) ? "yes" : "no"} |`,
  );
  return `# Operations of a coordinator

Made from the table of operations by \`npm run docs\`. Paths lie below \`/v1/workspaces/:workspace\`; input stands in the query of a GET, else
in the body as JSON. Over a socket (\`GET /v1/workspaces/:workspace/connect\`) the same operations are JSON-RPC 2.0 requests; an array of up to 100 is one frame and one commit.
\`POST /v1/workspaces\` with \`{"workspace": "<name>"}\`, and SHIM_ADMIN_SECRET as the token, makes a workspace and answers with its admin token; with a \`requestId\` the same request again is answered with the same token.
Every call needs \`Authorization: Bearer <token>\`. Durations are in milliseconds. Every operation may also answer ${commonErrors.map((code) => `\`${code}\``).join(", ")}.

## Errors

\`{"error": {"code", "message", "retryable", "retryAfterMs"?, "details"?}}\`; \`retryable\` means that the same request may succeed later.

| code | status | retryable |
| --- | --- | --- |
${codes.join("\n")}

## Operations

${Object.entries(operations)
  .map(([name, operation]) => section(name, operation))
  .join("\n")}
## Operations of a machine

\`shim call <operation>\` calls these too, without a coordinator. Each may also answer the errors of the store.

${Object.entries(machineOperations)
  .map(([name, operation]) => machineSection(name, operation))
  .join("\n")}`;
}
