import * as z from "zod";
import { Duration, Folder } from "./forms.ts";
import { machineOperation } from "./operation.ts";

export const Pause = z.object({
  /** Root of a project; null: every project. */
  project: z.string().nullable(),
  /** Epoch ms; null: until a person ends it. */
  until: z.int().nullable(),
});

const project = Folder.optional().describe("only this project");

export const pauseOperations = {
  "pauses.list": machineOperation({
    summary: "Pauses: for whom nothing is stored, and until when.",
    output: z.object({ pauses: z.array(Pause) }),
    effect: "read",
    surfaces: [],
  }),
  "pauses.start": machineOperation({
    summary: "Store nothing for a while, or until the pause is ended.",
    input: z.strictObject({ forMs: Duration.optional(), project }),
    /** `pauses`: all that are in force then. */
    output: z.object({ started: Pause, pauses: z.array(Pause) }),
    effect: "write",
    example: { forMs: 1_800_000 },
  }),
  "pauses.end": machineOperation({
    summary: "Store again.",
    input: z.strictObject({ project }),
    output: z.object({ ended: z.boolean(), project: z.string().nullable(), pauses: z.array(Pause) }),
    effect: "write",
  }),
};
