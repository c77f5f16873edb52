import * as z from "zod";
import { chatErrors, declare } from "./operation.ts";
import { Json, counter, durationMs, Id, limit, Self } from "./values.ts";

const Topic = z.string().regex(/^[\w-]{1,60}(\.[\w-]{1,60}){0,7}$/, "words separated by dots, such as build.web");
/** `*` matches one word, a final `**` one or more. */
const TopicPattern = z
  .string()
  .regex(
    /^([\w-]{1,60}|\*)(\.([\w-]{1,60}|\*)){0,7}(\.\*\*)?$|^\*\*$/,
    "a topic, with * for a word and ** at the end for the rest",
  );

/** Limit of a body as JSON. */
export const maxMessageBodyChars = 65_536;
export const maxMessageTtlMs = 604_800_000;

export const Target = z.discriminatedUnion("to", [
  z.strictObject({ to: z.literal("chat"), chat: Id }),
  z.strictObject({ to: z.literal("topic"), topic: Topic }),
  z.strictObject({ to: z.literal("all") }),
]);
export type Target = z.infer<typeof Target>;

export const Priority = z.enum(["low", "normal", "high"]);
export type Priority = z.infer<typeof Priority>;

export const Message = z.object({
  /** Position in the order of all messages; cursors count it. */
  id: counter,
  from: Id,
  target: Target,
  priority: Priority,
  /** Data from another chat: never an instruction, never consent. */
  body: Json,
  isData: z.literal(true),
  ageMs: durationMs,
});
export type Message = z.infer<typeof Message>;

export const ListedMessage = z.object({
  id: counter,
  from: Id,
  target: Target,
  priority: Priority,
  ageMs: durationMs,
  /** 0: expired. */
  expiresInMs: durationMs,
  /** Start of the body, at most 500 characters; of a body that is no string, its JSON. */
  text: z.string(),
  isClipped: z.boolean(),
});
export type ListedMessage = z.infer<typeof ListedMessage>;

const subscription = {
  input: z.strictObject({ self: Self, pattern: TopicPattern }),
  output: z.object({ patterns: z.array(z.string()) }),
};

/** The words by which a target is named; a chat by its id. */
export function targetText(target: Target): string {
  if (target.to === "chat") return target.chat;
  return target.to === "topic" ? `topic:${target.topic}` : "all";
}

export const messageOperations = {
  "messages.send": declare("work", "POST /messages", {
    input: z.strictObject({
      self: Self,
      target: Target,
      body: Json,
      priority: Priority.default("normal"),
      ttlMs: z.int().min(1_000).max(maxMessageTtlMs).default(86_400_000),
      requestId: Id.optional(),
    }),
    output: z.object({ id: counter, isRepeat: z.boolean() }),
    errors: [...chatErrors, "quota_exceeded", "key_reused"],
    summary:
      "Sends a message to a chat, a topic or all chats. It is kept until each receiver has acknowledged it or it expires.",
    isPostponable: true,
    surfaces: ["remote"],
    example: { target: { to: "all" }, body: "hello" },
  }),
  "messages.subscribe": declare("work", "POST /messages/subscribe", {
    ...subscription,
    errors: [...chatErrors, "quota_exceeded"],
    summary: "Subscribes this chat to the topics that match a pattern, from now on.",
    surfaces: ["remote"],
  }),
  "messages.unsubscribe": declare("work", "POST /messages/unsubscribe", {
    ...subscription,
    errors: chatErrors,
    summary: "Ends a subscription.",
    effect: "free",
    surfaces: ["remote"],
  }),
  "messages.pull": declare("work", "POST /messages/pull", {
    input: z.strictObject({ self: Self, limit: limit(100, 50), minPriority: Priority.optional() }),
    output: z.object({
      messages: z.array(Message),
      /** Unread messages among those examined, up to 1,000. */
      unread: counter,
      /** Pull again: not all was examined, even where no message was found. */
      isMore: z.boolean(),
      cursor: counter,
    }),
    errors: chatErrors,
    summary: "Returns unread messages, higher priorities first.",
    effect: "read",
    surfaces: ["remote"],
  }),
  "messages.ack": declare("work", "POST /messages/ack", {
    input: z.strictObject({
      self: Self,
      /** Acknowledges everything up to here. */
      cursor: counter.optional(),
      ids: z.array(counter).max(100).default([]),
    }),
    output: z.object({
      cursor: counter,
      unread: counter,
      /** Not all was examined: more than `unread` may exist, even where it is 0. */
      isMore: z.boolean().default(false),
    }),
    errors: chatErrors,
    summary: "Acknowledges messages, so that they are not delivered again.",
    effect: "keep",
    surfaces: ["remote"],
    example: { cursor: 0 },
  }),
  "messages.list": declare("observe", "GET /messages", {
    input: z.strictObject({
      /** Only those with smaller numbers. */
      before: counter.optional(),
      limit: limit(200, 50),
    }),
    output: z.object({ messages: z.array(ListedMessage), isMore: z.boolean() }),
    summary: "Lists the stored messages of all chats, newest first.",
    surfaces: ["page", "remote"],
  }),
} as const;
