import type { SessionProgram } from "../../clients/adapter/client-details.ts";
import { asObject, listAt, type JsonObject } from "../../shared/json-fields.ts";
import { unchained } from "./row-chain.ts";
import { ConversationReader, type TranscriptFacts } from "./session-facts.ts";

export function factsOfDocument(document: JsonObject, program: SessionProgram): TranscriptFacts {
  const reader = new ConversationReader();
  const messages = listAt(document, "messages");
  for (const [index, message] of messages.entries()) reader.add(index, program.rowOf(asObject(message) ?? {}));
  return {
    ...reader.conversation,
    ...unchained,
    bytes: 0,
    readBytes: 0,
    rowBytes: 0,
    damages: [],
    isUnended: false,
    newestAt: null,
    lines: messages.length,
    unreadable: 0,
    refused: null,
    fused: null,
    isCut: false,
    isPart: false,
    isHeadless: false,
    oldestAt: null,
  };
}
