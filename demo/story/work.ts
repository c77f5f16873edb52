import { isRecord, listAt, parseObject } from "../../src/shared/json-fields.ts";
import type { ModelRequest, ToolCall } from "../../test/harness/claude/scripted-model.ts";
import { stepsOf, type PlannedTask, type WorkStep } from "./plan.ts";
import type { Edit } from "./project.ts";

/** What one tool call of the model's last answer has returned. */
export interface ToolResult {
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly isError: boolean;
}

/** The results since the model's last answer, in the order of its calls; none where a user has spoken since. */
export function toolResultsOf({ body }: ModelRequest): ToolResult[] {
  const messages = listAt(body, "messages").filter(isRecord);
  const lastAnswer = messages.findLastIndex(({ role }) => role === "assistant");
  const answer = messages[lastAnswer];
  if (!answer) return [];
  const results = messages.slice(lastAnswer + 1).flatMap(({ content }) => blocksOf(content));
  return blocksOf(answer["content"])
    .filter(({ type }) => type === "tool_use")
    .flatMap(({ id, name, input }) => {
      const result = results.find((block) => block["type"] === "tool_result" && block["tool_use_id"] === id);
      if (!result) return [];
      const text = textOf(result["content"]);
      return [{ name: String(name), input: isRecord(input) ? input : {}, text, isError: result["is_error"] === true }];
    });
}

/** Whether the user, or a supervisor for the user, has said this since the model's last answer. */
export function hasUserSaid({ body }: ModelRequest, words: string): boolean {
  const messages = listAt(body, "messages").filter(isRecord);
  const lastAnswer = messages.findLastIndex(({ role }) => role === "assistant");
  return messages
    .slice(lastAnswer + 1)
    .some(({ content }) => (typeof content === "string" ? content : textOf(content)).includes(words));
}

/** The structured answer of a tool of SHIM. */
export function answerOf({ text }: ToolResult): Readonly<Record<string, unknown>> {
  return parseObject(text) ?? {};
}

const shimPrefix = "mcp__shim__";

export function shimTool(name: string, input: Readonly<Record<string, unknown>> = {}): ToolCall {
  return { name: `${shimPrefix}${name}`, input };
}

export function isShimTool({ name }: ToolResult, tool: string): boolean {
  return name === `${shimPrefix}${tool}`;
}

function blocksOf(content: unknown): Readonly<Record<string, unknown>>[] {
  return Array.isArray(content) ? content.filter(isRecord) : [];
}

function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  return blocksOf(content)
    .map(({ text }) => (typeof text === "string" ? text : ""))
    .join("\n");
}

/** The work on one task, step by step, and what a chat knows of the project. */
export class Work {
  readonly task: PlannedTask;
  /** Edits that are made and tested. */
  done: number;
  /** Hash of the commit that ended the work. */
  commit: string | null = null;
  /** Paths whose changes are committed. */
  readonly committed = new Set<string>();
  readonly #folder: string;
  readonly #known: Set<string>;
  readonly #left: WorkStep[];
  /** The step of the last answer, whose result comes next. */
  #last: WorkStep | null = null;

  /** @param known files that the chat has read; the work adds to them */
  constructor(task: PlannedTask, folder: string, known: Set<string>, done = 0) {
    this.task = task;
    this.done = done;
    this.#folder = folder;
    this.#known = known;
    this.#left = stepsOf(task, done).filter((step) => step.kind !== "read" || !known.has(step.file));
  }

  /**
   * The next step; a read goes before an edit that may not be made yet.
   *
   * @returns null where only such edits are left, or nothing
   */
  next(mayEdit: (file: string) => boolean): WorkStep | null {
    const [first] = this.#left;
    const isHeldUp = first?.kind === "edit" && !mayEdit(first.edit.file);
    const index = isHeldUp ? this.#left.findIndex(({ kind }) => kind === "read") : 0;
    const [step = null] = index < 0 ? [] : this.#left.splice(index, 1);
    this.#last = step;
    return step;
  }

  get isOver(): boolean {
    return this.#left.length === 0;
  }

  toCall(step: WorkStep): ToolCall {
    if (step.kind === "run") return { name: "Bash", input: { command: step.command } };
    if (step.kind === "read") return this.read(step.file);
    const { file, from, to } = step.edit;
    const file_path = this.#path(file);
    if (from === "") return { name: "Write", input: { file_path, content: to } };
    return { name: "Edit", input: { file_path, old_string: from, new_string: to } };
  }

  read(file: string): ToolCall {
    return { name: "Read", input: { file_path: this.#path(file) } };
  }

  /** What the results of the last answer mean for the steps that are left. */
  take(results: readonly ToolResult[]): void {
    const step = this.#last;
    this.#last = null;
    const result = results.findLast(({ name }) => ["Bash", "Read", "Edit", "Write"].includes(name));
    if (!step || !result) return;
    if (step.kind === "edit") this.#takeEdit(step, result);
    else if (result.isError) this.#left.unshift(step);
    else if (step.kind === "read") this.#known.add(step.file);
    else this.#takeRun(step, result);
  }

  #takeEdit(step: WorkStep & { readonly kind: "edit" }, { isError, text }: ToolResult): void {
    const isMade = !isError || text.includes("String to replace not found");
    if (isMade) {
      this.#known.add(step.edit.file);
      this.done = step.done;
    } else this.#left.unshift(this.#toRead(step.edit, step), step);
  }

  /** Claude Code changes only what it has read as it is now. */
  #toRead({ file }: Edit, { task, number }: WorkStep): WorkStep {
    return { kind: "read", file, task, number };
  }

  #takeRun({ commits }: WorkStep & { readonly kind: "run" }, { text }: ToolResult): void {
    if (commits !== null) this.committed.add(commits);
    this.commit = /\b[0-9a-f]{40}\b/.exec(text)?.[0] ?? this.commit;
  }

  #path(file: string): string {
    return `${this.#folder}/${file}`;
  }
}

/** How a model's answer to a step of the work is named, for its wait. */
export function nameOf({ task, number, kind }: WorkStep): string {
  return `${task} ${number} ${kind}`;
}
