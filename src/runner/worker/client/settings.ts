import * as z from "zod";
import { Tier } from "../../../contract/model-routes.ts";

/** A program and its arguments. */
export const CommandWords = z.tuple([z.string().min(1).max(4_096)], z.string().max(4_096));

/** Names of further environment variables that a client gets. */
export const VariableNames = z
  .array(z.string().regex(/^[A-Za-z_]\w*$/, "the name of a variable"))
  .max(100)
  .default([]);

/** The model for a task of this type; see docs/guide/worker.md. */
const RouteSettings = z
  .strictObject({
    /** Cheapest first. */
    tiers: z.array(Tier).min(2).max(6),
    default: z.string(),
    exploration: z.number().min(0.01).max(0.5).default(0.1),
    acceptable: z.number().min(0.5).max(1).default(0.9),
  })
  .superRefine(({ tiers, default: usual }, context) => {
    const names = tiers.map(({ name }) => name);
    const refuse = (key: string, message: string): void => context.addIssue({ code: "custom", path: [key], message });
    if (new Set(names).size < names.length) refuse("tiers", "each tier has a name of its own");
    if (!names.includes(usual)) refuse("default", "name one of the tiers");
  });
export type RouteSettings = z.infer<typeof RouteSettings>;

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
    model: z.string().min(1).max(200).optional(),
    route: RouteSettings.optional(),
    maxTurns: z.int().min(1).max(10_000).optional(),
    /** Each source brings its own permissions, hooks and memory files. */
    settingSources: z.array(z.enum(["user", "project", "local"])).default([]),
    env: VariableNames,
  })
  .refine(({ model, route }) => model === undefined || route === undefined, {
    message: "give a model or a route: the default tier of a route names a model",
    path: ["route"],
  });
export type ClaudeSettings = z.infer<typeof ClaudeSettings>;
