import * as z from "zod";

/** A thing that an option switches on. */
export function flag(description: string): z.ZodDefault<z.ZodBoolean> {
  return z.boolean().default(false).describe(description);
}

/** Number of things. */
export const count = z.int().min(0);

/** How a person writes a value on a command line; the value itself is plain. */
export type Form = "moment" | "duration" | "folder" | "file" | "session-or-project";

/** Epoch ms; a person writes `2d` (so long ago) or a date, which stands for its first moment. */
export const Moment = z.int().min(0).meta({ form: "moment" });

/** Milliseconds; a person writes `30m`. */
export const Duration = z.int().min(1).meta({ form: "duration" });

/** Absolute path; a person may write it relative to the working folder. */
export const Folder = z.string().min(1).max(4_096).meta({ form: "folder" });

/** Absolute path of a file; written as a folder is. */
export const File = z.string().min(1).max(4_096).meta({ form: "file" });

/** Id of a session or a checkpoint, or a beginning of it that no other has. */
export const IdPrefix = z.string().max(200);
/** Refusals of an id that names nothing, or several. */
export const idErrors = ["not_found", "ambiguous"] as const;

/** A session as answers name it. */
export const Named = z.object({
  session: z.string(),
  /** Shortest unique prefix of the id. */
  shortId: z.string(),
  title: z.string().nullable(),
  /** Another machine; null: this one. */
  machine: z.string().nullable(),
});
export type Named = z.infer<typeof Named>;

/** Never an argument: those are visible to other users of the machine. */
export const Secret = z.string().max(4_096).optional().meta({ isSecret: true });

/** Beginning of a session's id, or an absolute path. */
export const SessionOrProject = z.string().min(1).max(4_096).meta({ form: "session-or-project" });
