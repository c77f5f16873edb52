import type { OutputOf } from "#src/contract/operations.ts";
import { admin, type RuleHost } from "./engine-host.ts";
import { ask, given, type NewTask } from "./peers.ts";

type Numbers<Tasks> = { [At in keyof Tasks]: number };

export async function submit<Tasks extends NewTask[]>(host: RuleHost, ...tasks: Tasks): Promise<Numbers<Tasks>> {
  const submitted = await ask(host, "tasks.submit", { tasks });
  return submitted.tasks.map(({ task }) => task) as Numbers<Tasks>;
}

export async function submitOne(host: RuleHost, task: Partial<NewTask> = {}): Promise<number> {
  const [number] = await submit(host, { type: "build", ...task });
  return number;
}

export function taskOf(host: RuleHost, task: number): Promise<OutputOf<"tasks.get">> {
  return ask(host, "tasks.get", { task });
}

export async function stateOf(host: RuleHost, task: number): Promise<string> {
  const { state, reason } = await taskOf(host, task);
  return reason === null ? state : `${state} ${reason}`;
}

export async function statesOf(host: RuleHost, tasks: readonly number[]): Promise<string[]> {
  const states: string[] = [];
  for (const task of tasks) states.push(await stateOf(host, task));
  return states;
}

export async function endsOf(host: RuleHost, task: number): Promise<string[]> {
  const { attempts } = await ask(host, "tasks.history", { task, limit: 100 });
  return attempts.map(({ end }) => end).toReversed();
}

export async function cancel(host: RuleHost, task: number, reason = "not wanted"): Promise<string> {
  return given(await host.call("tasks.cancel", { task, reason }, admin)).state;
}
