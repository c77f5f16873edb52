import * as z from "zod";
import { Duration, Folder } from "./forms.ts";
import { machineOperation } from "./operation.ts";

const ReservedFile = z.object({
  /** Relative to the project's root. */
  path: z.string(),
  chat: z.string(),
  name: z.string().nullable(),
  machine: z.string().nullable(),
  heldForMs: z.number(),
  resource: z.string(),
});
export type ReservedFile = z.infer<typeof ReservedFile>;

/** A folder of the project, to which paths are relative. */
const folder = Folder;

export const reservationOperations = {
  "reservations.list": machineOperation({
    summary: "Files of a project that chats have reserved.",
    input: z.strictObject({ folder }),
    /** `project`: its root. */
    output: z.object({ project: z.string(), files: z.array(ReservedFile) }),
    effect: "read",
    example: { folder: "/home/ada/project" },
  }),
  "reservations.create": machineOperation({
    summary: 'Keep chats from editing these: a file, "folder/*" or "folder/**".',
    input: z.strictObject({
      folder,
      paths: z.array(z.string()).min(1),
      forMs: Duration.refine((ms) => ms >= 1_000 && ms <= 3_600_000, "must be 1s to 1h")
        .default(3_600_000)
        .meta({ form: "duration", description: "how long, up to 1h" }),
    }),
    output: z.object({ forMs: z.int(), files: z.array(ReservedFile) }),
    effect: "write",
    example: { folder: "/home/ada/project", paths: ["src/**"] },
  }),
  "reservations.release": machineOperation({
    summary: "Release what the command line has reserved: these, or all in this project.",
    input: z.strictObject({ folder, paths: z.array(z.string()).default([]) }),
    output: z.object({ released: z.array(z.string()) }),
    errors: ["not_found"],
    effect: "write",
    example: { folder: "/home/ada/project" },
  }),
};
