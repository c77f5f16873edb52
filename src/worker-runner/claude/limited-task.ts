import type { Usage } from "../../contract/budgets.ts";
import type { Json } from "../../contract/json.ts";
import { isRecord } from "../../shared/json-fields.ts";
import type { RunOutcome, TaskRun } from "../executor.ts";
import { clientAtLimit } from "../other-client/at-limit.ts";
import { outputFormat } from "../other-client/client-output.ts";
import { otherCommand } from "../other-client/other-command.ts";
import { OtherRun, unmeasuredLimit } from "../other-client/other-run.ts";
import type { ClaudeExecutorOptions } from "./claude-executor.ts";
import { chooseContinuation, renderBrief, takeOver, toCheckpoint, type Continuation } from "../client/continuation.ts";
import { buildPrompt, newFence } from "../client/prompt.ts";
import { defaultStopTimeouts } from "../client/stop-timeouts.ts";
import type { LimitMemory } from "./usage-limit.ts";

const limitText = "Claude Code has reached its usage limit";
/** The longest that the coordinator keeps a task back. */
const maxDelayMs = 86_400_000;

/** [CX25] [CX30] A task that Claude Code cannot do before its usage limit resets. */
export class LimitedTask {
  readonly #options: ClaudeExecutorOptions;
  readonly #run: TaskRun;
  readonly #limits: LimitMemory;

  constructor(options: ClaudeExecutorOptions, run: TaskRun, limits: LimitMemory) {
    this.#options = options;
    this.#run = run;
    this.#limits = limits;
  }

  /** @param session in which Claude Code has reached the limit; null: it was not started */
  continue(session: string | null, usedBefore: Usage): Promise<RunOutcome> | RunOutcome {
    const client = clientAtLimit(this.#options.settings.atLimit);
    if (!client || this.#run.signal.aborted) return this.#wait(`${limitText}: ${this.#limits.words}`);
    const measure = unmeasuredLimit(this.#run.budgetLeft);
    if (measure !== null)
      return this.#wait(`${limitText}, and ${client.title} does not report the ${measure} that the task limits`);
    return this.#continueElsewhere(session, usedBefore);
  }

  async #continueElsewhere(session: string | null, usedBefore: Usage): Promise<RunOutcome> {
    const { settings, runtime, monotonic, stopTimeouts = defaultStopTimeouts } = this.#options;
    const { atLimit } = settings;
    const client = clientAtLimit(atLimit);
    const format = client && outputFormat(client.name);
    if (!atLimit || !client || !format) throw new Error("the settings name no client whose output can be read");
    const run = this.#run;
    const text = `${limitText}; ${client.title} continues`;
    run.onOutput(`${text}\n`);
    run.onProgress({ note: text });
    const task = session === null ? run.task : { ...run.task, checkpoint: withSession(run, session) };
    const continuation = await chooseContinuation(this.#options, task, run.folder, limitText);
    const release = await takeOver(this.#options, continuation);
    try {
      const prompt = this.#prompt(continuation);
      const request = { prompt, successor: continuation.session, variables: settings.env, ownArgs: format.args };
      const command = otherCommand(runtime, client, atLimit, request);
      const options = { title: client.title, format, command, monotonic, stopTimeouts, usedBefore };
      const outcome = await new OtherRun(options, run).run();
      return outcome.kind === "gave_up" ? this.#wait(`${limitText}; ${outcome.reason}`) : outcome;
    } finally {
      await release();
    }
  }

  #prompt(continuation: Continuation): string {
    const { runtime, settings } = this.#options;
    const { task, merged } = this.#run;
    const brief = continuation.kind === "brief" ? renderBrief(runtime, continuation.restoration) : null;
    const { instruction } = settings;
    return buildPrompt({ task, merged, continuation, instruction, brief, fence: newFence(runtime) });
  }

  #wait(reason: string): RunOutcome {
    const delayMs = Math.min(maxDelayMs, this.#limits.remainingMs(this.#options.runtime.now()));
    return { kind: "waiting", reason, delayMs, isOfType: true };
  }
}

function withSession({ task: { checkpoint }, folder }: TaskRun, session: string): Json {
  return { ...(isRecord(checkpoint) ? checkpoint : {}), ...toCheckpoint(session, folder) };
}
