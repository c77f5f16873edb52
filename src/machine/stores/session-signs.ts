import { detailsOf } from "../../clients/details.ts";
import type { SessionFiles, HiddenSession } from "../../clients/adapter/session-files.ts";
import { ContentReader } from "../../clients/transcript.ts";
import type { TranscriptRow } from "../../clients/transcript/transcript-rows.ts";
import { textAt, type JsonObject } from "../../shared/json-fields.ts";

/** Claude Code reads no more of a file for its list, in bytes. */
const headBytes = 65_536;
/** Lines in which the first words of the user are searched. */
const titleLines = 200;
const titleChars = 80;

/** Signs in a session's rows that decide how its client treats the file, beside what was said. */
export class SessionSigns {
  readonly #details;
  readonly #files: SessionFiles;
  readonly #content: ContentReader;
  /** First words of the user; null: none. */
  title: string | null = null;
  cwd: string | null = null;
  /** A row names the session. */
  isNamed = false;
  /** Line of the first prompt, from 1; null: there is none. */
  firstPromptLine: number | null = null;
  hidden: HiddenSession | null = null;
  /** Its client never deletes it by itself. */
  isExempt = false;
  /** Names of backups of files. */
  readonly backups = new Set<string>();

  constructor(client: string, files: SessionFiles) {
    this.#details = detailsOf(client);
    this.#files = files;
    this.#content = new ContentReader(this.#details?.readRow);
  }

  add(one: TranscriptRow): void {
    const { row } = one;
    if (row === null) return;
    this.#addNames(row);
    this.#addTreatment(row, one.position);
    if (this.firstPromptLine === null && this.#files.rowOf(row)?.kind === "prompt") this.firstPromptLine = one.line;
    if (this.title === null && one.line <= titleLines) this.title = this.#titleWith(one);
  }

  #addNames(row: JsonObject): void {
    if (this.isNamed && this.cwd !== null) return;
    const named = this.isNamed ? null : (this.#details?.headOf?.(row) ?? null);
    this.isNamed ||= named !== null;
    this.cwd ??= named?.cwd ?? textAt(row, "cwd", 4_096);
  }

  #addTreatment(row: JsonObject, position: number): void {
    const { hides, isExempt, backups } = this.#files.store ?? {};
    if (position < headBytes) this.hidden ??= hides?.(row) ?? null;
    this.isExempt ||= isExempt?.(row) === true;
    for (const name of backups?.namesIn(row) ?? []) this.backups.add(name);
  }

  #titleWith(one: TranscriptRow): string | null {
    this.#content.add([one]);
    return this.#content.firstPrompt?.trim().split("\n")[0]?.slice(0, titleChars) ?? null;
  }
}
