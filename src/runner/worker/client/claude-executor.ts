import * as z from "zod";
import { claudeCode } from "../../../clients/claude-code/claude-code.ts";
import type { RemainingBudget } from "../../../contract/budgets.ts";
import { Tier, Route } from "../../../contract/model-routes.ts";
import { openingLine } from "../../../contract/task-prompt.ts";
import { serverName } from "../../../installer/entries.ts";
import { pastPrompts } from "../../../machine/learning/past-prompts.ts";
import { compareWithPast } from "../../../learning/routing/like-prompts.ts";
import { bandOf, chooseRoute, escalate } from "../../../learning/routing/model-router.ts";
import { runProgram } from "../../../platform/run-program.ts";
import { type Executor, type TaskRun, taskVariables } from "../executor.ts";
import { type AttemptOptions, type Choice, ClientAttempt, type Limits } from "./client-attempt.ts";
import { type ClientWork, buildPrompt } from "./continuation.ts";

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

const shimTools = `mcp__${serverName}`;
const shimDeletingTool = `${shimTools}__shim_clear_state`;

/** Arguments hold nothing of a task, and deny what is not allowed without asking. */
function taskArgs(
  settings: ClaudeSettings,
  model: string | undefined,
  effort: string | null,
  { costMicros }: RemainingBudget,
): string[] {
  const { maxTurns, settingSources } = settings;
  return [
    "--include-partial-messages",
    "--strict-mcp-config",
    ...pair("--setting-sources", settingSources.join(",")),
    ...permissions(settings),
    ...pair("--model", model),
    ...pair("--effort", effort ?? undefined),
    ...pair("--max-turns", maxTurns),
    ...pair("--max-budget-usd", costMicros === null ? undefined : (costMicros / 1_000_000).toFixed(6)),
  ];
}

function pair(option: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [option, String(value)];
}

function permissions({ allowAll, allowedTools, disallowedTools }: ClaudeSettings): string[] {
  const denied = ["--disallowedTools", shimDeletingTool, ...disallowedTools];
  if (allowAll) return [...pair("--permission-mode", "bypassPermissions"), ...denied];
  const names = allowedTools.map((rule) => rule.replace(/\(.*$/s, ""));
  const tools = [...new Set(names)].filter((name) => !name.startsWith("mcp__"));
  // Without it, a sub-agent's tokens are not reported.
  const forwarded = tools.some((name) => name === "Agent" || name === "Task") ? ["--forward-subagent-text"] : [];
  return [
    ...pair("--permission-mode", "dontAsk"),
    ...pair("--tools", tools.join(",")),
    "--allowedTools",
    shimTools,
    ...allowedTools,
    ...denied,
    ...forwarded,
  ];
}

export interface ClaudeExecutorOptions extends Omit<AttemptOptions, "run"> {
  readonly settings: ClaudeSettings;
}

export function claudeExecutor(options: ClaudeExecutorOptions): Executor {
  const limits: Limits = { state: undefined, words: "" };
  const { settings } = options;
  return {
    programs: [settings.program],
    run: (run) => {
      const attempt = new ClientAttempt({ ...options, run: runProgram }, workOf(options, run), limits);
      return attempt.run(() => {
        if (settings.allowAll) run.onOutput("allowAll: no permission is asked for, every tool may be used\n");
        return new RoutedTask(options, run).choose();
      });
    },
  };
}

function workOf({ settings, runtime }: ClaudeExecutorOptions, run: TaskRun): ClientWork {
  const { task, budgetLeft } = run;
  return {
    ...run,
    checkpoint: task.checkpoint,
    opening: openingLine(task),
    client: claudeCode,
    program: settings.program,
    env: settings.env,
    variables: taskVariables(task),
    argsOf: (model) => taskArgs(settings, model?.model ?? settings.model, model?.effort ?? null, budgetLeft),
    promptOf: (continuation) => buildPrompt(runtime, run, continuation, settings.instruction),
  };
}

/** In the checkpoint, for the next attempt. Untrusted: it only selects a configured tier. */
const StoredRoute = z.object({ route: z.object({ attempt: z.int(), chosen: Route }) });

/** 48 bits, the most that a number reads at once. */
const randomBytes = 6;

/** The model that does a task. */
class RoutedTask {
  readonly #options: ClaudeExecutorOptions;
  readonly #run: TaskRun;
  readonly #previous: z.infer<typeof StoredRoute>["route"] | null;

  constructor(options: ClaudeExecutorOptions, run: TaskRun) {
    this.#options = options;
    this.#run = run;
    this.#previous = StoredRoute.safeParse(run.task.checkpoint).data?.route ?? null;
  }

  async choose(): Promise<Choice> {
    const route = await this.#reportRoute();
    return {
      route,
      isSameModel: this.#isSameModel(route),
      onMachineTrouble: () => route && this.#setRoute({ ...route, isCounted: false }),
    };
  }

  /** Reports it first, so that a worker that dies leaves it with its next heartbeat. */
  async #reportRoute(): Promise<Route | null> {
    const route = await this.#findRoute();
    if (!route) return null;
    this.#setRoute(route);
    const effort = route.effort === null ? "" : `, effort ${route.effort}`;
    this.#run.onOutput(`tier ${route.tier} (${route.model}${effort}): ${route.reason.replace("_", " ")}\n`);
    return route;
  }

  #setRoute(chosen: Route): void {
    this.#run.onRoute(chosen);
    this.#run.onCheckpoint({ route: { attempt: this.#run.task.attempt, chosen } });
  }

  /** Returns null for a type without a route. */
  async #findRoute(): Promise<Route | null> {
    const { settings, runtime } = this.#options;
    const { task, findRouteCounts } = this.#run;
    const { route: table } = settings;
    if (!table) return null;
    const random = (): number =>
      Buffer.from(runtime.random(randomBytes)).readUIntBE(0, randomBytes) / 2 ** (8 * randomBytes);
    const previous = this.#previous;
    if (!previous) {
      const band = bandOf(task.payload, (text) => compareWithPast(text, runtime.store.read(pastPrompts, [])));
      return chooseRoute(table, band, await findRouteCounts(), random);
    }
    // A later attempt follows a failure.
    const isSame = previous.attempt === task.attempt || !previous.chosen.isCounted;
    const tier = table.tiers.find(({ name }) => name === previous.chosen.tier);
    if (!isSame || !tier) return escalate(table, previous.chosen);
    return { ...previous.chosen, model: tier.model, effort: tier.effort ?? null, isCounted: true };
  }

  /** A session is resumed only by the model that has begun it. */
  #isSameModel(route: Route | null): boolean {
    const begun = this.#previous?.chosen ?? null;
    if (!route) return begun === null || (begun.model === this.#options.settings.model && begun.effort === null);
    return begun !== null && begun.model === route.model && begun.effort === route.effort;
  }
}
