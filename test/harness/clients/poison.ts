import type { Step, ModelRequest } from "#harness/claude/scripted-model.ts";
import type { ToolCall } from "./wire-format.ts";

/** Prints the word without naming it: only the result of the call holds it. */
export const poisonCommand = "printf 'POI%s' SON";

const refused: Step = { error: { status: 400, type: "invalid_request_error", message: "this content is not allowed" } };

/** An API that refuses each request with the word in it, whatever else is asked, and notes what it accepted. */
export function refusingPoison(call: ToolCall | null, accepted: string[] = []): (request: ModelRequest) => Step {
  let isCalled = call === null;
  return ({ messages }) => {
    const text = messages.map((message) => message.text).join("\n");
    if (text.includes("POISON")) return refused;
    accepted.push(text);
    if (isCalled || call === null) return { text: "Noted." };
    isCalled = true;
    return { tools: [call] };
  };
}
