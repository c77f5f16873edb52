import type * as z from "zod";
import type { Result } from "../../../shared/result.ts";
import type { Chat } from "../chat/chat.ts";
import type { ToolError } from "../chat/session-argument.ts";

export interface ToolAnswer<Output> {
  readonly text: string;
  readonly output: Output;
}

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
  /** @throws {StoreError} if the store can be neither read nor written */
  run(
    chat: Chat,
    input: z.infer<Input>,
  ): Result<ToolAnswer<z.infer<Output>>, ToolError> | Promise<Result<ToolAnswer<z.infer<Output>>, ToolError>>;
}

export function defineTool<Input extends z.ZodType, Output extends z.ZodType>(tool: Tool<Input, Output>): Tool {
  return {
    ...tool,
    // The adapter calls run() only with parsed input.
    run: (chat, input) => tool.run(chat, input as z.infer<Input>),
  };
}
