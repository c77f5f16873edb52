import type { ModelRequest, Step } from "../../test/harness/claude/scripted-model.ts";
import type { ToolCall } from "../../test/harness/clients/model-formats.ts";
import { isRecord, listAt, textAt } from "../../src/shared/json-fields.ts";
import { tasks } from "./plan.ts";
import type { ChatScriptOptions } from "./team-chat.ts";
import { answerOf, isShimTool, shimTool, toolResultsOf, type ToolResult } from "./tool-results.ts";
import { waitOf } from "./waits.ts";

const summary = "summary";
const waitMs = 50_000;

/** The model of the chat that submits the job, follows it, and says at its end what was done. */
export class LeadChat {
  readonly #options: ChatScriptOptions;
  #inputs: readonly unknown[] = [];
  #answered = 0;

  constructor(options: ChatScriptOptions) {
    this.#options = options;
  }

  answer(request: ModelRequest): Step {
    const results = toolResultsOf(request);
    const result = results.at(-1);
    if (!result) return this.#call(submit());
    if (isShimTool(result, "shim_submit")) this.#tell(textAt(answerOf(result), "message") ?? result.text);
    if (isShimTool(result, "shim_next")) return this.#follow(result);
    if (isShimTool(result, "shim_report")) return this.#summarise();
    if (result.name === "Bash") return this.#report(result);
    return this.#call(shimTool("shim_next", { types: [summary], waitMs }));
  }

  /** Until the task that waits for all others is there. */
  #follow(result: ToolResult): Step {
    const { task, message } = answerOf(result);
    if (!isRecord(task)) {
      this.#tell(`follows: ${String(message).split(". ")[0]}`);
      return this.#call(shimTool("shim_chats"));
    }
    this.#inputs = listAt(task, "inputs");
    const commits = /git merge ([0-9a-f ]+)/.exec(String(message))?.[1];
    const merge = commits === undefined ? "" : `git fetch --quiet && git merge --quiet --no-edit ${commits} && `;
    return this.#call({ name: "Bash", input: { command: `${merge}node --test --test-reporter=tap` } });
  }

  #report({ text, isError }: ToolResult): Step {
    const count = (what: string): number => Number(new RegExp(`^# ${what} (\\d+)$`, "m").exec(text)?.[1]);
    if (isError) return this.#call(shimTool("shim_report", { outcome: "failed", note: text.slice(-500) }));
    return this.#call(shimTool("shim_report", { outcome: "done", result: { passed: count("pass") } }));
  }

  /** Of what the tools have answered. */
  #summarise(): Step {
    const lines = this.#inputs.filter(isRecord).map(({ task, result }) => {
      const { title, by, commit } = isRecord(result) ? result : {};
      return `- task ${Number(task)}, by ${String(by)}: ${String(title)} (${String(commit).slice(0, 8)})`;
    });
    const text = [`The job is done, in ${lines.length} tasks:`, ...lines].join("\n");
    this.#tell("has summarised the job");
    return { text, waitMs: this.#wait() };
  }

  #call(call: ToolCall): Step {
    return { tools: [call], waitMs: this.#wait() };
  }

  #wait(): number {
    return waitOf(this.#options.waits, `lead ${++this.#answered}`);
  }

  #tell(what: string): void {
    this.#options.onEvent({ chat: "lead", what });
  }
}

function submit(): ToolCall {
  const six = tasks.map(({ name, chat, title, dependsOn }) => ({
    type: chat,
    ref: name,
    payload: { name, title },
    ...(dependsOn.length === 0 ? {} : { dependsOn }),
  }));
  const last = {
    type: summary,
    payload: { title: "Run all tests and say what was done" },
    dependsOn: tasks.map(({ name }) => name),
  };
  return shimTool("shim_submit", { tasks: [...six, last] });
}
