import type * as z from "zod";

/** A tool of SHIM's MCP server. */
export interface ChatTool {
  readonly title: string;
  readonly description: string;
  /** Clients without hooks alone read these words and see these fields. */
  readonly withoutHooks?: { readonly description: string; readonly fields?: readonly string[] };
  /** destructive: deletes, so a client asks its user first. */
  readonly effect: "read" | "write" | "destructive";
  /** A second call with the same input changes nothing more. */
  readonly isRepeatable: boolean;
  readonly input: z.ZodObject;
  readonly output: z.ZodObject;
}
