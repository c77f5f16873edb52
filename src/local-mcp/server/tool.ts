import type * as z from "zod";
import type { Result } from "../../shared/result.ts";
import type { Chat } from "./chat.ts";

/** A refusal that the model reads: what is wrong, and what to do next. */
export interface ToolError {
  readonly code: string;
  readonly message: string;
}

export interface ToolAnswer<Output> {
  /** For people and models that do not read the structured part; a few lines. */
  readonly text: string;
  readonly output: Output;
}

/** One tool, independent of any MCP library: schemas and a function. */
export interface Tool<Input extends z.ZodType = z.ZodType, Output extends z.ZodType = z.ZodType> {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly annotations: {
    readonly readOnlyHint: boolean;
    readonly destructiveHint: boolean;
    readonly idempotentHint: boolean;
    readonly openWorldHint: boolean;
  };
  readonly input: Input;
  readonly output: Output;
  /** @throws {StoreError} when nothing could be read or stored */
  run(
    chat: Chat,
    input: z.infer<Input>,
  ): Result<ToolAnswer<z.infer<Output>>, ToolError> | Promise<Result<ToolAnswer<z.infer<Output>>, ToolError>>;
}

/** Keeps the types of one tool's schemas for its function, and forgets them for the list of all. */
export function defineTool<Input extends z.ZodType, Output extends z.ZodType>(tool: Tool<Input, Output>): Tool {
  return {
    ...tool,
    // The adapter calls run() only with what `input` has parsed.
    run: (chat, input) => tool.run(chat, input as z.infer<Input>),
  };
}
