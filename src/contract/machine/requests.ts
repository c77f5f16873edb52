import * as z from "zod";
import { maxMessageChars, maxUserWordsChars } from "../user-words.ts";
import { declare } from "../operation.ts";
import { IdPrefix, idErrors } from "./operation.ts";

export const requestKinds = ["permission", "question", "plan"] as const;
/** Kinds of requests: leave for a call, a choice, leave to go on with a plan. */
export type RequestKind = (typeof requestKinds)[number];

export const decisions = ["allow", "session", "answer", "deny"] as const;
/**
 * Answer of a person to a request. allow: this once, or the plan; session: this, and what is like
 * it, until the session ends; answer: with choices or words for each question; deny: with a reason.
 */
export type Decision = (typeof decisions)[number];

/** A question of a chat, for a person. */
export const Question = z.object({
  question: z.string(),
  /** Several choices can be taken. */
  isMultiple: z.boolean(),
  choices: z.array(z.object({ label: z.string(), description: z.string().nullable() })),
});
export type Question = z.infer<typeof Question>;

/** Choices are counted from 1. Words stand for a choice that is not offered. */
const QuestionAnswer = z.strictObject({
  choices: z.array(z.int().min(1).max(1_000)).max(100).default([]),
  words: z.string().min(1).max(maxUserWordsChars).optional(),
});
export type QuestionAnswer = z.output<typeof QuestionAnswer>;

/**
 * Outcome of an answer. sent: not known yet; taken: the next events of the chat agree with it;
 * late: the call ended otherwise, so that its terminal was first; unknown: the turn or the chat is
 * over, and no event shows it.
 */
export const outcomes = ["sent", "taken", "late", "unknown"] as const;
export type Outcome = (typeof outcomes)[number];

/** A request of a client to its user. It has ages, as the live page needs them. */
export const OpenRequest = z.object({
  id: z.string(),
  session: z.string(),
  shortId: z.string(),
  title: z.string().nullable(),
  /** Name and version, for people. */
  client: z.string(),
  tool: z.string(),
  kind: z.enum(requestKinds),
  /** Empty: it is no question. */
  questions: z.array(Question),
  /** The decisions that its client takes from elsewhere; none: only the terminal can answer it. */
  decisions: z.array(z.enum(decisions)),
  /** All that the decision `session` allows until the session ends; null: it is not offered. */
  grant: z.string().nullable(),
  /** Sentence: an answer decides more than this request; null: it does not. */
  wider: z.string().nullable(),
  /** Effect of the call, redacted: all of it, or both ends with a mark between them. */
  text: z.string(),
  /** Size of the rest, which is shown before the request is allowed; null: there is none. */
  folded: z.object({ chars: z.number(), lines: z.number() }).nullable(),
  /** Why only the terminal can answer it; null: it can be answered here. */
  reason: z.string().nullable(),
  askedAgeMs: z.number(),
  /** Until only the terminal can answer it. */
  endsInMs: z.number(),
});
export type OpenRequest = z.infer<typeof OpenRequest>;

/** An answer from elsewhere, and what came of it. */
export const GivenAnswer = OpenRequest.pick({ session: true, shortId: true, title: true, tool: true }).extend({
  request: z.string(),
  decision: z.enum(decisions),
  /** Name of the phone, or the surface. */
  by: z.string(),
  outcome: z.enum(outcomes),
  /** The same for a person. */
  text: z.string(),
  ageMs: z.number(),
});
export type GivenAnswer = z.infer<typeof GivenAnswer>;

export const requestOperations = {
  "requests.list": declare("host", "read", {
    summary: "What the chats of this machine ask their user: permissions, questions and plans, the oldest first.",
    output: z.object({
      /** Whether requests can be answered from elsewhere at all. */
      isOn: z.boolean(),
      requests: z.array(OpenRequest),
      /** Answers of the last ten minutes; absent: there are none. */
      answers: z.array(GivenAnswer).optional(),
    }),
    surfaces: ["page"],
  }),
  "requests.show": declare("host", "read", {
    summary: "All that a request would do.",
    input: z.strictObject({ request: IdPrefix.min(1) }),
    output: z.object({
      request: z.string(),
      tool: z.string(),
      text: z.string(),
      /** To be given with an answer that allows it. */
      shown: z.string(),
    }),
    errors: ["ended", "not_found", "ambiguous"],
    surfaces: ["page"],
  }),
  "requests.answer": declare("host", "write", {
    summary: "Answer a request of a chat in place of its terminal, once: a permission, a question, or a plan.",
    input: z.strictObject({
      request: IdPrefix.min(1),
      decision: z.enum(decisions),
      answers: z.array(QuestionAnswer).max(100).optional().describe("one for each question, in its order"),
      shown: z
        .string()
        .max(64)
        .optional()
        .describe("what `shim requests show <request>` gives: a long request is allowed once it was shown"),
      message: z
        .string()
        .max(maxMessageChars)
        .optional()
        .describe("why it is denied, or what to do instead, for the model"),
    }),
    output: z.object({
      request: z.string(),
      session: z.string(),
      tool: z.string(),
      /** The decision as sent. `requests.list` has the outcome later. */
      decision: z.enum(decisions),
    }),
    errors: ["switched_off", "ended", "not_found", "ambiguous", "not_released", "not_shown", "bad_input"],
    surfaces: ["page"],
    example: { request: "k3v9", decision: "allow" },
  }),
  "requests.message": declare("host", "write", {
    summary: "Write to a chat as its user: a prompt where its window takes one, else it comes with the next.",
    input: z.strictObject({ session: IdPrefix.min(1), text: z.string().min(1).max(maxUserWordsChars) }),
    output: z.object({
      session: z.string(),
      /**
       * now: its client has it as a prompt; stop: the chat reads it when its turn ends; prompt:
       * with its next prompt.
       */
      comes: z.enum(["now", "stop", "prompt"]),
    }),
    errors: ["switched_off", "not_released", ...idErrors, "ended"],
    surfaces: ["page"],
    example: { text: "Commit before you go on." },
  }),
};
