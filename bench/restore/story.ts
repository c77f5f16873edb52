import type { Step } from "../../test/harness/claude/scripted-model.ts";
import { Random } from "../random.ts";
import { Files } from "./files.ts";
import type { Fact, Chat, Part } from "./plan.ts";
import type { Answers } from "./stream-chat.ts";

export interface TurnParts {
  readonly say: string;
  readonly work?: readonly (readonly Step[])[];
  /** The chat's last words of the turn. */
  readonly reply?: string;
  readonly answers?: Answers;
}

const nods = ["ok", "go on", "yes", "looks good"];
const prompts = [
  "Make the $a read $b.",
  "The $a ignores $b; find out why.",
  "Never let $a import $b.",
  "Use $b for the $a, not the other one.",
  "Can $a and $b share one cache?",
];

/** Makes up one chat: each method plants something and gives the text or the steps that say it. */
export class Story {
  readonly random: Random;
  readonly files: Files;
  readonly parts: Part[] = [];
  readonly #facts: Fact[] = [];
  #lastWords: readonly string[] = [];

  constructor(random: Random) {
    this.random = random;
    this.files = new Files(random);
  }

  /** All that was planted, as it holds at the end. */
  facts(): Fact[] {
    return [...this.#facts, { kind: "last words", words: this.#lastWords }, ...this.files.facts()];
  }

  chat(): Chat {
    return { parts: this.parts };
  }

  turn({ say, work = [], reply = this.reply(), answers }: TurnParts): void {
    const turn = { prompt: say, reply, steps: [...work.flat(), { text: reply }], ...(answers ? { answers } : {}) };
    this.parts.push({ do: "turn", turn });
  }

  prompt(): string {
    const [a, b] = [this.random.word(), this.random.word()];
    this.plant({ kind: "prompt", words: [a, b] });
    return this.random.pick(prompts).replace("$a", a).replace("$b", b);
  }

  nod(): string {
    return this.random.pick(nods);
  }

  reply(): string {
    const [a, b] = [this.random.word(), this.random.word()];
    this.#lastWords = [a, b];
    return `I changed the ${a}, and ${b} comes next.`;
  }

  plant(fact: Fact): void {
    this.#facts.push(fact);
  }

  /** After `/clear` nothing of before is current any more. */
  clear(): void {
    const gone = this.#facts.splice(0);
    for (const fact of gone) if (fact.kind === "prompt") this.plant({ ...fact, kind: "foreign", of: "cleared" });
    this.files.forgetChanges();
    this.parts.push({ do: "clear" });
  }
}

export function bash(command: string): Step {
  return { tools: [{ name: "Bash", input: { command } }] };
}

export function shimTool(name: string, input: Readonly<Record<string, unknown>> = {}): Step {
  return { tools: [{ name: `mcp__plugin_shim_shim__${name}`, input }] };
}
