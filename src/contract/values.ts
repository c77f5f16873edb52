import * as z from "zod";

/** Ids that clients choose: chats, sessions, requests. Nothing that a path or log must escape. */
export const Id = z.string().regex(/^[\w.:@-]{1,128}$/, "1 to 128 letters, digits and . : @ _ -");

/** UTF-8 maps lone surrogates to one character: two names would be stored as one. */
export function whole(text: z.ZodString): z.ZodString {
  return text.refine((value) => value.isWellFormed(), "it contains half of a character (a lone surrogate)");
}

export const Label = whole(z.string().regex(/^[^\p{Cc}]{1,200}$/u, "1 to 200 characters without control characters"));

export const Self = z.strictObject({
  chat: Id,
  /** Number from `chats.register`; an older process of the same chat is refused. */
  incarnation: z.int().min(1),
});
export type Self = z.infer<typeof Self>;
export const exampleSelf: Self = { chat: "c1", incarnation: 1 };

export const durationMs = z.int().min(0);
/** Grows; below 2^53 forever. */
export const counter = z.int().min(0);

export const Cursor = z.string().max(600);
export const limit = (max: number, defaultLimit: number) => z.int().min(1).max(max).default(defaultLimit);
