import * as z from "zod";
import { IdPrefix, idErrors, machineOperation } from "./operation.ts";

export const decisions = ["allow", "deny"] as const;
/** Answer of a person to a request. */
export type Decision = (typeof decisions)[number];

const maxMessageChars = 2_000;
const maxPromptChars = 4_000;

/** A permission that a client asks its user for. It has ages, as the live page needs them. */
export const OpenRequest = z.object({
  id: z.string(),
  session: z.string(),
  shortId: z.string(),
  title: z.string().nullable(),
  /** Name and version, for people. */
  client: z.string(),
  tool: z.string(),
  /** Effect of the call, redacted; a text that is cut says so. */
  text: z.string(),
  canAnswer: z.boolean(),
  /** Why only the terminal can answer it; null: it can be answered here. */
  reason: z.string().nullable(),
  askedAgeMs: z.number(),
  /** Until only the terminal can answer it. */
  endsInMs: z.number(),
});
export type OpenRequest = z.infer<typeof OpenRequest>;

export const requestOperations = {
  "requests.list": machineOperation({
    summary: "Permissions that the chats of this machine ask their user for, the oldest first.",
    /** `isOn`: whether requests can be answered from elsewhere at all. */
    output: z.object({ isOn: z.boolean(), requests: z.array(OpenRequest) }),
    effect: "read",
    doneBy: "host",
    surfaces: ["command", "page"],
  }),
  "requests.answer": machineOperation({
    summary: "Answer a permission request in place of its terminal, once.",
    input: z.strictObject({
      request: IdPrefix.min(1),
      decision: z.enum(decisions),
      message: z.string().max(maxMessageChars).optional().describe("why it is denied, for the model"),
    }),
    output: z.object({
      request: z.string(),
      session: z.string(),
      tool: z.string(),
      /** The client ignores it where its terminal has answered by then. */
      decision: z.enum(decisions),
    }),
    errors: ["switched_off", "ended", "not_found", "ambiguous", "not_released"],
    effect: "write",
    surfaces: ["command", "page"],
    example: { request: "k3v9", decision: "allow" },
  }),
  "requests.message": machineOperation({
    summary: "Write to a chat as its user: it becomes the chat's next prompt, or comes with it.",
    input: z.strictObject({ session: IdPrefix.min(1), text: z.string().min(1).max(maxPromptChars) }),
    output: z.object({
      session: z.string(),
      /** stop: the chat reads it when its turn ends; prompt: with the user's next prompt. */
      comes: z.enum(["stop", "prompt"]),
    }),
    errors: ["switched_off", "not_released", ...idErrors, "ended"],
    effect: "write",
    surfaces: ["command", "page"],
    example: { session: "5f0e0e5e", text: "Commit before you go on." },
  }),
};
