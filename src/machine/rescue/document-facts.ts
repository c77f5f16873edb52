import type { SessionProgram } from "../../clients/adapter/session-program.ts";
import { asObject, listAt, type JsonObject } from "../../shared/json-fields.ts";
import { ConversationReader, type TranscriptFacts } from "./session-facts.ts";

export function factsOfDocument(document: JsonObject, program: SessionProgram): TranscriptFacts {
  const reader = new ConversationReader();
  const messages = listAt(document, "messages");
  for (const [index, message] of messages.entries()) reader.add(index, program.rowOf(asObject(message) ?? {}));
  return {
    ...reader.conversation,
    bytes: 0,
    readBytes: 0,
    rowBytes: 0,
    damages: [],
    isUnended: false,
    twins: 0,
    newestAt: null,
    lines: messages.length,
    unreadable: 0,
    refused: null,
    sent: null,
    fused: null,
    unlinked: null,
    isCut: false,
    isPart: false,
    isHeadless: false,
    oldestAt: null,
  };
}
