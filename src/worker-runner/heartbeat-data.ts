import type { Usage } from "../contract/budgets.ts";
import type { Progress } from "../contract/tasks.ts";
import type { Json } from "../contract/json.ts";
import type { Ran, Route } from "../contract/routes.ts";
import { maxUsage, zeroUsage } from "../contract/usage.ts";
import { redact } from "../redaction/redact.ts";
import { isRecord } from "../shared/json-fields.ts";

type Checkpoint = Readonly<Record<string, Json>>;

interface Unsent {
  readonly progress?: Progress;
  readonly checkpoint?: Json;
  readonly route?: Route;
  readonly ran?: Ran;
}

const maxNoteChars = 500;
const maxDataChars = 8_192;
const maxCheckpointChars = 65_536;

/** [WK8] Redacted, and within the coordinator's limits. */
export class HeartbeatData {
  readonly #warn: (message: string) => void;
  #usage: Usage = zeroUsage;
  #checkpoint: Checkpoint;
  #work: Json;
  #progress: Progress = {};
  #unsent: Unsent = {};
  #models: { readonly route?: Route; readonly ran?: Ran } = {};

  constructor(previous: Json, warn: (message: string) => void) {
    this.#warn = warn;
    const { work = null, ...checkpoint } = isRecord(previous) ? previous : {};
    this.#checkpoint = checkpoint;
    this.#work = work;
  }

  get usage(): Usage {
    return this.#usage;
  }

  get progress(): Progress {
    return this.#progress;
  }

  get hasUnsent(): boolean {
    return Object.keys(this.#unsent).length > 0;
  }

  /** [RT19] [RT23] The reported route and model, where there are any. */
  get models(): { readonly route?: Route; readonly ran?: Ran } {
    return this.#models;
  }

  setRoute(route: Route): void {
    this.#models = { ...this.#models, route };
    this.#unsent = { ...this.#unsent, route };
  }

  setModel(ran: Ran): void {
    this.#models = { ...this.#models, ran };
    this.#unsent = { ...this.#unsent, ran };
  }

  addUsage(usage: Usage): void {
    this.#usage = maxUsage(this.#usage, usage);
  }

  setProgress({ percent, note, data }: Progress): void {
    const isDataFit = data === undefined || JSON.stringify(data).length <= maxDataChars;
    if (!isDataFit) this.#warn(`the data of its progress is left out: more than ${maxDataChars} characters`);
    this.#progress = {
      ...(percent === undefined || Number.isNaN(percent) ? {} : { percent: Math.min(100, Math.max(0, percent)) }),
      ...(note === undefined ? {} : { note: redact(note).text.slice(0, maxNoteChars) }),
      ...(data === undefined || !isDataFit ? {} : { data }),
    };
    this.#unsent = { ...this.#unsent, progress: this.#progress };
  }

  mergeCheckpoint(checkpoint: Checkpoint): void {
    this.#change({ ...this.#checkpoint, ...checkpoint }, this.#work);
  }

  setWork(work: Json): void {
    this.#change(this.#checkpoint, work);
  }

  #change(checkpoint: Checkpoint, work: Json): void {
    const chars = JSON.stringify({ ...checkpoint, work }).length;
    if (chars > maxCheckpointChars) {
      return this.#warn(
        `its checkpoint has ${chars} characters, the limit is ${maxCheckpointChars}: the previous one is kept`,
      );
    }
    this.#checkpoint = checkpoint;
    this.#work = work;
    this.#unsent = { ...this.#unsent, checkpoint: { ...checkpoint, work } };
  }

  takeUnsent(): Unsent & { readonly usage: Usage } {
    const unsent = this.#unsent;
    this.#unsent = {};
    return { usage: this.#usage, ...unsent };
  }

  /** Newer data takes precedence. */
  restoreUnsent(unsent: Unsent): void {
    this.#unsent = { ...unsent, ...this.#unsent };
  }
}
