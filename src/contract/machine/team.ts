import * as z from "zod";
import { chatStates } from "../chat-state.ts";
import { Chat } from "../chats.ts";
import { declare } from "../operation.ts";
import { flag } from "./operation.ts";

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

const SideOfConflict = z.object({
  chat: z.string(),
  shortId: z.string(),
  title: z.string().nullable(),
  /** Name and version, for people. */
  client: z.string(),
  /** Root of its work tree, on another machine after the machine's name and a colon. */
  root: z.string(),
  did: z.enum(["changed", "added", "deleted"]),
  /** In its own version; null: the whole file. */
  lines: z.string().nullable(),
  /** Files that it has edited there, newest first; only of kind `tree`. */
  edited: z.array(z.string()),
  /** When another machine saved its files; null: it is of this one. */
  savedAgeMs: z.number().nullable(),
});

export const ForeseenConflict = z.object({
  /**
   * merge: the same file in two work trees; file: the same file in one work tree; tree: both chats
   * write one work tree; apart: the files of a chat of another machine that are not compared.
   */
  kind: z.enum(["merge", "file", "tree", "apart"]),
  /** Relative to both work trees; of kind `tree` the work tree itself, of `apart` why. */
  path: z.string(),
  /** Since when both have changed it. */
  ageMs: z.number(),
  chats: z.tuple([SideOfConflict, SideOfConflict]),
});
export type ForeseenConflict = z.infer<typeof ForeseenConflict>;

export const teamOperations = {
  "team.chats": declare("caller", "read", {
    summary: "Chats of the workspace, or of this machine.",
    input: z.strictObject({
      all: flag("also those that died or ended"),
      state: z.enum(chatStates).optional().describe("those in this state"),
    }),
    output: z.object({
      /** For people. */
      where: z.string(),
      chats: z.array(ListedChat),
      /** Number of those that died or ended, and are left out. */
      hidden: z.int(),
    }),
    example: { all: true },
  }),
  "team.conflicts": declare("caller", "read", {
    summary:
      "Conflicts of the living chats of this machine: files that two of them have changed, before anyone commits.",
    /** `isOn`: whether conflicts are foreseen at all. */
    output: z.object({ isOn: z.boolean(), conflicts: z.array(ForeseenConflict) }),
  }),
  "team.find-chat": declare("caller", "read", {
    summary: "The chat of the workspace whose id or title begins with a text.",
    input: z.strictObject({ chat: z.string().min(1) }),
    /** The text itself where no chat fits: the coordinator refuses it. */
    output: z.object({ chat: z.string() }),
    errors: ["ambiguous", "not_found"],
  }),
};
