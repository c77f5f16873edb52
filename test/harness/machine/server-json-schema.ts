import type { Schema } from "@cfworker/json-schema";

const text: Schema = { type: "string" };
const input: Record<string, Schema> = {
  choices: { type: "array", items: text },
  default: text,
  description: text,
  format: { enum: ["string", "number", "boolean", "filepath"] },
  isRequired: { type: "boolean" },
  isSecret: { type: "boolean" },
  placeholder: text,
  value: text,
};
const named = (properties: Record<string, Schema>, required: string[]): Schema => ({
  type: "object",
  properties: { ...input, variables: { type: "object" }, ...properties },
  required,
  additionalProperties: false,
});
const positional: Schema = {
  ...named({ type: { const: "positional" }, isRepeated: { type: "boolean" }, valueHint: text }, ["type"]),
  anyOf: [{ required: ["valueHint"] }, { required: ["value"] }],
};
const argument: Schema = {
  anyOf: [
    positional,
    named({ type: { const: "named" }, isRepeated: { type: "boolean" }, name: text }, ["type", "name"]),
  ],
};

/**
 * What https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json demands of a server that is
 * started over stdio, without its prose. Stricter in one point: a field that the schema does not name is refused.
 */
export const serverJsonSchema: Schema = {
  type: "object",
  required: ["name", "description", "version"],
  additionalProperties: false,
  properties: {
    $schema: { const: "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json" },
    name: { type: "string", minLength: 3, maxLength: 200, pattern: "^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$" },
    title: { type: "string", minLength: 1, maxLength: 100 },
    description: { type: "string", minLength: 1, maxLength: 100 },
    version: { type: "string", maxLength: 255 },
    websiteUrl: { type: "string", format: "uri" },
    repository: {
      type: "object",
      required: ["url", "source"],
      additionalProperties: false,
      properties: { url: { type: "string", format: "uri" }, source: text, id: text, subfolder: text },
    },
    packages: {
      type: "array",
      items: {
        type: "object",
        required: ["registryType", "identifier", "transport"],
        additionalProperties: false,
        properties: {
          registryType: text,
          registryBaseUrl: { type: "string", format: "uri" },
          identifier: text,
          version: { type: "string", minLength: 1, not: { const: "latest" } },
          fileSha256: { type: "string", pattern: "^[a-f0-9]{64}$" },
          runtimeHint: text,
          runtimeArguments: { type: "array", items: argument },
          packageArguments: { type: "array", items: argument },
          environmentVariables: { type: "array", items: named({ name: text }, ["name"]) },
          transport: { type: "object", required: ["type"], properties: { type: { enum: ["stdio"] } } },
        },
      },
    },
  },
};
