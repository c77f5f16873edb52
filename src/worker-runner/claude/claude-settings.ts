import * as z from "zod";

/** As Claude Code names tools in its permission rules: `Read`, `Bash(npm test *)`, `mcp__docs__search`. */
const ToolRule = z
  .string()
  .max(500)
  .regex(
    /^[A-Za-z][\w*-]*(\([^\n]+\))?$/,
    "the name of a tool, with what is allowed of it in brackets: Read, Bash(npm test *)",
  );

/** How Claude Code does the tasks of one type. What is not named here it may not do. */
export const ClaudeSettings = z.strictObject({
  program: z.string().min(1).max(4_096).default("claude"),
  /** What to do with a task of this type; without it the payload says so itself. */
  instruction: z.string().min(1).max(20_000).optional(),
  allowedTools: z.array(ToolRule).max(100).default([]),
  /** Goes before what is allowed. */
  disallowedTools: z.array(ToolRule).max(100).default([]),
  /** No permission is asked for at all: for machines that hold nothing but the task. */
  allowAll: z.boolean().default(false),
  model: z.string().min(1).max(200).optional(),
  maxTurns: z.int().min(1).max(10_000).optional(),
  /** Of the user's and the project's own settings; each brings its permissions, hooks and memory files with it. */
  settingSources: z.array(z.enum(["user", "project", "local"])).default([]),
  /** Names of further variables of the environment that Claude Code gets. */
  env: z
    .array(z.string().regex(/^[A-Za-z_]\w*$/, "the name of a variable"))
    .max(100)
    .default([]),
  /** US dollars for a million tokens, by the model's name: the cost is then estimated while it works; at the end it is measured. */
  prices: z
    .record(
      z.string(),
      z.strictObject({
        input: z.number().min(0),
        output: z.number().min(0),
        cacheRead: z.number().min(0),
        cacheWrite: z.number().min(0),
      }),
    )
    .default({}),
});
export type ClaudeSettings = z.infer<typeof ClaudeSettings>;
