import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "../restore/random.ts";
import { temporaryFolder } from "../own-processes.ts";
import type { PlayedCut } from "./play.ts";
import { turnState } from "./claims.ts";
import type { SessionEvent } from "./session-events.ts";

const followingEvents = 25;
const promptsBefore = 8;
const textChars = 600;
const inputChars = 160;

/** Briefs drawn for grading by hand, each beside what came before its cut and what followed. They hold what people said. */
export class Gradings {
  readonly #most: number;
  readonly #random: Random;
  readonly #kept: string[] = [];
  #offered = 0;

  constructor(most: number, random: Random) {
    this.#most = most;
    this.#random = random;
  }

  /** Each brief that is offered is kept with the same chance (reservoir sampling). */
  offer(text: string): void {
    this.#offered += 1;
    const at = this.#offered <= this.#most ? this.#kept.length : this.#random.between(0, this.#offered - 1);
    if (at < this.#most) this.#kept[at] = text;
  }

  /** @returns the folder, outside of the repository; null if nothing was to be kept */
  write(): string | null {
    if (this.#kept.length === 0) return null;
    const folder = mkdtempSync(join(temporaryFolder, "shim-gradings-"));
    for (const [index, text] of this.#kept.entries()) writeFileSync(join(folder, `${index + 1}.md`), text);
    return folder;
  }
}

export function textOfGrading(played: PlayedCut): string {
  const { session, cut, way, before, after, resumed, changedFile, isBranchChanged } = played;
  const prompts = before.filter(({ kind }) => kind === "prompt").slice(-promptsBefore);
  const hand = [changedFile ?? [], isBranchChanged ? "the branch" : []].flat().join(", ") || "nothing";
  return [
    `# ${session.client}, ${way}, ${cut.kind} (${turnState(played)})`,
    `${before.length} events before, ${after.length} after; changed by hand since: ${hand}`,
    "## The brief",
    resumed.brief || `none: ${resumed.refusal}`,
    "## Before: the last prompts, and the last events",
    ...prompts.map(lineOf),
    "---",
    ...before.slice(-10).map(lineOf),
    "## What followed",
    ...after.slice(0, followingEvents).map(lineOf),
    "",
  ].join("\n\n");
}

function lineOf(event: SessionEvent): string {
  if (event.kind === "call") return `call: ${event.name} ${JSON.stringify(event.input).slice(0, inputChars)}`;
  if (event.kind === "end" && event.error !== null) return `failed: ${event.error.slice(0, inputChars)}`;
  const text = "text" in event ? event.text : event.kind === "compaction" ? event.summary : "";
  return `${event.kind}: ${text.slice(0, textChars)}`;
}
