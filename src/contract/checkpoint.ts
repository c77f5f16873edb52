import * as z from "zod";

/** Stored. Reason why a checkpoint was made. */
export type Trigger =
  | "risk"
  | "tools"
  | "time"
  | "compact"
  | "before_tool"
  /** Before the first tool of a turn that may change files. */
  | "turn"
  | "model_switch"
  | "turn_end"
  | "session_end"
  | "detached"
  /** Before an undo of a chat's changes. */
  | "undo"
  /** Before a hand-over to another machine, and as it came from there. */
  | "give"
  | "on_demand";

/** Reason in words. */
export function triggerText(trigger: string): string {
  return trigger === "detached" ? "cut off" : trigger.replaceAll("_", " ");
}

/** Limits of one checkpoint's parts. Over-long input is refused, never cut silently. */
const line = z.string().max(2_000);
const lines = z.array(line).max(200);

/** Redaction does not reach deeper levels, so they are refused. */
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
/** Notes of a chat. Omitted fields keep their value; done, decisions and openQuestions add up. */
export const WorkNotes = z.strictObject({
  goal: z.string().max(4_000).optional(),
  replace: z.boolean().optional().describe("done, decisions, openQuestions replace, not add"),
  done: lines.optional(),
  inProgress: lines.optional(),
  nextStep: z.string().max(4_000).optional(),
  decisions: lines.optional().describe("With reasons"),
  openQuestions: lines.optional(),
  files: z.array(z.string().min(1).max(4_096)).max(200).optional(),
  todos: z.array(Todo).max(200).optional(),
  state: z.unknown().refine(isShallow, `nested deeper than ${maxDepth} levels`).optional().describe("Anything else"),
});
export type WorkNotes = z.infer<typeof WorkNotes>;
