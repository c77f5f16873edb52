import { completable, ResourceTemplate, type McpServer } from "@modelcontextprotocol/server";
import * as z from "zod";
import { described, embedded, image, picture, text } from "./contents.ts";

/** Resources that the suite reads by their address. */
export function registerResources(server: McpServer): void {
  const plain = { mimeType: "text/plain" };
  for (const name of ["static-text", "watched-resource"])
    server.registerResource(name, `test://${name}`, plain, ({ href }) => ({
      contents: [{ uri: href, ...plain, text: "This is the content of the static text resource." }],
    }));
  const png = { mimeType: "image/png" };
  server.registerResource("static-binary", "test://static-binary", png, ({ href }) => ({
    contents: [{ uri: href, ...png, blob: image }],
  }));
  const json = { mimeType: "application/json" };
  const template = new ResourceTemplate("test://template/{id}/data", { list: undefined });
  server.registerResource("template", template, json, ({ href }, { id }) => ({
    contents: [
      { uri: href, ...json, text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${String(id)}` }) },
    ],
  }));
}

const user = <Content>(content: Content) => ({ role: "user" as const, content });

/** Prompts that the suite gets by name. */
export function registerPrompts(server: McpServer): void {
  server.registerPrompt("test_simple_prompt", described, () => ({
    messages: [user(text("This is a simple prompt for testing."))],
  }));
  const two = z.object({ arg1: completable(z.string(), () => ["testing"]), arg2: z.string() });
  server.registerPrompt("test_prompt_with_arguments", { ...described, argsSchema: two }, ({ arg1, arg2 }) => ({
    messages: [user(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`))],
  }));
  const one = z.object({ resourceUri: z.string() });
  server.registerPrompt("test_prompt_with_embedded_resource", { ...described, argsSchema: one }, ({ resourceUri }) => ({
    messages: [user(embedded(resourceUri, "text/plain", "Embedded.")), user(text("Please process it."))],
  }));
  server.registerPrompt("test_prompt_with_image", described, () => ({
    messages: [user(picture), user(text("Please analyze it."))],
  }));
}
