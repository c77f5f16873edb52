import type { Step } from "../../test/harness/claude/scripted-model.ts";
import { Random } from "../measure.ts";
import { type Fact, projectSlot, type Chat, type Part } from "./plan.ts";
import type { Answers } from "./stream-chat.ts";

const folders = ["src", "src/core", "lib", "app/models", "test", "docs", "scripts", "."];
const endings = [".ts", ".py", ".go", ".md", ".sql", ".css"];
const initialCount = 14;

/** The files of a made-up project, and the steps by which a chat reads and changes them. */
class Files {
  readonly initial: Record<string, string> = {};
  readonly #random: Random;
  readonly #versions = new Map<string, number>();
  readonly #changed = new Map<string, string>();
  readonly #ignored = new Set<string>();

  constructor(random: Random) {
    this.#random = random;
    for (let made = 0; made < initialCount; made++) {
      const path = this.#newPath();
      this.initial[path] = `value = 0;\nlength = ${random.between(1, 99)};\n`;
      this.#versions.set(path, 0);
    }
  }

  facts(): Fact[] {
    const changed = [...this.#changed].map(
      ([path, by]) => ({ kind: "changed file", path, by, isElsewhere: false }) as const,
    );
    const same = this.#untouched().map((path) => ({ kind: "unchanged file", path }) as const);
    return [...changed, ...same];
  }

  /** Reads a file that stays as it is. */
  read(): Step[] {
    return [readStep(this.#anyFile())];
  }

  edit(): Step[] {
    const path = this.#anyFile();
    return [readStep(path), this.#editStep(path)];
  }

  write(): Step[] {
    const path = this.#newPath();
    this.#changed.set(path, "Write");
    return [{ tools: [{ name: "Write", input: { file_path: fileAt(path), content: `made = ${path.length};\n` } }] }];
  }

  /** Changes a file by a shell command: a new one, or one that is there. */
  shell(): Step[] {
    const path = this.#random.isLucky(0.5) ? this.#newPath() : this.#anyFile();
    const isNew = !this.#versions.has(path);
    this.#changed.set(path, isNew ? "Bash, new" : "Bash, edited");
    this.#versions.delete(path);
    const folder = path.split("/").slice(0, -1).join("/") || ".";
    const value = this.#random.between(100, 999);
    const change = isNew
      ? this.#random.pick([
          `mkdir -p ${folder} && printf 'made %s' ${value} > ${path}`,
          `mkdir -p ${folder}; echo ${value} | tee ${path}`,
        ])
      : this.#random.pick([`sed -i 's/value = 0/value = ${value}/' ${path}`, `echo 'more = ${value};' >> ${path}`]);
    return [{ tools: [{ name: "Bash", input: { command: change } }] }];
  }

  /** The changes so far belong to another session. */
  forgetChanges(): void {
    for (const path of this.#changed.keys()) this.#ignored.add(path);
    this.#changed.clear();
  }

  get changed(): readonly string[] {
    return [...this.#changed.keys()];
  }

  untouchedOne(): string {
    return this.#random.pick(this.#untouched());
  }

  #untouched(): string[] {
    return Object.keys(this.initial).filter((path) => !this.#changed.has(path) && !this.#ignored.has(path));
  }

  /** An untouched file; in a session that has changed them all, one that it has edited. */
  #anyFile(): string {
    const untouched = this.#untouched();
    return this.#random.pick(untouched.length > 0 ? untouched : [...this.#versions.keys()]);
  }

  #editStep(path: string): Step {
    const version = this.#versions.get(path) ?? 0;
    this.#versions.set(path, version + 1);
    this.#changed.set(path, "Edit");
    const input = { file_path: fileAt(path), old_string: `value = ${version};`, new_string: `value = ${version + 1};` };
    return { tools: [{ name: "Edit", input }] };
  }

  #newPath(): string {
    const folder = this.#random.pick(folders);
    return `${folder === "." ? "" : `${folder}/`}${this.#random.word()}${this.#random.pick(endings)}`;
  }
}

function fileAt(path: string): string {
  return `${projectSlot}/${path}`;
}

function readStep(path: string): Step {
  return { tools: [{ name: "Read", input: { file_path: fileAt(path) } }] };
}

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
