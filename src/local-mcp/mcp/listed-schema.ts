import type { StandardSchemaWithJSON } from "@modelcontextprotocol/server";
import type * as z from "zod";

/**
 * [MC2] A schema as the list of tools shows it: without `$schema`. The dialect is the protocol's default, and every word of the list
 * costs each chat tokens.
 */
export function listed(schema: z.ZodType): StandardSchemaWithJSON {
  const standard = schema["~standard"];
  const { input, output } = standard.jsonSchema;
  return {
    "~standard": {
      ...standard,
      jsonSchema: { input: (options) => undeclared(input(options)), output: (options) => undeclared(output(options)) },
    },
  };
}

function undeclared({ $schema: _dialect, ...rest }: Record<string, unknown>): Record<string, unknown> {
  return rest;
}
