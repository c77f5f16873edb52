import type { JsonObject } from "../../src/shared/json-fields.ts";
import type { EventOf, RecordedSession, SessionClient, SessionEvent } from "./session-events.ts";

/** An event that the client reports to its hooks, after it has written so many units of its transcript. */
export interface HookStep {
  readonly unit: number;
  readonly event: string;
  readonly fields: JsonObject;
}

type HookEvent = readonly [name: string, fields: JsonObject];

/** No hook is run for a call that the user refused. */
const refused = /^The user doesn't want to/;

/** Codex reports a failed call like any other. */
const clientsWithFailures: ReadonlySet<SessionClient> = new Set(["claude-code"]);

/** What Claude Code and Codex send while they write this transcript. A prompt typed during a turn and an interruption have no event. */
export class HookSteps {
  readonly #calls = new Map<string, EventOf<"call">>();
  readonly #client: SessionClient;
  #prompts = 0;
  #words = "";

  constructor(client: SessionClient) {
    this.#client = client;
  }

  start(): HookStep {
    return { unit: 0, event: "SessionStart", fields: { source: "startup" } };
  }

  of(event: SessionEvent): HookStep[] {
    return this.#fieldsOf(event).map(([name, fields]) => ({
      unit: event.unit,
      event: name,
      fields: { ...(this.#prompts === 0 ? {} : { prompt_id: `prompt-${this.#prompts}` }), ...fields },
    }));
  }

  #fieldsOf(event: SessionEvent): readonly HookEvent[] {
    if (event.kind === "answer" && event.isPlan === undefined) this.#words = event.text;
    if (event.kind === "call") this.#calls.set(event.id, event);
    if (event.kind === "prompt") return this.#prompted(event);
    if (event.kind === "call") return [["PreToolUse", fieldsOf(event)]];
    if (event.kind === "end") return this.#ended(event);
    if (event.kind === "turnEnd") return [["Stop", { last_assistant_message: this.#words }]];
    return aboutCompaction(event);
  }

  #prompted({ text, typed, isQueued }: EventOf<"prompt">): readonly HookEvent[] {
    if (isQueued) return [];
    this.#prompts += 1;
    this.#words = "";
    return [["UserPromptSubmit", { prompt: typed ?? text }]];
  }

  #ended({ id, error, response }: EventOf<"end">): readonly HookEvent[] {
    const call = this.#calls.get(id);
    if (call === undefined || (error !== null && refused.test(error))) return [];
    const fields = fieldsOf(call);
    if (error === null || !clientsWithFailures.has(this.#client))
      return [["PostToolUse", { ...fields, tool_response: response }]];
    return [["PostToolUseFailure", { ...fields, error }]];
  }
}

function aboutCompaction(event: SessionEvent): readonly HookEvent[] {
  if (event.kind === "compacting") return [["PreCompact", { trigger: "auto" }]];
  if (event.kind !== "compaction") return [];
  return [
    ["PostCompact", { trigger: "auto", compact_summary: event.summary }],
    ["SessionStart", { source: "compact" }],
  ];
}

function fieldsOf({ id, name, input }: EventOf<"call">): JsonObject {
  return { tool_use_id: id, tool_name: name, tool_input: input };
}

/** All of a session, up to its end. */
export function hookSteps({ client, events }: RecordedSession): HookStep[] {
  const steps = new HookSteps(client);
  const all = [steps.start(), ...events.flatMap((event) => steps.of(event))];
  return [...all, { unit: events.at(-1)?.unit ?? 0, event: "SessionEnd", fields: { reason: "other" } }];
}
