import { asObject, listAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";

/** A message of OpenCode 2 in the form of OpenCode 1; one of OpenCode 1 stays as it is. */
export function toFirstVersion(message: JsonObject): JsonObject {
  if (objectAt(message, "info") !== null) return message;
  const { id, type, time, error, finish } = message;
  const info = { id, role: type, time, error, finish, modelID: objectAt(message, "model")?.["id"] };
  return { info: omitUndefined(info), parts: partsOf(message) };
}

/** `synthetic` and `system` messages are OpenCode's own, and give no parts. */
function partsOf(message: JsonObject): JsonObject[] {
  if (message["type"] === "assistant")
    return listAt(message, "content").flatMap((part): JsonObject[] => {
      const known = toPart(asObject(part) ?? {});
      return known ? [known] : [];
    });
  if (message["type"] !== "user") return [];
  const files = listAt(message, "files").map((file): JsonObject => {
    const { name, mime } = asObject(file) ?? {};
    return { type: "file", filename: name, mime };
  });
  return [{ type: "text", text: textAt(message, "text") ?? "" }, ...files];
}

function toPart(part: JsonObject): JsonObject | null {
  if (part["type"] === "text") return part;
  if (part["type"] !== "tool") return null;
  const state = objectAt(part, "state");
  const { created, ran, completed } = objectAt(part, "time") ?? {};
  const output = listAt(state, "content").map((one) => textAt(asObject(one), "text") ?? "");
  const error = textAt(objectAt(state, "error"), "message");
  const time = omitUndefined({ start: ran ?? created, end: completed });
  return {
    type: "tool",
    callID: part["id"],
    tool: part["name"],
    state: {
      ...state,
      ...(error === null ? {} : { error }),
      output: output.join("\n"),
      metadata: objectAt(state, "structured") ?? {},
      time,
    },
  };
}
