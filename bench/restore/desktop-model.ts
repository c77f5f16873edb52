import type { Habit, Sentence, Turn } from "./plan.ts";
import type { Phrase } from "./phrasings/bank.ts";

/**
 * Pure. The scripted model of a client without hooks. It understands each sentence and repeats it word for word; it gives
 * only what the server's texts ask for, and saves as often as its habit says.
 */

/** What the instructions, the tools and their fields ask a model for. */
export interface Guidance {
  readonly startsChats: boolean;
  readonly passesSession: boolean;
  readonly passesUser: boolean;
  readonly savesSteps: boolean;
  readonly savesDecisions: boolean;
  readonly savesRules: boolean;
  readonly savesErrors: boolean;
}

interface Listed {
  readonly instructions: string;
  readonly tools: readonly {
    readonly name: string;
    readonly description: string;
    readonly inputSchema: { readonly properties: Readonly<Record<string, { readonly description?: string }>> };
  }[];
}

export function guidanceIn(read: string): Guidance {
  const { instructions, tools } = JSON.parse(read) as Listed;
  const fieldsOf = (tool: string): object => tools.find(({ name }) => name === tool)?.inputSchema.properties ?? {};
  const saving = tools.filter(({ name }) => name.endsWith("_checkpoint"));
  const said = [instructions, JSON.stringify(saving)].join("\n");
  return {
    startsChats: "start" in fieldsOf("shim_check_recovery"),
    passesSession: /pass the session/i.test(instructions),
    passesUser: "user" in fieldsOf("shim_auto_checkpoint"),
    savesSteps: instructions.includes("shim_auto_checkpoint"),
    savesDecisions: /decision/.test(instructions) && instructions.includes("shim_force_checkpoint"),
    savesRules: /\b(rules?|always|forbids?|standing)\b/i.test(said.replace(/the user says the work is finished/, "")),
    savesErrors: /\berrors?\b/i.test(said),
  };
}

/** How many turns of the user a model lets pass before it saves; null: it never does. */
export const turnsBetweenSaves: Readonly<Record<Habit, number | null>> = { diligent: 1, typical: 3, forgetful: null };

export interface SeenTurn extends Pick<Turn, "prompt" | "sentences"> {
  /** What commands of the turn wrote as they failed. */
  readonly errors: readonly string[];
}

export interface ToolCall {
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/** What the model knows from the turns before. */
export interface Known {
  readonly goal: string | null;
  readonly next: string | null;
  readonly error: string | null;
}

export const nothingKnown: Known = { goal: null, next: null, error: null };

export function knownAfter(known: Known, { sentences, errors }: SeenTurn): Known {
  let { goal, next, error } = known;
  for (const { means, text } of sentences) {
    if (means === "goal") [goal, next] = [text, null];
    if (means === "next") next = text;
    if (means === "done") next = null;
    if (means === "fixed") error = null;
  }
  return { goal, next, error: errors.at(-1) ?? error };
}

const decisions: ReadonlySet<Phrase> = new Set(["decision", "ownDecision", "reversal"]);
const rules: ReadonlySet<Phrase> = new Set(["order", "ban", "name"]);
const finished: ReadonlySet<Phrase> = new Set(["done", "fixed"]);

export interface Save {
  readonly before: Known;
  readonly known: Known;
  /** Those since the save before. */
  readonly turns: readonly SeenTurn[];
  /** What is changed in the project. */
  readonly files: readonly string[];
}

export function callsOfSave(guidance: Guidance, save: Save): ToolCall[] {
  const notes = notesOf(guidance, save);
  const isNoted = guidance.savesDecisions && Object.keys(notes).length > 0;
  return [
    ...(guidance.savesSteps ? [{ name: "shim_auto_checkpoint", input: stepOf(guidance, save) }] : []),
    ...(isNoted ? [{ name: "shim_force_checkpoint", input: notes }] : []),
  ];
}

function stepOf(guidance: Guidance, { known, turns }: Save): ToolCall["input"] {
  return {
    ...(guidance.passesUser ? { user: turns.map(({ prompt }) => prompt) } : {}),
    doing: known.goal ?? "talking with the user",
    ...(known.next === null ? {} : { next: known.next }),
  };
}

function notesOf(guidance: Guidance, { before, known, turns, files }: Save): ToolCall["input"] {
  const sentences = turns.flatMap((turn) => turn.sentences);
  const settled = guidance.savesRules ? new Set([...decisions, ...rules]) : decisions;
  const isNewError = guidance.savesErrors && known.error !== before.error;
  const lists = { decisions: withMeaning(sentences, settled), done: withMeaning(sentences, finished), files };
  return {
    ...(known.goal !== null && known.goal !== before.goal ? { goal: known.goal } : {}),
    ...Object.fromEntries(Object.entries(lists).filter(([, texts]) => texts.length > 0)),
    ...(isNewError ? { state: { error: known.error } } : {}),
  };
}

function withMeaning(sentences: readonly Sentence[], means: ReadonlySet<Phrase>): string[] {
  return sentences.flatMap((one) => (means.has(one.means) ? [one.text] : []));
}
