import type { Usage } from "../../contract/budgets.ts";
import type { Progress } from "../../contract/tasks.ts";
import type { Json } from "../../contract/values.ts";
import { maxUsage, zeroUsage } from "../../coordination/usage.ts";
import { redact } from "../redaction/redact.ts";

type Checkpoint = Readonly<Record<string, Json>>;

/** As the contract has it, in characters. */
const mostNoteChars = 500;
const mostDataChars = 8_192;
const mostCheckpointChars = 65_536;

/** What an attempt has to tell with its next heartbeat. Redacted, and within what a coordinator takes. [WK8] */
export class News {
  readonly #complain: (message: string) => void;
  #usage: Usage = zeroUsage;
  /** Of the executors, of this attempt and those before. */
  #checkpoint: Checkpoint;
  /** Where the work is. */
  #work: Json;
  #progress: Progress = {};
  #isProgressNew = false;
  #isCheckpointNew = false;

  /** @param before the checkpoint that came with the task */
  constructor(before: Json, complain: (message: string) => void) {
    this.#complain = complain;
    const isObject = typeof before === "object" && before !== null && !Array.isArray(before);
    const { work = null, ...checkpoint } = isObject ? before : {};
    this.#checkpoint = checkpoint;
    this.#work = work;
  }

  get usage(): Usage {
    return this.#usage;
  }

  /** As it is told. */
  get progress(): Progress {
    return this.#progress;
  }

  get isThere(): boolean {
    return this.#isProgressNew || this.#isCheckpointNew;
  }

  use(usage: Usage): void {
    this.#usage = maxUsage(this.#usage, usage);
  }

  report({ percent, note, data }: Progress): void {
    const isDataFit = data === undefined || JSON.stringify(data).length <= mostDataChars;
    if (!isDataFit) this.#complain(`the data of its progress is left out: more than ${mostDataChars} characters`);
    this.#progress = {
      ...(percent === undefined || Number.isNaN(percent) ? {} : { percent: Math.min(100, Math.max(0, percent)) }),
      ...(note === undefined ? {} : { note: redact(note).text.slice(0, mostNoteChars) }),
      ...(data === undefined || !isDataFit ? {} : { data }),
    };
    this.#isProgressNew = true;
  }

  keep(checkpoint: Checkpoint): void {
    this.#change({ ...this.#checkpoint, ...checkpoint }, this.#work);
  }

  /** @param work where it is, and up to which commit */
  setWork(work: Json): void {
    this.#change(this.#checkpoint, work);
  }

  #change(checkpoint: Checkpoint, work: Json): void {
    const chars = JSON.stringify({ ...checkpoint, work }).length;
    if (chars > mostCheckpointChars) {
      return this.#complain(
        `its checkpoint has ${chars} characters, at most ${mostCheckpointChars}: the one before stays`,
      );
    }
    this.#checkpoint = checkpoint;
    this.#work = work;
    this.#isCheckpointNew = true;
  }

  /** What a heartbeat carries; told from now on, unless it is given back. */
  take(): { readonly usage: Usage; readonly progress?: Progress; readonly checkpoint?: Json } {
    const news = {
      usage: this.#usage,
      ...(this.#isProgressNew ? { progress: this.#progress } : {}),
      ...(this.#isCheckpointNew ? { checkpoint: { ...this.#checkpoint, work: this.#work } } : {}),
    };
    this.#isProgressNew = false;
    this.#isCheckpointNew = false;
    return news;
  }

  /** It did not arrive. What was said meanwhile is newer, and goes instead. */
  giveBack({ progress, checkpoint }: { readonly progress?: Progress; readonly checkpoint?: Json }): void {
    this.#isProgressNew ||= progress !== undefined;
    this.#isCheckpointNew ||= checkpoint !== undefined;
  }
}
