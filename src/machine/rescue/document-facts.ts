import type { SessionProgram } from "../../clients/adapter/session-program.ts";
import { asObject, listAt, type JsonObject } from "../../shared/json-fields.ts";
import { ConversationReader, type TranscriptFacts } from "./read-conversation.ts";

export function factsOfDocument(document: JsonObject, program: SessionProgram): TranscriptFacts {
  const reader = new ConversationReader();
  const messages = listAt(document, "messages");
  for (const [index, message] of messages.entries()) reader.add(index, program.rowOf(asObject(message) ?? {}));
  const whole = { bytes: 0, unreadable: 0, refused: null, sent: null, fused: null, isCut: false, isPart: false };
  return { ...reader.conversation, ...whole, lines: messages.length };
}
