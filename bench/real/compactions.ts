import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compactionOf } from "../../src/machine/recovery/give-back.ts";
import type { WorkState } from "../../src/contract/work-state.ts";
import { missingFrom } from "../../src/machine/recovery/brief/compaction.ts";
import type { JournalRow } from "../../src/machine/sessions/journal.ts";
import { emptyState, fold } from "../../src/machine/sessions/work-state.ts";
import { isNod } from "../../src/machine/text/excerpt.ts";
import { o200kTokens } from "../../src/learning/routing/tokens.ts";
import type { Row } from "../figures.ts";
import { Machine } from "./machine.ts";
import type { SessionClient } from "./session-events.ts";
import { normalized, presentShare, shareIn } from "./text-match.ts";

/** One compaction of a recorded session. */
interface Compaction {
  readonly client: string;
  /** Whether the session had been compacted before. */
  readonly isLater: boolean;
  /** Prompts of 20 characters and more until then, and how many of them stand in a text. */
  readonly prompts: number;
  readonly inSummary: number;
  readonly withGivenBack: number;
  /** Tokens of what is given back; 0: nothing. */
  readonly tokens: number;
}

const leastPromptChars = 20;
/** The beginning of a prompt that must stand in the text. */
const firstChars = 60;

/** What the compactions of recorded sessions dropped of the user's prompts, and what SHIM gives back. */
export class Compactions {
  readonly #all: Compaction[] = [];

  async read(client: SessionClient, path: string): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), "shim-compactions-"));
    const machine = new Machine(join(folder, "machine"), folder, Date.now());
    const { session, refusal } = await machine.resume("--from-transcript", path);
    if (refusal === null) this.#count(client, await machine.rows(session));
    await machine.remove();
    rmSync(folder, { recursive: true });
  }

  #count(client: SessionClient, rows: readonly JournalRow[]): void {
    const { showsSummary } = compactionOf(client);
    let state = emptyState;
    let known = 0;
    for (const row of rows) {
      state = fold(state, [row]);
      if (row.entry.kind !== (showsSummary ? "compacted" : "compacting")) continue;
      const summary = row.entry.kind === "compacted" ? row.entry.summary : "";
      this.#all.push({ client, isLater: known > 0, ...dropped(client, state, summary) });
      known += 1;
    }
  }

  rows(): Row[] {
    const groups = Map.groupBy(
      this.#all,
      ({ client, isLater }) => `${client}, ${isLater ? "later ones" : "the first"}`,
    );
    return [...groups]
      .toSorted(([one], [other]) => one.localeCompare(other))
      .map(([name, all]): Row => {
        const sum = (of: (one: Compaction) => number): number => all.reduce((total, one) => total + of(one), 0);
        const tokens = all.map((one) => one.tokens).toSorted((a, b) => a - b);
        const [median = 0, most = 0] = [tokens[Math.floor(tokens.length / 2)], tokens.at(-1)];
        const nothing = tokens.filter((one) => one === 0).length;
        return {
          group: "compaction",
          n: all.length,
          name: `${name} (${all.length}): prompts kept by the client, and with what is given back`,
          figure: `${sum((one) => one.inSummary)} and ${sum((one) => one.withGivenBack)} of ${sum((one) => one.prompts)}; tokens median ${median}, most ${most}; nothing to give ${nothing} x`,
          goal: "at most 300 tokens",
          isReached: most <= 300,
        };
      });
  }
}

function dropped(client: string, state: WorkState, summary: string): Omit<Compaction, "client" | "isLater"> {
  const { keepsPrompts } = compactionOf(client);
  const files = state.files.map((file) => Object.assign({ now: "same" as const }, file));
  const isReadable = summary.trim().length >= leastPromptChars;
  const given = missingFrom({ state, files }, isReadable ? summary : null, keepsPrompts) ?? "";
  const long = state.prompts.filter(({ text }) => text.length >= leastPromptChars && !isNod(text));
  const wanted = long.map(({ text }) => normalized(text.slice(0, firstChars)));
  const count = (text: string): number => {
    const held = normalized(text);
    return keepsPrompts ? wanted.length : wanted.filter((one) => shareIn(one, held) >= presentShare).length;
  };
  const tokens = given === "" ? 0 : o200kTokens(given);
  return { prompts: wanted.length, inSummary: count(summary), withGivenBack: count(`${summary}\n${given}`), tokens };
}
