import * as z from "zod";
import { chatStates } from "../chat-state.ts";
import { Chat } from "../chats.ts";
import { machineOperation } from "./operation.ts";

/** A chat with its state in place of what its coordinator calls it. */
export const ShownChat = Chat.omit({ status: true, reason: true, isRecoverable: true }).extend({
  state: z.enum(chatStates),
  detail: z.string().nullable(),
});
export type ShownChat = z.infer<typeof ShownChat>;

export const ListedChat = ShownChat.extend({
  shortId: z.string(),
  title: z.string().nullable(),
  /** Root of its project; null where this machine does not know it. */
  project: z.string().nullable(),
});
export type ListedChat = z.infer<typeof ListedChat>;

export const teamOperations = {
  "team.chats": machineOperation({
    summary: "Chats of the workspace, or of this machine.",
    input: z.strictObject({
      all: z.boolean().default(false).describe("also those that died or ended"),
      state: z.enum(chatStates).optional().describe("those in this state"),
    }),
    output: z.object({
      /** For people. */
      where: z.string(),
      chats: z.array(ListedChat),
      /** Number of those that died or ended, and are left out. */
      hidden: z.int(),
    }),
    effect: "read",
    example: { all: true },
  }),
  "team.find-chat": machineOperation({
    summary: "The chat of the workspace whose id or title begins with a text.",
    input: z.strictObject({ chat: z.string().min(1) }),
    /** The text itself where no chat fits: the coordinator refuses it. */
    output: z.object({ chat: z.string() }),
    errors: ["ambiguous", "not_found"],
    effect: "read",
    surfaces: [],
    example: { chat: "chat" },
  }),
};
