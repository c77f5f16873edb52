import * as z from "zod";

/** What several concepts of the contract are made of. */

/** Ids that clients choose: of chats, sessions, requests. No blanks, nothing that a path or a log would have to escape. */
export const Id = z.string().regex(/^[\w.:@-]{1,128}$/, "1 to 128 letters, digits and . : @ _ -");

/** [WI9] A text that is compared: of halves of characters UTF-8 makes one and the same sign, so that two names would be stored as one. */
export function whole(text: z.ZodString): z.ZodString {
  return text.refine((value) => value.isWellFormed(), "half of a character (a lone surrogate) stands in it");
}

/** A name that people read: one line. */
export const Label = whole(z.string().regex(/^[^\p{Cc}]{1,200}$/u, "1 to 200 characters without control characters"));

/** Any JSON value, with its size checked by whoever keeps it. */
export const Json = z.json();
export type Json = z.infer<typeof Json>;

/** Who acts: a registered chat in its present incarnation. */
export const Self = z.strictObject({
  chat: Id,
  /** From the answer to `chats.register`: an older process of the same chat can do nothing any more. */
  incarnation: z.int().min(1),
});
export type Self = z.infer<typeof Self>;

export const durationMs = z.int().min(0);
/** Grows; below 2^53 for ever. */
export const counter = z.int().min(0);

export const Cursor = z.string().max(600);
export const limit = (max: number, defaultLimit: number) => z.int().min(1).max(max).default(defaultLimit);
