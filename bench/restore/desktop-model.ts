import type { Habit, Turn } from "./plan.ts";

/**
 * Pure. The scripted model of a client without hooks: it gives only what the server's texts ask for, and saves as often as
 * its habit says.
 */

/** What the instructions, the tools and their fields ask a model for. */
export interface Guidance {
  readonly startsChats: boolean;
  readonly passesSession: boolean;
  readonly passesUser: boolean;
  readonly savesSteps: boolean;
  readonly savesFiles: boolean;
}

interface Listed {
  readonly instructions: string;
  readonly tools: readonly {
    readonly name: string;
    readonly inputSchema: { readonly properties: Readonly<Record<string, unknown>> };
  }[];
}

export function guidanceIn(read: string): Guidance {
  const { instructions, tools } = JSON.parse(read) as Listed;
  const fieldsOf = (tool: string): object => tools.find(({ name }) => name === tool)?.inputSchema.properties ?? {};
  return {
    startsChats: "start" in fieldsOf("shim_check_recovery"),
    passesSession: /pass the session/i.test(instructions),
    passesUser: "user" in fieldsOf("shim_auto_checkpoint"),
    savesSteps: instructions.includes("shim_auto_checkpoint"),
    savesFiles: /changed files/.test(instructions) && instructions.includes("shim_force_checkpoint"),
  };
}

/** How many turns of the user a model lets pass before it saves; null: it never does. */
export const turnsBetweenSaves: Readonly<Record<Habit, number | null>> = { diligent: 1, typical: 3, forgetful: null };

export type SeenTurn = Pick<Turn, "prompt" | "reply">;

export interface ToolCall {
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/**
 * @param turns those since the save before
 * @param files what is changed in the project
 */
export function callsOfSave(guidance: Guidance, turns: readonly SeenTurn[], files: readonly string[]): ToolCall[] {
  const user = guidance.passesUser ? { user: turns.map(({ prompt }) => prompt) } : {};
  const doing = turns.at(-1)?.reply ?? "talking with the user";
  return [
    ...(guidance.savesSteps ? [{ name: "shim_auto_checkpoint", input: { ...user, doing } }] : []),
    ...(guidance.savesFiles && files.length > 0 ? [{ name: "shim_force_checkpoint", input: { files } }] : []),
  ];
}
