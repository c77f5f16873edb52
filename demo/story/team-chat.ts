import { isRecord, listAt, textAt } from "../../src/shared/json-fields.ts";
import type { ModelRequest, Step, ToolCall } from "../../test/harness/claude/scripted-model.ts";
import { branchOf, tasks, type ChatName, type PlannedTask, waitOf, type Waits } from "./plan.ts";
import { edits, sharedFile } from "./project.ts";
import { answerOf, hasUserSaid, isShimTool, shimTool, toolResultsOf, type ToolResult, nameOf, Work } from "./work.ts";

/** What a chat of the story does, for the timeline. */
export interface StoryEvent {
  readonly chat: string;
  readonly what: string;
}

interface ChatScriptOptions {
  readonly folder: string;
  readonly waits: Waits;
  readonly onEvent: (event: StoryEvent) => void;
}

export interface Kill {
  readonly chat: ChatName;
  readonly task: string;
  /** Edits of the task that are made before. */
  readonly edits: number;
}

/** In the second half of the work, when all chats have something to do. */
export const midway: Kill = { chat: "frontend", task: "receipts", edits: 4 };

/** The hold of the request in which a chat is killed. */
export const killed = "killed";

const waitMs = 50_000;

/** The model of one chat of the team: it takes tasks of its type until none is left. */
export class TeamChat {
  readonly #name: ChatName;
  readonly #options: ChatScriptOptions;
  readonly #kill: Kill | null;
  readonly #known = new Set<string>();
  #isKilled = false;
  readonly #reportedDone = new Set<string>();
  #work: Work | null = null;
  #number = 0;
  #reported = 0;
  /** Paths that are to be reserved, and those that are. */
  #wanted = new Set<string>();
  #held = new Set<string>();
  #refused = new Set<string>();
  /** The commits of other tasks that are to be merged first. */
  #merge: ToolCall | null = null;
  #coordinated = 0;

  constructor(name: ChatName, options: ChatScriptOptions, kill: Kill | null) {
    this.#name = name;
    this.#options = options;
    this.#kill = kill?.chat === name ? kill : null;
  }

  /** The model's answer to a request of the chat. */
  answer(request: ModelRequest): Step {
    const results = toolResultsOf(request);
    if (results.length === 0) return this.#isStart(request) ? this.#begin() : { text: "I have nothing left to do." };
    for (const result of results) this.#takeCoordination(result);
    const taken = results.find((result) => isShimTool(result, "shim_next"));
    if (taken) return this.#takeTask(taken);
    this.#work?.take(results);
    if (this.#isToBeKilled()) return { hold: killed };
    return this.#continue();
  }

  /** Else it continues at the end of its turn, for a notification. */
  #isStart(request: ModelRequest): boolean {
    return this.#coordinated === 0 || hasUserSaid(request, "You were interrupted");
  }

  /** The chat is new, or is resumed after its death: what it has held is free again. */
  #begin(): Step {
    this.#tell(this.#isKilled ? "is back in its session" : "is there");
    this.#work = null;
    this.#held.clear();
    this.#wanted.clear();
    return this.#coordinate([this.#next(waitMs)]);
  }

  #next(waitMs: number): ToolCall {
    return shimTool("shim_next", { types: [this.#name], ...(waitMs === 0 ? {} : { waitMs }) });
  }

  #takeTask(result: ToolResult): Step {
    const { task, message } = answerOf(result);
    if (!isRecord(task)) {
      // One may still depend on a task of another chat.
      const isMore = tasks.some(({ name, chat }) => chat === this.#name && !this.#reportedDone.has(name));
      if (isMore) return this.#coordinate([this.#next(waitMs)]);
      this.#tell("has nothing left to do");
      return { text: "All tasks of my type are done." };
    }
    this.#startWork(task, String(message));
    return this.#continue();
  }

  #startWork({ task, payload, progress }: Readonly<Record<string, unknown>>, message: string): void {
    const planned = tasks.find(({ name }) => isRecord(payload) && payload["name"] === name);
    if (!planned) throw new Error(`there is no such task in the plan: ${JSON.stringify(payload)}`);
    const note = isRecord(progress) ? String(progress["note"]) : "";
    const done = Number(/^(\d+) of/.exec(note)?.[1] ?? 0);
    this.#number = Number(task);
    this.#reported = done;
    this.#work = new Work(planned, this.#options.folder, this.#known, done);
    // The folder of its kind of work stays reserved for the chat until it has nothing left to do.
    const paths = edits[planned.name].map(({ file }) => pathFor(planned, file));
    this.#wanted = new Set(paths.filter((path) => !this.#held.has(path)));
    if (done > 0) this.#wanted.delete(sharedFile);
    const commits = /git merge ([0-9a-f ]+)/.exec(message)?.[1];
    const command = `git fetch --quiet && git merge --quiet --no-edit ${commits}`;
    this.#merge = commits === undefined ? null : { name: "Bash", input: { command } };
    const after = note === "" ? "" : `, and continues after ${note}`;
    this.#tell(`takes task ${this.#number}, ${planned.name}${after}`);
  }

  /** The next step of the work, with what the chat says to the team in the same answer. */
  #continue(): Step {
    const work = this.#work;
    if (!work) throw new Error(`the ${this.#name} chat has no work`);
    if (work.isOver) return this.#report(work);
    const merge = this.#merge ? [this.#merge] : [];
    const team = [...merge, ...this.#progress(work), ...this.#release(work), ...this.#reserve(work)];
    const mayEdit = (file: string): boolean => !this.#merge && this.#held.has(pathFor(work.task, file));
    const step = work.next(mayEdit);
    if (!step) return this.#coordinate(team);
    return { tools: [...team, work.toCall(step)], waitMs: waitOf(this.#options.waits, nameOf(step)) };
  }

  #report({ task, commit }: Work): Step {
    this.#reportedDone.add(task.name);
    const result = { branch: branchOf(task.name), commit, by: this.#name, title: task.title };
    return this.#coordinate([shimTool("shim_report", { outcome: "done", result }), this.#next(0)]);
  }

  #progress({ task, done }: Work): ToolCall[] {
    if (done === this.#reported) return [];
    this.#reported = done;
    const all = edits[task.name].length;
    const note = `${done} of ${all} edits`;
    return [shimTool("shim_report", { outcome: "progress", note, percent: Math.round((100 * done) / all) })];
  }

  #reserve(work: Work): ToolCall[] {
    return [...this.#wanted].flatMap((path) => {
      const reserve = shimTool("shim_files", { action: "reserve", paths: [path] });
      // Another chat may have changed it since.
      return path === sharedFile ? [reserve, work.read(path)] : [reserve];
    });
  }

  /** The shared file is free for others as soon as its change is committed. */
  #release(work: Work): ToolCall[] {
    if (!this.#held.has(sharedFile) || !work.committed.has(sharedFile)) return [];
    this.#held.delete(sharedFile);
    return [shimTool("shim_files", { action: "release", paths: [sharedFile] })];
  }

  #takeCoordination(result: ToolResult): void {
    const { input } = result;
    this.#takeMerge(result);
    if (isShimTool(result, "shim_report") && input["outcome"] === "done") this.#takeEnd(result);
    if (isShimTool(result, "shim_files") && input["action"] === "reserve") this.#takeReservation(result);
  }

  #takeMerge({ input, isError }: ToolResult): void {
    const isMerge = this.#merge !== null && input["command"] === this.#merge.input?.["command"];
    if (isMerge && !isError) this.#merge = null;
  }

  #takeEnd({ isError, text }: ToolResult): void {
    this.#tell(isError ? `could not report task ${this.#number}: ${text}` : `has done task ${this.#number}`);
    if (!isError) this.#work = null;
  }

  #takeReservation({ input, isError, text }: ToolResult): void {
    const path = String(Array.isArray(input["paths"]) ? input["paths"][0] : "");
    if (!isError) {
      if (this.#refused.delete(path)) this.#tell(`has ${path} now`);
      this.#wanted.delete(path);
      this.#held.add(path);
    } else if (!this.#refused.has(path)) {
      this.#refused.add(path);
      const holder = /held by \S+ "You are the (\w+) chat/.exec(text)?.[1] ?? "another";
      this.#tell(`reads on, for the ${holder} chat has reserved ${path}`);
    }
  }

  #isToBeKilled(): boolean {
    const work = this.#work;
    if (this.#isKilled || !this.#kill || work?.task.name !== this.#kill.task) return false;
    this.#isKilled = work.done >= this.#kill.edits;
    return this.#isKilled;
  }

  /** An answer that is about the team alone. */
  #coordinate(tools: readonly ToolCall[]): Step {
    return { tools, waitMs: waitOf(this.#options.waits, `${this.#name} coordinates ${++this.#coordinated}`) };
  }

  #tell(what: string): void {
    this.#options.onEvent({ chat: this.#name, what });
  }
}

function pathFor({ folder }: PlannedTask, file: string): string {
  return file === sharedFile ? file : `${folder}/**`;
}

const summary = "summary";
const leadWaitMs = 50_000;

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
    return this.#call(shimTool("shim_next", { types: [summary], waitMs: leadWaitMs }));
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
