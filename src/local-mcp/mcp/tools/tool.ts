import type * as z from "zod";
import type { teamTools, machineTools } from "../../../contract/tools.ts";
import type { Result } from "../../../shared/result.ts";
import type { Chat, ToolError } from "../chat/chat.ts";

type Tools = typeof machineTools & typeof teamTools;

export type ToolName = keyof Tools;
export type ToolInput<Name extends ToolName> = z.output<Tools[Name]["input"]>;
export type ToolOutput<Name extends ToolName> = z.input<Tools[Name]["output"]>;

export interface ToolAnswer<Output> {
  readonly text: string;
  readonly output: Output;
}

type Answered<Name extends ToolName> = Result<ToolAnswer<ToolOutput<Name>>, ToolError>;

/**
 * The code of a tool; its input is checked.
 *
 * @throws {StoreError} if the store can be neither read nor written
 */
export type ToolHandler<Name extends ToolName> = (
  chat: Chat,
  input: ToolInput<Name>,
) => Answered<Name> | Promise<Answered<Name>>;
