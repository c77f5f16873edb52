import {
  inputRequired,
  type ElicitRequestFormParams,
  type McpServer,
  type ServerContext,
  type ServerNotifier,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import { described, embedded, picture, said, sound, text } from "./contents.ts";

/** Tools that the suite calls by name, with the answers that it wants; see the descriptions of its scenarios. */
export function registerTools(server: McpServer, notify: ServerNotifier): void {
  registerContents(server);
  registerStreams(server);
  registerQuestions(server);
  server.registerTool("test_error_handling", described, () => {
    throw new Error("This tool intentionally returns an error for testing");
  });
  // The SDK refuses what the client has not said that it can.
  server.registerTool("test_missing_capability", described, () => {
    const messages = [{ role: "user" as const, content: text("Who are you?") }];
    return inputRequired({ inputRequests: { any: inputRequired.createMessage({ messages, maxTokens: 10 }) } });
  });
  for (const [kind, change] of [
    ["tool", () => notify.toolsChanged()],
    ["prompt", () => notify.promptsChanged()],
  ] as const)
    server.registerTool(`test_trigger_${kind}_change`, described, () => {
      change();
      return said("Changed.");
    });
}

function registerContents(server: McpServer): void {
  const contents = {
    test_simple_text: [text("This is a simple text response for testing.")],
    test_image_content: [picture],
    test_audio_content: [sound],
    test_embedded_resource: [
      embedded("test://embedded-resource", "text/plain", "This is an embedded resource content."),
    ],
    test_multiple_content_types: [
      text("Multiple content types test:"),
      picture,
      embedded("test://mixed-content-resource", "application/json", JSON.stringify({ test: "data", value: 123 })),
    ],
  };
  for (const [name, content] of Object.entries(contents)) server.registerTool(name, described, () => ({ content }));
}

function registerStreams(server: McpServer): void {
  server.registerTool("test_tool_with_logging", described, async ({ mcpReq }) => {
    for (const data of ["Tool execution started", "Tool processing data", "Tool execution completed"])
      await mcpReq.log("info", data);
    return said("Logged.");
  });
  server.registerTool("test_logging_tool", described, async ({ mcpReq }) => {
    await mcpReq.log("info", "only for who has asked for it");
    return said("Logged.");
  });
  server.registerTool("test_tool_with_progress", described, async ({ mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken;
    for (const progress of progressToken === undefined ? [] : [0, 50, 100])
      await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress, total: 100 } });
    return said("Done.");
  });
  server.registerTool("test_streaming_elicitation", described, async ({ mcpReq }) => {
    const params = { progressToken: "stream", progress: 50, total: 100 };
    await mcpReq.notify({ method: "notifications/progress", params });
    return said("Streamed.");
  });
}

/** What a server asked of its client until 2025: a request of its own, in the middle of a call. */
function registerQuestions(server: McpServer): void {
  const sampling = { ...described, inputSchema: z.object({ prompt: z.string() }) };
  server.registerTool("test_sampling", sampling, async ({ prompt }, { mcpReq }) => {
    const messages = [{ role: "user" as const, content: text(prompt) }];
    const { content } = await mcpReq.requestSampling({ messages, maxTokens: 100 }, onStreamOf(mcpReq));
    return said(`LLM response: ${JSON.stringify(content)}`);
  });
  const elicitation = { ...described, inputSchema: z.object({ message: z.string() }) };
  server.registerTool("test_elicitation", elicitation, ({ message }, context) => {
    const response = { type: "string" as const, description: "User's response" };
    return elicited(context, message, { response }, ["response"]);
  });
  server.registerTool("test_elicitation_sep1034_defaults", described, (context) =>
    elicited(context, "Values that are there already", {
      name: { type: "string", default: "John Doe" },
      age: { type: "integer", default: 30 },
      score: { type: "number", default: 95.5 },
      status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
      verified: { type: "boolean", default: true },
    }),
  );
  const titled = [1, 2, 3].map((one) => ({ const: `value${one}`, title: `Option ${one}` }));
  server.registerTool("test_elicitation_sep1330_enums", described, (context) =>
    elicited(context, "Every kind of choice", {
      untitledSingle: { type: "string", enum: ["option1", "option2", "option3"] },
      titledSingle: { type: "string", oneOf: titled },
      legacyEnum: { type: "string", enum: ["opt1", "opt2", "opt3"], enumNames: ["One", "Two", "Three"] },
      untitledMulti: { type: "array", items: { type: "string", enum: ["option1", "option2", "option3"] } },
      titledMulti: { type: "array", items: { anyOf: titled } },
    }),
  );
}

/** Else the SDK asks on the session's own stream, which the client may not have opened yet. */
function onStreamOf({ id }: ServerContext["mcpReq"]): { relatedRequestId: ServerContext["mcpReq"]["id"] } {
  return { relatedRequestId: id };
}

type Properties = ElicitRequestFormParams["requestedSchema"]["properties"];

async function elicited({ mcpReq }: ServerContext, message: string, properties: Properties, required: string[] = []) {
  const requestedSchema = { type: "object" as const, properties, required };
  const { action, content } = await mcpReq.elicitInput({ mode: "form", message, requestedSchema }, onStreamOf(mcpReq));
  return said(`${action}: ${JSON.stringify(content)}`);
}
