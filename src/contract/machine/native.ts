import * as z from "zod";
import { Folder, IdPrefix, idErrors, machineOperation } from "./operation.ts";
import { Named, Start } from "./recovery.ts";

/** Parts of a session that one of another client does not hold. */
export const lostParts = [
  "image",
  "thought",
  /** Summary of a compaction that the client has encrypted or left out. */
  "summary",
  "subagent_row",
  /** A command that the client carried out without the model. */
  "local_command",
  "api_error",
  "interruption",
  /** A part of a result that the client had left out for the model. */
  "cut_result",
  /** The result of a call that never ended. */
  "missing_result",
] as const;
export type LostPart = (typeof lostParts)[number];

const counted = z.int().min(1);

const Native = Named.extend({
  /** The new session. */
  made: z.string(),
  /** File of the new session; null: its client keeps it otherwise. */
  file: z.string().nullable(),
  /** Parts that the new session has. */
  carried: z.object({ prompts: z.int(), answers: z.int(), calls: z.int(), summaries: z.int() }),
  lost: z.array(z.object({ part: z.enum(lostParts), count: counted })),
  /** Parts of the transcript that could not be read, or are missing. */
  damages: z.int(),
  /** Secrets and private texts that markers replace. */
  redacted: z.int(),
  /** Tools that the client does not have: their calls keep the names. */
  foreignTools: z.array(z.object({ name: z.string(), count: counted })),
  start: Start,
});
export type Native = z.infer<typeof Native>;

export const nativeOperations = {
  "recovery.make-native": machineOperation({
    summary: "Write the conversation of a session as a new session of a client, which can resume that one.",
    input: z.strictObject({
      session: IdPrefix,
      folder: Folder,
      client: z.string().max(100).optional().describe("absent: the session's own"),
    }),
    output: Native,
    errors: ["bad_input", ...idErrors, "still_running", "transcript_unusable", "client_missing", "not_written"],
    effect: "write",
    doneBy: "caller",
    example: { session: "5f0e0e5e", folder: "/home/you/app" },
  }),
};
