import * as z from "zod";
import { riskLevels } from "../readings.ts";
import { machineOperation } from "./operation.ts";

const count = z.int().min(0);

/** State of a chat for its client's status line; printed as JSON, so fields are only added. */
export const ChatStatus = z.object({
  session: z.string().nullable(),
  savedMsAgo: count.nullable(),
  risk: z.object({ score: z.number(), level: z.enum(riskLevels) }).nullable(),
  /** Sessions of the project that died and can come back. */
  died: count,
  /** [CL67] Titles of dead sessions that the chat was offered, and of those that it continues. */
  offered: z.array(z.string()),
  continued: z.array(z.string()),
  /** Undelivered messages of other chats. */
  messages: count,
  /** Other living chats by state. */
  waits: count,
  stuck: count,
  /** Null while the limit of the day is far. */
  dayBudget: z.object({ isReached: z.boolean(), text: z.string() }).nullable(),
  notices: z.array(z.string()),
  /** Why nothing is saved; null while all is well. */
  trouble: z.string().nullable(),
});
export type ChatStatus = z.infer<typeof ChatStatus>;

export const statusLineOperations = {
  "statusline.get": machineOperation({
    summary: "Store the readings that a client gives its status line, and say how its chat is.",
    input: z.strictObject({ text: z.string().describe("what the client writes to its status line command") }),
    output: ChatStatus,
    effect: "write",
    example: { text: '{"session_id":"5f0e0e5e"}' },
  }),
};
