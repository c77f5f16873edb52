import type { Tool } from "@modelcontextprotocol/server";
import * as z from "zod";
import type { Operation } from "../contract/operation.ts";
import { offeredOn, operations, type OfferedOn, type OperationName } from "../contract/operations.ts";
import { scopes, type Scope } from "../contract/workspaces.ts";
import { isRead } from "../shared/check-input.ts";

/** Claims are missing: nothing keeps one between two requests. */
export type Offered = OfferedOn<"remote">;

/** Fields that name the caller: the token says it. */
const filledFields = ["self", "by"] as const;
export type FilledField = (typeof filledFields)[number];

export interface RemoteTool {
  readonly operation: Offered;
  /** Names the caller in these. */
  readonly filled: readonly FilledField[];
  readonly input: z.ZodObject;
  readonly listed: Tool;
}

export const remoteTools: ReadonlyMap<string, RemoteTool> = new Map(offeredOn("remote").map(toTool));

/** [RM3] */
export function listTools(scope: Scope): Tool[] {
  const visible = [...remoteTools.values()].filter(({ operation }) => isVisible(operation, scope));
  return visible.map(({ listed }) => listed);
}

export function isVisible(operation: OperationName, scope: Scope): boolean {
  return scopes.indexOf(scope) >= scopes.indexOf(operations[operation].scope);
}

function toTool(operation: Offered): [name: string, tool: RemoteTool] {
  const { input: whole, summary, method, isDestructive }: Operation = operations[operation];
  const filled = filledFields.filter((field) => Object.hasOwn(whole.shape, field));
  const isOwn = ([field]: [string, unknown]): boolean => !filledFields.some((one) => one === field);
  const input = z.strictObject(Object.fromEntries(Object.entries(whole.shape).filter(isOwn)));
  // Clients of models accept no dot in a name.
  const name = operation.replaceAll(/[.-]/g, "_");
  const { $schema: _, ...inputSchema } = z.toJSONSchema(input, { io: "input" });
  const annotations = {
    readOnlyHint: isRead(operation),
    destructiveHint: isDestructive ?? false,
    idempotentHint: method !== "POST",
    openWorldHint: false,
  };
  const listed = { name, description: summary, inputSchema: inputSchema as Tool["inputSchema"], annotations };
  return [name, { operation, filled, input, listed }];
}
