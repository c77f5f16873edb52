import * as z from "zod";
import { atLimitSettings } from "../other-client/at-limit.ts";
import { outputFormat } from "../other-client/client-output.ts";
import { RouteSettings } from "./route-settings.ts";

/** Examples: `Read`, `Bash(npm test *)`, `mcp__docs__search`. */
const ToolRule = z
  .string()
  .max(500)
  .regex(
    /^[A-Za-z][\w*-]*(\([^\n]+\))?$/,
    "the name of a tool, with its allowed arguments in parentheses: Read, Bash(npm test *)",
  );

export const ClaudeSettings = z
  .strictObject({
    program: z.string().min(1).max(4_096).default("claude"),
    instruction: z.string().min(1).max(20_000).optional(),
    allowedTools: z.array(ToolRule).max(100).default([]),
    /** Takes precedence over `allowedTools`. */
    disallowedTools: z.array(ToolRule).max(100).default([]),
    /** Asks for no permission: only for machines that hold nothing but the task. */
    allowAll: z.boolean().default(false),
    /** Without it tasks wait until the limit resets. */
    atLimit: atLimitSettings(({ name }) => outputFormat(name) !== null).optional(),
    model: z.string().min(1).max(200).optional(),
    route: RouteSettings.optional(),
    maxTurns: z.int().min(1).max(10_000).optional(),
    /** Each source brings its own permissions, hooks and memory files. */
    settingSources: z.array(z.enum(["user", "project", "local"])).default([]),
    env: z
      .array(z.string().regex(/^[A-Za-z_]\w*$/, "the name of a variable"))
      .max(100)
      .default([]),
    /** US dollars per million tokens by model name; estimates the cost until it is measured. */
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
  })
  .refine(({ model, route }) => model === undefined || route === undefined, {
    message: "give a model or a route: the default tier of a route names a model",
    path: ["route"],
  });
export type ClaudeSettings = z.infer<typeof ClaudeSettings>;
