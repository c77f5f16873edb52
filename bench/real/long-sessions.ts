import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { median } from "simple-statistics";
import { o200kTokens } from "../../src/learning/routing/tokens.ts";
import { mean, type Row } from "../figures.ts";
import { Machine } from "./machine.ts";
import type { RecordedSession } from "./session-events.ts";
import type { JsonObject } from "../../src/shared/json-fields.ts";
import { normalized, presentShare, prohibitionsOf, requestShare, shareIn } from "./text-match.ts";

/** A prompt, and what the chat said last before the next one. */
interface Exchange {
  readonly prompt: string;
  readonly answer: string;
}

const leastAssignmentChars = 3_000;
const sizes = [50, 100, 200, 300];
const leastPromptChars = 20;
/** The beginning of a prompt that must stand in the brief. */
const firstChars = 60;
const newest = 25;
const turnMs = 240_000;

/**
 * What recorded sessions have too few of: one long assignment, and very many prompts. The prompts and answers are those of
 * real sessions, the long session is several of them one after the other.
 */
export class LongSessions {
  readonly #assignments: Exchange[] = [];
  readonly #exchanges: Exchange[] = [];

  offer({ events }: RecordedSession): void {
    const exchanges: { prompt: string; answer: string }[] = [];
    for (const event of events) {
      if (event.kind === "prompt") exchanges.push({ prompt: event.text, answer: "" });
      const last = exchanges.at(-1);
      if (event.kind === "answer" && last) last.answer = event.text;
    }
    const [first] = exchanges;
    if (first && first.prompt.length >= leastAssignmentChars) this.#assignments.push(first);
    if (this.#exchanges.length < Math.max(...sizes)) this.#exchanges.push(...exchanges);
  }

  async rows(): Promise<Row[]> {
    const rows: Row[] = [];
    if (this.#assignments.length > 0) rows.push(await this.#assignmentRow());
    for (const size of sizes)
      if (this.#exchanges.length >= size) rows.push(await manyRow(this.#exchanges.slice(0, size)));
    return rows;
  }

  async #assignmentRow(): Promise<Row> {
    const shares: number[] = [];
    let whole = 0;
    const tokens: number[] = [];
    for (const exchange of this.#assignments) {
      const brief = await briefOf([exchange]);
      const text = normalized(brief);
      const forbidden = prohibitionsOf(exchange.prompt).map(normalized);
      const held = forbidden.filter((one) => shareIn(one, text) >= presentShare);
      if (forbidden.length > 0) shares.push(held.length / forbidden.length);
      whole += requestShare(exchange.prompt, text);
      tokens.push(o200kTokens(brief));
    }
    const count = this.#assignments.length;
    const length = Math.round(median(this.#assignments.map(({ prompt }) => prompt.length)));
    return {
      group: "long sessions",
      n: count,
      name: `one assignment of ${leastAssignmentChars} characters and more (${count}, median ${length})`,
      figure: `its beginning and key sentence ${percent(whole / count)}; of the prohibitions of each ${percent(mean(shares))}, all of them in ${shares.filter((one) => one === 1).length} of ${shares.length}; tokens median ${Math.round(median(tokens))}, most ${Math.round(Math.max(...tokens))}`,
    };
  }
}

async function manyRow(exchanges: readonly Exchange[]): Promise<Row> {
  const brief = await briefOf(exchanges);
  const text = normalized(brief);
  const real = exchanges.map(({ prompt }) => prompt).filter((prompt) => prompt.length > leastPromptChars);
  const isThere = (prompt: string): boolean => shareIn(normalized(prompt.slice(0, firstChars)), text) >= presentShare;
  const share = (prompts: readonly string[]): string => percent(prompts.filter(isThere).length / prompts.length);
  return {
    group: "long sessions",
    n: exchanges.length,
    name: `${exchanges.length} prompts`,
    figure: `newest ${requestShare(real.at(-1) ?? "", text) >= presentShare ? "there" : "missing"}, first ${isThere(real[0] ?? "") ? "there" : "missing"}, newest ${newest} ${share(real.slice(-newest))}, all ${share(real)}; ${Math.round(o200kTokens(brief))} tokens`,
  };
}

async function briefOf(exchanges: readonly Exchange[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "shim-long-"));
  const startedAt = Date.UTC(2026, 0);
  const machine = new Machine(join(folder, "machine"), folder, startedAt);
  const about = { session_id: "long", cwd: folder };
  let at = startedAt;
  const send = async (event: string, fields: JsonObject): Promise<void> => {
    machine.clock.putOnTo((at += turnMs));
    await machine.send("claude-code", event, { ...about, hook_event_name: event, ...fields });
  };
  await send("SessionStart", { source: "startup" });
  for (const { prompt, answer } of exchanges) {
    await send("UserPromptSubmit", { prompt });
    await send("Stop", { last_assistant_message: answer });
  }
  await machine.killClient();
  const { brief } = await machine.resume("long");
  await machine.remove();
  rmSync(folder, { recursive: true });
  return brief;
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
