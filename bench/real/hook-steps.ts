import type { JsonObject } from "../../src/shared/json-fields.ts";
import type { EventOf, RecordedSession, SessionEvent } from "./session-events.ts";

/** An event that the client reports to its hooks, after it has written so many units of its transcript. */
export interface HookStep {
  readonly unit: number;
  readonly event: string;
  readonly fields: JsonObject;
}

/** No hook is run for a call that the user refused. */
const refused = /^The user doesn't want to/;

/** What Claude Code and Codex send while they write this transcript. A prompt typed during a turn and an interruption have no event. */
export class HookSteps {
  readonly #calls = new Map<string, EventOf<"call">>();
  #prompts = 0;
  #words = "";

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

  #fieldsOf(event: SessionEvent): (readonly [event: string, fields: JsonObject])[] {
    switch (event.kind) {
      case "prompt":
        if (event.isQueued) return [];
        this.#prompts += 1;
        this.#words = "";
        return [["UserPromptSubmit", { prompt: event.typed ?? event.text }]];
      case "answer":
        this.#words = event.text;
        return [];
      case "call":
        this.#calls.set(event.id, event);
        return [["PreToolUse", fieldsOf(event)]];
      case "end":
        return this.#ended(event);
      case "turnEnd":
        return [["Stop", { last_assistant_message: this.#words }]];
      case "compacting":
        return [["PreCompact", { trigger: "auto" }]];
      case "compaction":
        return [
          ["PostCompact", { trigger: "auto", compact_summary: event.summary }],
          ["SessionStart", { source: "compact" }],
        ];
      case "harness":
      case "interruption":
      case "branch":
        return [];
    }
  }

  #ended({ id, error, response }: EventOf<"end">): (readonly [string, JsonObject])[] {
    const call = this.#calls.get(id);
    if (call === undefined || (error !== null && refused.test(error))) return [];
    const fields = fieldsOf(call);
    if (error === null) return [["PostToolUse", { ...fields, tool_response: response }]];
    return [["PostToolUseFailure", { ...fields, error }]];
  }
}

function fieldsOf({ id, name, input }: EventOf<"call">): JsonObject {
  return { tool_use_id: id, tool_name: name, tool_input: input };
}

/** All of a session, up to its end. */
export function hookSteps({ events }: RecordedSession): HookStep[] {
  const steps = new HookSteps();
  const all = [steps.start(), ...events.flatMap((event) => steps.of(event))];
  return [...all, { unit: events.at(-1)?.unit ?? 0, event: "SessionEnd", fields: { reason: "other" } }];
}
