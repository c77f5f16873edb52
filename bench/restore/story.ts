import type { Step } from "../../test/harness/claude/scripted-model.ts";
import type { Fact } from "./facts.ts";
import { fileAt, Files } from "./files.ts";
import { type Half, Phrases } from "./phrasings/bank.ts";
import type { Chat, Part, PlannedStep, SubagentThread } from "./plan.ts";
import { Random } from "./random.ts";
import type { Answers } from "./client-chat.ts";

export interface TurnParts {
  readonly say: readonly string[];
  readonly work?: readonly (readonly PlannedStep[])[];
  /** The chat's last words of the turn. */
  readonly reply?: readonly string[];
  readonly answers?: Answers;
}

interface Decision {
  readonly subject: string;
  readonly value: string;
}

const smallTalk = [
  "I looked at it.",
  "That is all for this part.",
  "Here you are.",
  "Understood.",
  "The change is small.",
];

/** Makes up one chat: each method plants something and gives the sentence or the steps that say it. */
export class Story {
  readonly random: Random;
  readonly phrases: Phrases;
  readonly files: Files;
  readonly parts: Part[] = [];
  readonly subagents: SubagentThread[] = [];
  summary = "<summary>The work goes on.</summary>";
  readonly #facts: Fact[] = [];
  readonly #isEnglish: boolean;
  #goal: readonly string[] | null = null;
  #next: readonly string[] | null = null;
  #openError: readonly string[] | null = null;

  constructor(random: Random, half: Half, isForeign = false, phrases = new Phrases(random, half, isForeign)) {
    this.random = random;
    this.phrases = phrases;
    this.files = new Files(random);
    this.#isEnglish = !isForeign;
  }

  /** All that was planted, as it holds at the end. */
  facts(): Fact[] {
    const current: Fact[] = [
      ...(this.#goal ? [{ kind: "goal", words: this.#goal } as const] : []),
      ...(this.#next ? [{ kind: "next", words: this.#next } as const] : []),
      ...(this.#openError ? [{ kind: "error", words: this.#openError } as const] : []),
    ];
    return [...current, ...this.#facts, ...this.files.facts()];
  }

  chat(): Chat {
    return { parts: this.parts, subagents: this.subagents, summary: this.summary };
  }

  turn({ say, work = [], reply = [this.random.pick(smallTalk)], answers }: TurnParts): void {
    const steps = [...work.flat(), { text: reply.filter((text) => text !== "").join(" ") }];
    const sentences = [...say, ...reply].flatMap((text) => {
      const means = this.phrases.meaningOf(text);
      return means === null ? [] : [{ means, text }];
    });
    const turn = { prompt: say.join(" "), steps, sentences, ...(answers ? { answers } : {}) };
    this.parts.push({ do: "turn", turn });
  }

  /** A new goal of the user. The one before is finished. */
  goal(): string {
    if (this.#goal) this.plant({ kind: "finished-goal", words: this.#goal });
    const [a, b] = [this.random.word(), this.random.word()];
    this.#goal = [a, b];
    this.#next = null;
    return this.phrases.say("goal", { a, b });
  }

  get goalWords(): readonly string[] {
    return this.#goal ?? [];
  }

  order(): string {
    const a = this.random.word();
    this.plant({ kind: "order", words: [a], isBan: false, isEnglish: this.#isEnglish });
    return this.phrases.say("order", { a });
  }

  ban(): string {
    const a = this.random.word();
    this.plant({ kind: "order", words: [a], isBan: true, isEnglish: this.#isEnglish });
    return this.phrases.say("ban", { a });
  }

  name(): string {
    const [a, n] = [this.random.word(), this.random.between(113, 9_899)];
    this.plant({ kind: "name", words: [a, String(n)] });
    return this.phrases.say("name", { a, n });
  }

  /** @returns the sentence, and how to take it back */
  decision(by: "user" | "chat" = "user"): { readonly text: string; readonly made: Decision } {
    const made = { subject: this.random.word(), value: this.random.word() };
    this.plant({ kind: "decision", words: [made.subject, made.value] });
    const phrase = by === "user" ? "decision" : "ownDecision";
    return { text: this.phrases.say(phrase, { a: made.subject, b: made.value }), made };
  }

  reversal({ subject, value }: Decision): { readonly text: string; readonly made: Decision } {
    const made = { subject, value: this.random.word() };
    this.#drop((fact) => fact.kind === "decision" && fact.words.includes(value));
    this.#drop((fact) => fact.kind === "reversed" && fact.newValue === value);
    this.plant({ kind: "decision", words: [subject, made.value] });
    this.plant({ kind: "reversed", subject, oldValue: value, newValue: made.value });
    return { text: this.phrases.say("reversal", { a: subject, b: value, c: made.value }), made };
  }

  /** The chat says what comes next, in place of what it said before. */
  next(): string {
    const [a, b] = [this.random.word(), this.random.word()];
    this.#next = [a, b];
    return this.phrases.say("next", { a, b });
  }

  /** The chat says that the step it named is done. */
  done(): string {
    if (!this.#next) return "";
    const [a = "", b = ""] = this.#next;
    this.plant({ kind: "done-step", words: [a, b] });
    this.#next = null;
    return this.phrases.say("done", { a, b });
  }

  /** A command that fails. It is the last error until it is solved, or until another one comes. */
  failing(): { readonly steps: readonly Step[]; readonly words: readonly string[]; readonly command: string } {
    const words = [this.random.word(), this.random.word()];
    const script = `scripts/${this.random.word()}.sh`;
    const line = this.phrases.say("error", { a: words[0] ?? "", b: words[1] ?? "" });
    this.#openError = words;
    this.files.ignore(script);
    const body = `if [ -e .git/passes-${words[0]} ]; then echo all fine; else echo '${line}' >&2; exit ${this.random.between(1, 9)}; fi\n`;
    const prepare: Step = { tools: [{ name: "Write", input: { file_path: fileAt(script), content: body } }] };
    const command = `sh ${script}`;
    return { steps: [prepare, bash(command)], words, command };
  }

  /** The command passes now. @returns the steps, and what the chat says about it */
  solved({ words, command }: { readonly words: readonly string[]; readonly command: string }): {
    readonly steps: readonly Step[];
    readonly text: string;
  } {
    this.#openError = null;
    this.plant({ kind: "solved-error", words });
    return {
      steps: [bash(`touch .git/passes-${words[0]}`), bash(command)],
      text: this.phrases.say("fixed", { a: words[0] ?? "", b: words[1] ?? "" }),
    };
  }

  ack(): string {
    return this.phrases.say("ack");
  }

  question(): string {
    return this.phrases.say("question");
  }

  plant(fact: Fact): void {
    this.#facts.push(fact);
  }

  /** After `/clear` nothing of before is current any more. */
  clear(): void {
    const gone = this.facts().filter((fact) => !("path" in fact));
    this.#facts.splice(0);
    for (const fact of gone) {
      if ("words" in fact && fact.kind === "goal") this.plant({ kind: "foreign", words: fact.words, of: "cleared" });
    }
    this.#goal = this.#next = this.#openError = null;
    this.files.forgetChanges();
    this.parts.push({ do: "clear" });
  }

  #drop(isDropped: (fact: Fact) => boolean): void {
    const kept = this.#facts.filter((fact) => !isDropped(fact));
    this.#facts.splice(0, this.#facts.length, ...kept);
  }
}

export function bash(command: string): Step {
  return { tools: [{ name: "Bash", input: { command } }] };
}

export function shimTool(name: string, input: Readonly<Record<string, unknown>> = {}): Step {
  return { tools: [{ name: `mcp__plugin_shim_shim__${name}`, input }] };
}
