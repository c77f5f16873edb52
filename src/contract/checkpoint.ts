import * as z from "zod";

/** Limits of one checkpoint's parts; over-long input is refused with the field's name, never cut silently. */
const line = z.string().max(2_000);
const lines = z.array(line).max(200);

/** What lies deeper would be left out when secrets are looked for, so it is refused. */
const maxDepth = 60;

function isShallow(value: unknown): boolean {
  let level = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxDepth) return false;
    level = level.flatMap((one) => (typeof one === "object" && one !== null ? Object.values(one) : []));
  }
  return true;
}

const Todo = z.strictObject({
  text: line,
  status: z.enum(["pending", "in_progress", "completed"]),
});
/** What a chat can say of its own work. All optional: what is left out keeps its last value; done, decisions and openQuestions join what was given before. */
export const WorkNotes = z.strictObject({
  goal: z.string().max(4_000).optional(),
  replace: z.boolean().optional().describe("done, decisions, openQuestions replace instead of adding"),
  done: lines.optional(),
  inProgress: lines.optional(),
  nextStep: z.string().max(4_000).optional(),
  decisions: lines.optional().describe("With reasons"),
  openQuestions: lines.optional(),
  files: z.array(z.string().min(1).max(4_096)).max(200).optional(),
  todos: z.array(Todo).max(200).optional(),
  state: z
    .unknown()
    .refine(isShallow, `nested deeper than ${maxDepth} levels`)
    .optional()
    .describe("Anything else, as JSON"),
});
export type WorkNotes = z.infer<typeof WorkNotes>;
