import type { ModelRequest, Step } from "../../test/harness/claude/scripted-model.ts";
import { tasks } from "./plan.ts";
import type { ChatScriptOptions } from "./team-chat.ts";
import { toolResultsOf } from "./tool-results.ts";
import { waitOf } from "./waits.ts";
import { nameOf, Work } from "./work.ts";

/** The model of one chat that does all tasks alone, one after the other, with the same answers and waits. */
export class LoneChat {
  readonly #options: ChatScriptOptions;
  readonly #known = new Set<string>();
  readonly #left = [...tasks];
  #work: Work | null = null;

  constructor(options: ChatScriptOptions) {
    this.#options = options;
  }

  answer(request: ModelRequest): Step {
    this.#work?.take(toolResultsOf(request));
    if (this.#work?.isOver !== false) this.#startNext();
    const step = this.#work?.next(() => true);
    if (!this.#work || !step) return { text: "All tasks are done." };
    return { tools: [this.#work.toCall(step)], waitMs: waitOf(this.#options.waits, nameOf(step)) };
  }

  #startNext(): void {
    const { folder, onEvent } = this.#options;
    if (this.#work) onEvent({ chat: "alone", what: `has done ${this.#work.task.name}` });
    const task = this.#left.shift();
    this.#work = task ? new Work(task, folder, this.#known) : null;
  }
}
