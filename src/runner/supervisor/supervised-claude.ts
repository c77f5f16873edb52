import { claudeCode } from "../../clients/claude-code/claude-code.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import { mayBeAlive } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { RunOutcome } from "../worker/executor.ts";
import { type AttemptOptions, ClientAttempt } from "../worker/client/client-attempt.ts";
import type { ClientWork, Model } from "../worker/client/client-run.ts";
import { type Continuation, interruptedText, renderBrief, sessionToContinue } from "../worker/client/continuation.ts";
import type { ProgramEnding } from "./auto-restarter.ts";
import { type Checkpoint, type DeathDeps, type Program, recordDeath, type RunContext } from "./supervised-program.ts";
import type { WatchedClaude } from "./supervisor-settings.ts";

export interface SupervisedClaudeOptions extends DeathDeps, AttemptOptions {
  readonly watched: WatchedClaude;
  /** Absolute working folder. */
  readonly folder: string;
}

const noBudget = { wallMs: null, tokens: null, costMicros: null };

/** Claude Code without a terminal; each session continues the one before. */
export function claudeProgram(options: SupervisedClaudeOptions): Program {
  return {
    whyNot: (checkpoint) => whyNotRun(options.runtime, checkpoint),
    run: async (context) => {
      const attempt = new ClientAttempt(options, workOf(options, context), { state: undefined, words: "" });
      return endingOf(await attempt.run());
    },
  };
}

function workOf(options: SupervisedClaudeOptions, context: RunContext): ClientWork {
  const { watched, folder, runtime } = options;
  const { program, args, env, prompt } = watched;
  return {
    ...context,
    folder,
    client: claudeCode,
    program,
    env,
    opening: null,
    variables: {},
    budgetLeft: noBudget,
    argsOf: (model) => (model ? withModel(args, model) : args),
    promptOf: (continuation) => promptFor(runtime, prompt, continuation),
    onStart: (session, how) => context.onStart(how, session),
    onEnd: (session) => recordDeath(options, session).then(() => undefined),
    onUsage: () => undefined,
    onProgress: () => undefined,
    onModel: () => undefined,
  };
}

function withModel(args: readonly string[], { model }: Model): string[] {
  const others = args.filter((arg, at) => !/^--model(=|$)/.test(arg) && args[at - 1] !== "--model");
  return [...others, "--model", model];
}

function promptFor(runtime: Runtime, prompt: string, continuation: Continuation): string {
  if (continuation.kind === "resume") return interruptedText;
  const brief = renderBrief(runtime, continuation);
  return brief === null ? prompt : `${prompt}\n\n${brief}`;
}

function endingOf(outcome: RunOutcome): ProgramEnding {
  switch (outcome.kind) {
    case "done":
      return { kind: "finished" };
    case "stopped":
      return { kind: "left" };
    case "over_budget":
      return { kind: "failed", reason: outcome.reason };
    case "waiting": {
      const { reason, delayMs, isByRule } = outcome;
      return isByRule ? { kind: "limited", waitMs: delayMs, reason } : { kind: "stopped", reason };
    }
    case "failed":
      if (outcome.isByUser) return { kind: "stopped" };
      return { kind: outcome.isRetryable ? "crashed" : "failed", reason: outcome.reason };
  }
}

function whyNotRun({ store, processes }: Runtime, checkpoint: Checkpoint): ReturnType<Program["whyNot"]> {
  const id = sessionToContinue({ store }, checkpoint);
  const last = id && store.read((sql) => sessions.get(sql, id), null);
  if (!last) return null;
  const { owner, recovery } = last;
  if (last.endedAt !== null) return { kind: "finished", reason: `session ${id} has ended` };
  if (recovery === "recovered") return { kind: "finished", reason: `session ${last.recoveryBy} continues it` };
  if (recovery === "dismissed") return { kind: "finished", reason: `session ${id} was dismissed` };
  if (!owner || !mayBeAlive(processes, owner)) return null;
  return { kind: "held", reason: `session ${id} is already running (pid ${owner.pid})` };
}
