import type { LostPart } from "../contract/machine/recovery.ts";
import type { HookClient } from "../contract/clients.ts";
import { textAt, type JsonObject } from "../shared/json-fields.ts";
import { ok, type Result } from "../shared/result.ts";
import type { Driver } from "../store/driver.ts";
import { details, subagentFormat } from "./details.ts";
import { readNewest, readTranscript, type NewestSource } from "./read-transcript.ts";
import {
  type LineFormat,
  type LineOrigin,
  type TranscriptContent,
  type TranscriptDraft,
  type TranscriptToolCall,
  type TranscriptToolEnd,
} from "./transcript/transcript-draft.ts";
import { withdrawnBranches, type Branch } from "./transcript/branches.ts";
import { inClaudeWords } from "./adapter/claude-compatible.ts";
import {
  type CallResult,
  type Conversation,
  type Item,
  type Picture,
  withResultsAtCalls,
  type RowContents,
} from "./conversation/conversation.ts";

/** @returns why it cannot be read */
export async function readConversation(path: string, driver: Driver): Promise<Result<Conversation, string>> {
  let recorder = new Recorder();
  const read = await readTranscript(path, driver, ({ client }) => {
    recorder = new Recorder();
    return recorder.formatOf(client);
  });
  if (!read.ok) return read;
  const { head, content } = read.value;
  return ok({ session: head.session, parent: head.parent, ...recorder.conversation(content) });
}

/**
 * Items of the newest part of a transcript, oldest first. Waits for the disk, and reads no
 * compressed file.
 *
 * @param most bytes, from the end of the file
 * @param agent id of the sub-agent whose items they are; null: it has none; absent: the chat's own
 * @returns null: it cannot be read so
 */
export function readNewestItems(source: NewestSource, most: number, agent?: string | null): readonly Item[] | null {
  const recorder = new Recorder();
  const format = recorder.formatOf(source.client);
  const read = agent === undefined ? format : subagentFormat(source.client, agent, format);
  const content = readNewest(source, read, most);
  return content && recorder.conversation(content).items;
}

/** An item, and what may take it back later. */
interface Recorded {
  /** A number is that of a compaction, and stands for its summary. */
  readonly item: Item | number;
  readonly branch: Branch | null;
}

/** Follows the draft of a reader from row to row, which shows in which order its items came. */
class Recorder {
  readonly #recorded: Recorded[] = [];
  readonly #outputs = new Map<string, string>();
  /** By the id of the call whose result has them. */
  readonly #pictures = new Map<string, readonly Picture[]>();
  /** Calls as the client has them, where its reader shortens them. */
  readonly #wholeCalls = new Set<string>();
  readonly #said = new Set<string>();
  readonly #lost = new Map<LostPart, number>();

  formatOf(client: HookClient): LineFormat {
    const { readRow, partsOf = (row: JsonObject) => [row], contentsOf } = details[client];
    return (draft, row, origin) => {
      for (const part of partsOf(row)) {
        const before = lengthsOf(draft);
        readRow(draft, part, origin);
        const contents = contentsOf(part);
        const calls = this.#ownCalls(contents, origin) ?? draft.toolCalls.slice(before.toolCalls);
        const { pictures = [] } = contents;
        const own = pictures.filter(({ of }) => of === null);
        this.#record(draft, before, { calls, cwd: textAt(row, "cwd", 4_096), pictures: own });
        for (const [id, found] of Map.groupBy(pictures, ({ of }) => of)) if (id !== null) this.#pictures.set(id, found);
        this.#addContents(draft, contents, draft.toolEnds.slice(before.toolEnds));
      }
    };
  }

  /** Calls that the client's reader has in another way; null: it has them. */
  #ownCalls({ call, repeatsCalls }: RowContents, { at }: LineOrigin): RowParts["calls"] | null {
    if (!call) return repeatsCalls === true ? [] : null;
    this.#wholeCalls.add(call.id);
    return [{ ...call, at }];
  }

  /** @param ends ends of calls in the row */
  #addContents(draft: TranscriptDraft, contents: RowContents, ends: readonly TranscriptToolEnd[]): void {
    const { outputs = [], images = 0, thoughts = 0, isOfSubagent = false } = contents;
    this.#lose("image", images);
    this.#lose("thought", thoughts);
    this.#lose("subagent_row", isOfSubagent ? 1 : 0);
    for (const { of, text, isCut } of outputs) {
      this.#lose("cut_result", isCut ? 1 : 0);
      for (const id of of === null ? [] : this.#callsOf(ends, of)) this.#addOutput(draft, id, text);
    }
  }

  /** A result may be there without the row that says how the call ended. */
  #addOutput({ ended, branch }: TranscriptDraft, id: string, text: string): void {
    if (this.#outputs.has(id)) return;
    this.#outputs.set(id, text);
    if (!ended.has(id)) this.#addResults([{ toolUseId: id, error: null, at: null }], branch);
  }

  #lose(part: LostPart, count: number): void {
    if (count > 0) this.#lost.set(part, (this.#lost.get(part) ?? 0) + count);
  }

  /** A program may be several calls, the ids of which begin with its own. */
  #callsOf(ends: readonly TranscriptToolEnd[], id: string): readonly string[] {
    const parts = this.#wholeCalls.has(id) ? [] : ends.filter(({ toolUseId }) => toolUseId.startsWith(`${id}.`));
    return [id, ...parts.map(({ toolUseId }) => toolUseId)];
  }

  #record(draft: TranscriptDraft, before: Lengths, { calls, cwd, pictures }: RowParts): void {
    const { branch } = draft;
    for (let at = before.compactions; at < draft.compactions.length; at += 1)
      this.#recorded.push({ item: at, branch: null });
    const ids = new Set(calls.map(({ id }) => id));
    const ends = draft.toolEnds.slice(before.toolEnds);
    this.#addResults(
      ends.filter(({ toolUseId }) => !ids.has(toolUseId)),
      branch,
    );
    for (let index = before.texts; index < draft.texts.length; index += 1) {
      const said = draft.texts[index];
      // An API refuses words that are blanks alone; those of a refusal stand in the call's result.
      if (!said || said.text.trim() === "" || ends.some(({ toolUseId }) => toolUseId === said.uuid)) continue;
      const { role, text, at, startsNoTurn } = said;
      if (startsNoTurn === "local") this.#lose("local_command", 1);
      else if (!this.#isRepeated(role, text, at))
        this.#recorded.push({
          item: { kind: role === "user" ? "prompt" : "answer", text, at, ...(pictures.length > 0 ? { pictures } : {}) },
          branch: said.branch,
        });
    }
    for (const { id, name, input, at } of calls) {
      const item = { kind: "call" as const, id, name, input: inClaudeWords(name, input, cwd), at };
      this.#recorded.push({ item, branch });
    }
    // A row may hold a call with its result.
    this.#addResults(
      ends.filter(({ toolUseId }) => ids.has(toolUseId)),
      branch,
    );
  }

  #addResults(ends: readonly TranscriptToolEnd[], branch: Branch | null): void {
    for (const { toolUseId, error, at, response } of ends) {
      const item: CallResult = { kind: "result", of: toolUseId, text: error ?? "", isError: error !== null, at };
      const agent = textAt(response ?? null, "agentId", 200);
      this.#recorded.push({ item: agent === null ? item : { ...item, agent }, branch });
    }
  }

  /** A client's replay, or a copy, writes the same words with the same time again. */
  #isRepeated(role: string, text: string, at: number | null): boolean {
    const key = `${role} ${at} ${text}`;
    const isKnown = at !== null && this.#said.has(key);
    this.#said.add(key);
    return isKnown;
  }

  conversation(content: TranscriptContent): Omit<Conversation, "session" | "parent"> {
    const isWithdrawn = withdrawnBranches();
    const kept = this.#recorded.filter(({ branch }) => !isWithdrawn(branch));
    const items = kept.flatMap(({ item }): Item[] => {
      if (typeof item !== "number") return [item.kind === "result" ? this.#withOutput(item) : item];
      const { summary = null, at = null } = content.compactions[item] ?? {};
      if (summary === null) this.#lose("summary", 1);
      return summary === null ? [] : [{ kind: "summary", text: summary, at }];
    });
    const { items: ordered, missing } = withResultsAtCalls(items);
    this.#lose("missing_result", missing);
    this.#lose("api_error", content.apiErrors.length);
    this.#lose("interruption", content.interruptions.length);
    return {
      items: ordered,
      lost: this.#lost,
      model: content.usage.at(-1)?.model ?? content.model,
      damages: content.damages.length,
    };
  }

  #withOutput(result: CallResult): CallResult {
    const pictures = this.#pictures.get(result.of);
    return { ...result, text: this.#outputs.get(result.of) ?? result.text, ...(pictures ? { pictures } : {}) };
  }
}

interface RowParts {
  readonly calls: readonly Pick<TranscriptToolCall, "id" | "name" | "input" | "at">[];
  readonly cwd: string | null;
  /** Pictures beside its words. */
  readonly pictures: readonly Picture[];
}

type Lengths = Readonly<Record<"texts" | "toolCalls" | "toolEnds" | "compactions", number>>;

function lengthsOf({ texts, toolCalls, toolEnds, compactions }: TranscriptDraft): Lengths {
  return {
    texts: texts.length,
    toolCalls: toolCalls.length,
    toolEnds: toolEnds.length,
    compactions: compactions.length,
  };
}
